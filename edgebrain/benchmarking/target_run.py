"""One target of a bench, from connecting to the last timed block, also where it is lost on the way.

    CONNECTING -> PREPARING -> SCORING -> TIMING -> DONE
         \\____________\\___________\\_________\\____-> LOST

Connecting finds the target; preparing sends what is missing there; scoring starts its workers and judges every slice;
timing asks for blocks of queries, each worker in turn. A target that an earlier bench measured to the end begins as
DONE. A problem on the way is kept, so that the other targets are still measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from enum import Enum

from edgebrain.benchmarking.measurement import Measurement
from edgebrain.benchmarking.report import Note
from edgebrain.benchmarking.report_environment import Environment
from edgebrain.benchmarking.slices import LabelledSlice
from edgebrain.benchmarking.throughput import BATCHES, measure_throughput
from edgebrain.bundle import Bundle
from edgebrain.errors import BadBundle, EdgebrainError, TargetFailed, WorkerFailed
from edgebrain.progress import Progress
from edgebrain.targets import Target, find_target, shown_name
from edgebrain.targets.slices import Slice
from edgebrain.targets.worker import Worker

# Queries a worker answers before it is the next one's turn: long enough to settle, short enough that a slow minute of
# the machine hits all alike.
BLOCK = 32
# This machine, whose scores those of others are compared with.
HERE = "cpu"
# After these, what was measured before still holds; after any other error nothing of that target can be trusted.
LOSSES = (WorkerFailed, TargetFailed)


class State(Enum):
    """How far a target is."""

    CONNECTING = "connecting"
    PREPARING = "preparing"
    SCORING = "scoring"
    TIMING = "timing"
    DONE = "done"
    LOST = "lost"


NEXT = {
    State.CONNECTING: {State.PREPARING, State.LOST},
    State.PREPARING: {State.SCORING, State.LOST},
    State.SCORING: {State.TIMING, State.LOST},
    State.TIMING: {State.DONE, State.LOST},
    # Only closing the connection comes after the measurement.
    State.DONE: {State.LOST},
    State.LOST: set(),
}


@dataclass(frozen=True)
class Earlier:
    """What an earlier bench measured on a target.

    Attributes:
        measurements: Its rows.
        done: Whether it was measured to the end.
        emulated: Whether its processor was emulated.
        notes: What that bench noted about it.
    """

    measurements: tuple[Measurement, ...] = ()
    done: bool = False
    emulated: bool = False
    notes: tuple[Note, ...] = ()

    @property
    def rounds(self) -> int:
        """Rounds of timing that were begun."""
        return max((len(one.blocks) for one in self.measurements), default=0)


class TargetRun:
    """A target and what was measured on it.

    Attributes:
        state: How far it is.
        measurements: One a bundle and thread count, once scored.
        problem: What ended it early; None where nothing did.
        notes: What a reader must know of it.
    """

    def __init__(self, requested: str, timed: bool = True, earlier: Earlier | None = None) -> None:
        """Begin with a target, or with what an earlier bench measured on it.

        Args:
            requested: The name that it was asked for by.
            timed: False for a target that is only scored, as the other side of a comparison.
            earlier: What an earlier bench measured.
        """
        self.requested, self.timed = requested, timed
        self._earlier = earlier or Earlier()
        self._target: Target | None = None
        self._bundles: list[Bundle] = []
        self.state = State.DONE if self._earlier.done else State.CONNECTING
        self.measurements = list(self._earlier.measurements)
        self.notes = list(self._earlier.notes)
        self.problem: EdgebrainError | None = None

    @property
    def name(self) -> str:
        """How reports call it."""
        return shown_name(self.requested)

    @property
    def here(self) -> bool:
        """Whether it is this machine."""
        return self.requested == HERE if self._target is None else self._target.here

    @property
    def environment(self) -> Environment | None:
        """The machine as its first worker describes it; None before."""
        return self.measurements[0].environment if self.measurements else None

    @property
    def emulated(self) -> bool:
        """Whether its processor is emulated, so that a duration there means nothing."""
        reported = bool(self.environment and self.environment.emulated)
        return reported or self._earlier.emulated or (self._target is not None and self._target.emulated)

    @property
    def rounds(self) -> int:
        """Rounds of timing in which every row was measured."""
        counts = [len(one.blocks) for one in self.measurements]
        return max(counts, default=0) if self.state is State.DONE else min(counts, default=0)

    def connect(self, open_targets: ExitStack) -> None:
        """Find the target; a problem is kept, not raised."""
        if self.state is not State.CONNECTING:
            return
        try:
            self._target = find_target(self.requested)
            open_targets.callback(self._close, self._target)
            self._enter(State.PREPARING)
        except EdgebrainError as problem:
            self._lose(problem)

    def prepare(self, bundles: Sequence[Bundle], slices: Sequence[Slice]) -> None:
        """Send what is missing there; a problem is kept, not raised."""
        if self.state is not State.PREPARING or self._target is None:
            return
        try:
            self._bundles = [bundle for bundle in bundles if self._can_run(bundle, self._target)]
            if not self._bundles:
                raise TargetFailed(
                    f"{self.name}: no engine there reads {' or '.join(sorted({one.format for one in bundles}))}",
                    "edgebrain quantize --int8 writes a TFLite bundle, edgebrain deploy --target coral one for a Coral",
                )
            self._target.prepare(self._bundles, slices)
            self._enter(State.SCORING)
        except EdgebrainError as problem:
            self._lose(problem)

    def measure(
        self,
        slices: Sequence[LabelledSlice],
        timed: Sequence[LabelledSlice],
        threads: Sequence[int],
        queries: int,
        progress: Progress,
    ) -> None:
        """Score and time the bundles; a problem is kept, with what was measured.

        Args:
            slices: The slices to score.
            timed: Those of them to time.
            threads: Thread counts; empty for the target's own.
            queries: Timed queries of each row.
            progress: Called with what is being done, steps done and steps in all.

        Raises:
            EdgebrainError: What an earlier bench measured does not go together with what is measured now.
        """
        if self.state is not State.SCORING or self._target is None:
            return
        kept, self.measurements = self.measurements, []
        if kept:
            sittings = f"went on after round {self._earlier.rounds}, so its durations are of two sittings"
            self._note("resumed", f"{self.name}: {sittings}")
        try:
            with ExitStack() as workers:
                self._start_workers(self._target, threads, slices, kept, workers, progress)
                self._score_first(slices, progress)
                self._enter(State.TIMING)
                if self.timed and not self.emulated:
                    self._time_in_turns(timed, queries, progress)
                self._share_scores(slices, progress)
                for measured in self.measurements:
                    measured.close()
            if self.timed and self._target.device == "gpu":
                self._measure_throughput(self._target, [one.id for one in timed], queries, progress)
            self.measurements += self._not_repeated(kept)
            self._enter(State.DONE)
        except EdgebrainError as problem:
            if kept and not isinstance(problem, LOSSES):
                raise
            self.measurements = self._complete(len(slices)) if isinstance(problem, LOSSES) else []
            self.measurements += self._not_repeated(kept)
            self._lose(problem)

    def first(self, bundle: Bundle | None) -> Measurement | None:
        """The measurement of a bundle at the first thread count, which is scored; None where there is none."""
        return next((one for one in self.measurements if one.bundle is bundle), None)

    def _enter(self, state: State) -> None:
        assert state in NEXT[self.state], f"{self.name}: {self.state.value} is not followed by {state.value}"
        self.state = state

    def _lose(self, problem: EdgebrainError) -> None:
        self.problem = problem
        self._enter(State.LOST)

    def _close(self, target: Target) -> None:
        try:
            target.close()
        except EdgebrainError as problem:
            if self.state is not State.LOST:
                self._lose(problem)

    def _note(self, kind: str, text: str, bundle: Bundle | None = None) -> None:
        self.notes.append(Note(kind, text, self.name, bundle and bundle.name))  # type: ignore[arg-type]

    def _can_run(self, bundle: Bundle, target: Target) -> bool:
        """Whether to take a bundle there. On this machine the worker reports what is not installed."""
        runs = target.engine(bundle) is not None
        # The float root in Keras' format is for the comparison, which is made here.
        if not runs and bundle.format != "keras":
            text = f"{bundle.name}: not measured on {self.name}, no engine there reads {bundle.format}"
            self._note("not-measured", text, bundle)
        return runs

    def _start_workers(
        self,
        target: Target,
        threads: Sequence[int],
        slices: Sequence[LabelledSlice],
        kept: Sequence[Measurement],
        workers: ExitStack,
        progress: Progress,
    ) -> None:
        counts = tuple(threads) or target.threads or (1,)
        counts = counts if self.timed else counts[:1]
        total = len(self._bundles) * len(counts)
        for bundle in self._bundles:
            for count in counts:
                progress(f"starting workers{target.where}", len(self.measurements), total)
                worker = workers.enter_context(Worker(target.start(bundle), target.where))
                try:
                    measured = Measurement.start(bundle, count, worker, target, slices)
                except EdgebrainError as problem:
                    self._leave_out(bundle, count, problem)
                    break
                for before in kept:
                    if before.same_row(measured):
                        measured.restore(before)
                self.measurements.append(measured)
        progress(f"starting workers{target.where}", total, total)

    def _leave_out(self, bundle: Bundle, count: int, problem: EdgebrainError) -> None:
        """Leave out a bundle that another target cannot run (an engine without that device) and keep the rest.

        On this machine it is an error, as is a damaged bundle or a lost worker anywhere.
        """
        last = bundle is self._bundles[-1] and not self.measurements
        if self.here or isinstance(problem, (*LOSSES, BadBundle)) or last:
            raise problem
        row = f"{bundle.name} at {count}" if self.first(bundle) else bundle.name
        self._note("not-measured", f"{row}: not measured on {self.name}: {problem.message}", bundle)

    def _score_first(self, slices: Sequence[LabelledSlice], progress: Progress) -> None:
        """Score each bundle at its first thread count."""
        for bundle in self._bundles:
            if (measured := self.first(bundle)) is not None and not measured.scores:
                self._score(measured, slices, progress)

    def _score(self, measured: Measurement, slices: Sequence[LabelledSlice], progress: Progress) -> None:
        what = f"scoring {measured.bundle.name}{self._where}"
        measured.score(slices, lambda done: progress(what, done, len(slices)))

    @property
    def _where(self) -> str:
        return "" if self.here else f" on {self.name}"

    def _time_in_turns(self, slices: Sequence[LabelledSlice], queries: int, progress: Progress) -> None:
        """Time blocks of queries, each worker in turn, another one first in each round."""
        rounds = -(-queries // BLOCK)
        for turn in range(rounds):
            # Equal blocks, not full ones and a small rest.
            start, end = (queries * edge // rounds for edge in (turn, turn + 1))
            block = [slices[index % len(slices)] for index in range(start, end)]
            first = turn % len(self.measurements)
            for measured in (*self.measurements[first:], *self.measurements[:first]):
                # One that was restored has its first blocks.
                if len(measured.blocks) <= turn:
                    measured.time(block)
            progress(f"timing{self._where}", turn + 1, rounds)

    def _measure_throughput(self, target: Target, names: Sequence[str], queries: int, progress: Progress) -> None:
        """Measure each row at each batch size; what cannot be measured is a note, and the rest is kept."""
        steps = [(measured, batch) for measured in self.measurements for batch in BATCHES]
        for done, (measured, batch) in enumerate(steps):
            progress(f"throughput on {self.name}", done, len(steps))
            try:
                measured.throughput.append(measure_throughput(measured, target, batch, names, queries))
            except EdgebrainError as problem:
                bundle = measured.bundle
                text = f"{bundle.name}: no throughput on {self.name}, batch {batch}: {problem.message}"
                self._note("no-throughput", text, bundle)
        progress(f"throughput on {self.name}", len(steps), len(steps))

    def _share_scores(self, slices: Sequence[LabelledSlice], progress: Progress) -> None:
        """Give every row its scores: another thread count's where the outputs were the same to the byte, else its
        own."""
        for measured in self.measurements:
            if not self._share(measured):
                self._score(measured, slices, progress)
            measured.refuse_other_answers()

    def _share(self, measured: Measurement) -> bool:
        first = self.first(measured.bundle)
        if first is not None and not measured.scores and measured.same_outputs(first.outputs):
            measured.scores, measured.outputs, measured.answers = first.scores, first.outputs, first.answers
        return bool(measured.scores)

    def _complete(self, slices: int) -> list[Measurement]:
        """Of a target that was lost: the rows with all their scores, and the timed blocks that they have."""
        for measured in self.measurements:
            self._share(measured)
        return [one for one in self.measurements if len(one.scores) == slices and one.same_outputs(one.outputs)]

    def _not_repeated(self, kept: Sequence[Measurement]) -> list[Measurement]:
        """What an earlier bench measured, of rows that were not measured now."""
        return [before for before in kept if not any(before.same_row(one) for one in self.measurements)]
