"""One bundle at one thread count in one worker: what was requested, and what was answered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

import numpy as np

from edgebrain.benchmarking.report_environment import Environment
from edgebrain.benchmarking.report_row import Block, Percentiles, Throughput
from edgebrain.benchmarking.slices import LabelledSlice
from edgebrain.bundle import Bundle
from edgebrain.errors import AnswersDiffer, TargetFailed, WorkerFailed
from edgebrain.evaluation.score import score_answer
from edgebrain.evaluation.scores import ImageScore
from edgebrain.files import sha256_bytes
from edgebrain.runtime.latency import SETTLE, WARM_UP, summary_ms
from edgebrain.runtime.worker import unpack_mask
from edgebrain.settings import from_builtins
from edgebrain.targets import Target
from edgebrain.targets.worker import Worker

SCORED_AT_ONCE = 16
# Durations of one row are of one machine, with the same libraries.
MACHINE = ("machine", "cpu", "board", "cores_usable", "flags", "libc", "python", "versions")


@dataclass(frozen=True)
class Opened:
    """What a worker answered when it opened a bundle.

    Attributes:
        runs: What really runs: engine, version, device, precision, ...
        load_ms: Reading, verifying and loading; None on an emulated target.
        rss_mib: Memory of the process after it; None where it cannot be read.
    """

    runs: dict[str, Any]
    load_ms: float | None
    rss_mib: float | None


@dataclass(frozen=True)
class Answer:
    """The answer for one slice.

    Attributes:
        mask: (H, W) bool.
        class_probabilities: In [0, 1], in the order of the bundle's classes.
    """

    mask: np.ndarray
    class_probabilities: Sequence[float]


@dataclass
class Measurement:
    """A bundle in a worker, or what a worker that is gone has answered.

    Attributes:
        bundle: What is measured.
        threads: Threads of the interpreter.
        worker: None where it only keeps what an earlier bench measured.
        opened: What really runs.
        environment: The worker's machine.
        blocks: One a round of timing.
        timed: Slice and hash of the raw outputs of each query that this worker was timed with.
        scores: One a slice; empty until scored.
        outputs: Slice -> hash of the raw outputs; empty until scored.
        answers: Slice -> hash of mask and class; empty also where an older report did not keep it.
        peak_rss_mib: Most memory that the worker held, once it has ended.
        where: How errors name another machine.
        index_of: Slice -> its index in the list that the worker holds.
        throughput: One a batch size, on a GPU.
    """

    bundle: Bundle
    threads: int
    worker: Worker | None
    opened: Opened
    environment: Environment
    blocks: list[Block] = field(default_factory=list)
    timed: list[tuple[str, str]] = field(default_factory=list)
    scores: list[ImageScore] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)
    peak_rss_mib: float | None = None
    where: str = ""
    index_of: dict[str, int] = field(default_factory=dict)
    throughput: list[Throughput] = field(default_factory=list)

    @classmethod
    def start(
        cls, bundle: Bundle, threads: int, worker: Worker, target: Target, slices: Sequence[LabelledSlice]
    ) -> Measurement:
        """Greet a worker, have it open the bundle, and hold the slices that the target was prepared with."""
        environment = from_builtins(worker.hello(), Environment, "worker", WorkerFailed, extra=True)
        answer = worker.open(target.path(bundle), target.engine(bundle), threads, target.device)
        opened = from_builtins(answer, Opened, "worker", WorkerFailed, extra=True)
        worker.hold(target.listing)
        index_of = {one.id: index for index, one in enumerate(slices)}
        return cls(bundle, threads, worker, opened, environment, where=target.where, index_of=index_of)

    def same_row(self, other: Measurement) -> bool:
        """Whether both are the same bundle at the same thread count."""
        return (self.bundle.manifest_sha256, self.threads) == (other.bundle.manifest_sha256, other.threads)

    def restore(self, kept: Measurement) -> None:
        """Go on from what an earlier worker measured.

        Raises:
            TargetFailed: That worker's machine or engine was another one.
        """
        for what, before, now in (
            ("the machine", _machine(kept.environment), _machine(self.environment)),
            ("what runs", kept.opened.runs, self.opened.runs),
        ):
            if before != now:
                changed = ", ".join(_differences(before, now))
                raise TargetFailed(
                    f"{self._name}: {what} is not what it was when the bench began: {changed}",
                    "measure it anew, without --resume",
                )
        self.blocks, self.scores = list(kept.blocks), kept.scores
        self.outputs, self.answers = kept.outputs, kept.answers

    def close(self) -> None:
        """End the worker, and keep the most memory that it held."""
        self.peak_rss_mib = self._running.close()["peak_rss_mib"]

    def score(self, slices: Sequence[LabelledSlice], progress: Callable[[int], None]) -> None:
        """Predict every slice there and judge the masks here.

        Args:
            slices: The slices to score.
            progress: Called with the number of slices that are done, after each batch.
        """
        for batch in _batches(slices, SCORED_AT_ONCE):
            answers = self._running.score([self.index_of[one.id] for one in batch])
            self.refuse_skipped(len(answers), len(batch))
            for one, answer in zip(batch, answers, strict=True):
                self.outputs[one.id] = answer["outputs_sha256"]
                self._judge(one, Answer(unpack_mask(answer["mask"]), answer["class_probabilities"]))
            progress(len(self.scores))

    def time(self, slices: Sequence[LabelledSlice]) -> None:
        """Time one block: a query a slice, after a few uncounted ones."""
        warm_up = SETTLE if self.timed else WARM_UP
        answer = self._running.time([self.index_of[one.id] for one in slices], len(slices), warm_up)
        self.refuse_skipped(len(answer["outputs_sha256"]), len(slices))
        self.blocks.append(from_builtins(answer, Block, "worker", WorkerFailed, extra=True))
        self.timed += zip([one.id for one in slices], answer["outputs_sha256"], strict=True)

    @property
    def answers_alike(self) -> bool:
        """Whether one and the same answer was given to different slices: cached, or a model that ignores its input."""
        return len(self.outputs) > 1 and len(set(self.outputs.values())) == 1

    def count_same_answers(self, root: Measurement) -> int | None:
        """On how many slices mask and class are those of another measurement; None where that is not known."""
        if not self.answers or self.answers.keys() != root.answers.keys():
            return None
        return sum(root.answers[name] == sha256 for name, sha256 in self.answers.items())

    def same_outputs(self, outputs: Mapping[str, str]) -> bool:
        """Whether every timed query gave the raw outputs that the scored slice of that name gave."""
        return bool(outputs) and all(outputs.get(name) == sha256 for name, sha256 in self.timed)

    def refuse_other_answers(self) -> None:
        """Compare the timed queries with the scored slices.

        Raises:
            AnswersDiffer: Some were answered differently; the message names how.
        """
        wrong = [(name, sha256) for name, sha256 in self.timed if self.outputs[name] != sha256]
        if not wrong:
            return
        known = set(self.outputs.values())
        if len({sha256 for _, sha256 in self.timed}) == 1 and wrong[0][1] in known:
            how = f"cached: one and the same answer to {len({name for name, _ in self.timed})} slices"
        elif all(sha256 in known for _, sha256 in wrong):
            how = f"mixed up: {len(wrong)} queries got another slice's answer, {wrong[0][0]} the first"
        else:
            how = f"random: {len(wrong)} answers that scoring never gave, the first to {wrong[0][0]}"
        raise AnswersDiffer(
            f"{self._name}: timed queries were not answered as scored slices were; {how}",
            "durations and scores do not belong together: the engine must answer every query, and alike each time",
        )

    def refuse_skipped(self, answered: int, requested: int) -> None:
        """Compare the number of answers with the number of slices requested.

        Raises:
            AnswersDiffer: They differ.
        """
        if answered != requested:
            raise AnswersDiffer(
                f"{self._name}: skipped: {answered} answers to {requested} slices",
                "a slice without an answer is neither timed nor scored: see the worker's engine",
            )

    def latency_ms(self) -> Percentiles:
        """Preprocessing, engine and postprocessing of all queries, in ms."""
        return Percentiles(**summary_ms(self._all("predict_ns")))

    def engine_ms(self) -> Percentiles:
        """The interpreter alone, in ms."""
        return Percentiles(**summary_ms(self._all("engine_ns")))

    def decode_ms(self) -> Percentiles:
        """File bytes to slice, before each query, in ms."""
        return Percentiles(**summary_ms(self._all("decode_ns")))

    @property
    def queries(self) -> int:
        """Number of timed queries."""
        return len(self._all("predict_ns"))

    def _all(self, key: str) -> list[int]:
        return list(chain.from_iterable(getattr(block, key) for block in self.blocks))

    @property
    def _running(self) -> Worker:
        assert self.worker is not None, "nothing is requested where only an earlier measurement is kept"
        return self.worker

    @property
    def _name(self) -> str:
        return f"{self.bundle.name}{self.where}, {self.threads} threads"

    def _judge(self, one: LabelledSlice, answer: Answer) -> None:
        if answer.mask.shape != one.shape:
            raise AnswersDiffer(
                f"{self._name}: {one.id}: the mask is {answer.mask.shape[1]}x{answer.mask.shape[0]}, "
                f"the slice {one.shape[1]}x{one.shape[0]}: answered at another resolution",
                "probabilities are resized to the slice's own size before the threshold; see "
                "`edgebrain.runtime.session`",
            )
        self.scores.append(score_answer(one, answer, self.bundle.classes))
        label = self.scores[-1].predicted
        self.answers[one.id] = sha256_bytes(answer.mask.tobytes() + label.encode())


def _machine(environment: Environment) -> dict[str, Any]:
    """What must be alike in one row."""
    return {key: getattr(environment, key) for key in MACHINE}


def _differences(before: Mapping[str, Any], now: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """What is not the same in two tables, also in tables within."""
    for key in sorted({*before, *now}):
        one, other = before.get(key), now.get(key)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            yield from _differences(one, other, f"{prefix}{key}.")
        elif one != other:
            yield f"{prefix}{key} ({one} | {other})"


def _batches(slices: Sequence[LabelledSlice], size: int) -> Iterable[list[LabelledSlice]]:
    remaining = iter(slices)
    while batch := list(islice(remaining, size)):
        yield batch
