"""One target of a bench: its workers told in turn what to do, and what they answered, also where it was lost midway."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from edgebrain.benchmarking.measurement import Lane
from edgebrain.benchmarking.throughput import BATCHES, throughput
from edgebrain.bundle import Bundle
from edgebrain.data.sample import Record
from edgebrain.errors import BadBundle, EdgebrainError, TargetFailed, WorkerFailed
from edgebrain.targets import Target, find_target, shown_name
from edgebrain.targets.slices import Slice
from edgebrain.targets.worker import Worker

# Queries a worker answers before it is the next one's turn: long enough to settle, short enough that a slow minute of
# the machine hits all alike.
BLOCK = 32
# This machine, whose scores those of others are compared with.
HERE = "cpu"
# How a note begins, after the target's name, on what was measured in two sittings.
WENT_ON = "went on after"
# After these, what was measured before still holds; after any other error nothing of that target can be trusted.
LOST = (WorkerFailed, TargetFailed)

Progress = Callable[[str, int, int], None]


@dataclass
class Place:
    """A target and what was measured on it.

    asked: the name that it was asked for by. timed: False for a target that is only scored, as the other side of a
    comparison. lanes: one a bundle and thread count, all with their scores. rounds: of timing. problem: what ended it
    early, or None. done: an earlier bench measured it to the end. was_emulated: as that bench said.
    """

    asked: str
    timed: bool = True
    target: Target | None = None
    bundles: list[Bundle] = field(default_factory=list)
    lanes: list[Lane] = field(default_factory=list)
    rounds: int = 0
    problem: EdgebrainError | None = None
    done: bool = False
    was_emulated: bool = False
    notes: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """How reports call it."""
        return shown_name(self.asked)

    @property
    def here(self) -> bool:
        """Whether it is this machine."""
        return self.asked == HERE if self.target is None else self.target.here

    @property
    def environment(self) -> dict[str, Any] | None:
        """What its first worker says of the machine."""
        return self.lanes[0].environment if self.lanes else None

    @property
    def emulated(self) -> bool:
        """Whether its processor is emulated, so that a duration there means nothing."""
        said = bool(self.environment and self.environment.get("emulated"))
        return said or self.was_emulated or (self.target is not None and self.target.emulated)

    def locate(self, open_targets: ExitStack) -> None:
        """Find the target. A problem is kept, not raised."""
        if self.done:
            return
        try:
            self.target = find_target(self.asked)
            open_targets.callback(self._close, self.target)
        except EdgebrainError as problem:
            self.problem = problem

    def prepare(self, bundles: Sequence[Bundle], slices: Sequence[Slice]) -> None:
        """Send what is missing there. A problem is kept, not raised."""
        if self.target is None:
            return
        try:
            self.bundles = [bundle for bundle in bundles if self._can_run(bundle)]
            if not self.bundles:
                raise TargetFailed(
                    f"{self.name}: no engine there reads {' or '.join(sorted({one.format for one in bundles}))}",
                    "edgebrain quantize --int8 writes a TFLite bundle, edgebrain deploy --target coral one for a Coral",
                )
            self.target.prepare(self.bundles, slices)
        except EdgebrainError as problem:
            self.problem = problem

    def measure(self, records: Sequence[Record], timed: Sequence[Record], threads: Sequence[int], queries: int,
                progress: Progress) -> None:  # fmt: skip
        """Score the records and time `queries` over the `timed` ones. A problem is kept, with what was measured.

        Raises EdgebrainError: what an earlier bench measured here does not go together with what is measured now.
        """
        if self.problem is not None or self.done:
            return
        kept, self.lanes = self.lanes, []
        if kept:
            self.notes.append(f"{self.name}: {WENT_ON} round {self.rounds}, so its durations are of two sittings")
        try:
            with ExitStack() as workers:
                self._open(threads, records, kept, workers, progress)
                for bundle in self.bundles:
                    if not self.first(bundle).scores:
                        self._score(self.first(bundle), records, progress)
                if self.timed and not self.emulated:
                    self._time_in_turns(timed, queries, progress)
                self._share_scores(records, progress)
                for lane in self.lanes:
                    lane.close()
            if self.timed and self.target is not None and self.target.device == "gpu":
                self._time_together([record.name for record in timed], queries, progress)
            self.lanes += self._missing(kept)
        except EdgebrainError as problem:
            if kept and not isinstance(problem, LOST):
                raise
            self.problem = problem
            self.lanes = self._whole(len(records)) if isinstance(problem, LOST) else []
            self.lanes += self._missing(kept)

    def first(self, bundle: Bundle) -> Lane:
        """The lane of a bundle at the first thread count, which is scored."""
        return next(lane for lane in self.lanes if lane.bundle is bundle)

    def find(self, bundle: Bundle | None) -> Lane | None:
        """The same, or None where the bundle was not measured here."""
        return next((lane for lane in self.lanes if lane.bundle is bundle), None)

    def _can_run(self, bundle: Bundle) -> bool:
        """Whether to take a bundle there. On this machine the worker says what is not installed."""
        assert self.target is not None, "found before"
        runs = self.target.engine(bundle) is not None
        # The float root in Keras' format is for the comparison, which is made here.
        if not runs and bundle.format != "keras":
            self.notes.append(f"{bundle.name}: not measured on {self.name}, no engine there reads {bundle.format}")
        return runs

    def _close(self, target: Target) -> None:
        try:
            target.close()
        except EdgebrainError as problem:
            self.problem = self.problem or problem

    def _open(self, threads: Sequence[int], records: Sequence[Record], kept: Sequence[Lane], workers: ExitStack,
              progress: Progress) -> None:  # fmt: skip
        assert self.target is not None, "prepared before"
        counts = tuple(threads) or self.target.threads or (1,)
        counts = counts if self.timed else counts[:1]
        total = len(self.bundles) * len(counts)
        for bundle in self.bundles:
            for count in counts:
                progress(f"starting workers{self.target.where}", len(self.lanes), total)
                worker = workers.enter_context(Worker(self.target.start(bundle), self.target.where))
                try:
                    lane = Lane.start(bundle, count, worker, self.target, records)
                except EdgebrainError as problem:
                    self._leave_out(bundle, count, problem)
                    break
                for before in kept:
                    if before.same_row(lane):
                        lane.take_up(before)
                self.lanes.append(lane)
        self.bundles = [bundle for bundle in self.bundles if self.find(bundle)]
        progress(f"starting workers{self.target.where}", total, total)

    def _leave_out(self, bundle: Bundle, count: int, problem: EdgebrainError) -> None:
        """A bundle that another place cannot run (an engine without that device) leaves the rest; here it is an
        error, as is a damaged bundle or a lost worker anywhere."""
        if self.here or isinstance(problem, (*LOST, BadBundle)) or (bundle is self.bundles[-1] and not self.lanes):
            raise problem
        row = f"{bundle.name} at {count}" if self.find(bundle) else bundle.name
        self.notes.append(f"{row}: not measured on {self.name}: {problem.message}")

    def _score(self, lane: Lane, records: Sequence[Record], progress: Progress) -> None:
        where = "" if self.here else f" on {self.name}"
        lane.score(records, lambda done: progress(f"scoring {lane.bundle.name}{where}", done, len(records)))

    def _time_in_turns(self, records: Sequence[Record], queries: int, progress: Progress) -> None:
        """Blocks of queries, each worker in turn, another one first in each round."""
        where = "" if self.here else f" on {self.name}"
        rounds = -(-queries // BLOCK)
        for turn in range(rounds):
            # Equal blocks, not full ones and a small rest.
            start, end = (queries * edge // rounds for edge in (turn, turn + 1))
            block = [records[place % len(records)] for place in range(start, end)]
            first = turn % len(self.lanes)
            for lane in (*self.lanes[first:], *self.lanes[:first]):
                # A lane that goes on has its first blocks.
                if len(lane.blocks) <= turn:
                    lane.time(block)
            self.rounds = turn + 1
            progress(f"timing{where}", turn + 1, rounds)

    def _time_together(self, names: Sequence[str], queries: int, progress: Progress) -> None:
        """Each lane at each batch size; what cannot be measured is a note, and the rest stands."""
        assert self.target is not None, "measured before"
        asked = [(lane, batch) for lane in self.lanes for batch in BATCHES]
        for done, (lane, batch) in enumerate(asked):
            progress(f"throughput on {self.name}", done, len(asked))
            try:
                lane.throughput.append(throughput(lane, self.target, batch, names, queries))
            except EdgebrainError as problem:
                self.notes.append(f"{lane.bundle.name}: no throughput on {self.name}, batch {batch}: {problem.message}")
        progress(f"throughput on {self.name}", len(asked), len(asked))

    def _share_scores(self, records: Sequence[Record], progress: Progress) -> None:
        """Give every lane its scores: another thread count's, where the outputs were the same to the byte, else its
        own."""
        for lane in self.lanes:
            if not self._share(lane):
                self._score(lane, records, progress)
            lane.refuse_other_answers()

    def _share(self, lane: Lane) -> bool:
        first = self.first(lane.bundle)
        if not lane.scores and lane.same_outputs(first.outputs):
            lane.scores, lane.outputs, lane.answers = first.scores, first.outputs, first.answers
        return bool(lane.scores)

    def _whole(self, slices: int) -> list[Lane]:
        """Of a target that was lost: the lanes with all their scores, and the timed blocks that they have."""
        for lane in self.lanes:
            self._share(lane)
        return [lane for lane in self.lanes if len(lane.scores) == slices and lane.same_outputs(lane.outputs)]

    def _missing(self, kept: Sequence[Lane]) -> list[Lane]:
        """What an earlier bench measured, of rows that are not here now."""
        return [before for before in kept if not any(before.same_row(lane) for lane in self.lanes)]
