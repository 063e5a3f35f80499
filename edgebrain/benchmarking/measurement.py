"""One bundle at one thread count in one worker: what it was asked, and what it answered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

import numpy as np

from edgebrain.benchmarking.noise import invalid_because, noise_of
from edgebrain.bundle import Bundle
from edgebrain.data.sample import Record, read
from edgebrain.errors import AnswersDiffer, TargetFailed
from edgebrain.evaluation.scores import ImageScore, score_image
from edgebrain.files import sha256_bytes
from edgebrain.runtime.header import read_header
from edgebrain.runtime.latency import SETTLE, WARM_UP, summary_ms
from edgebrain.runtime.worker import unpack_mask
from edgebrain.targets import Target
from edgebrain.targets.worker import Worker

SCORED_AT_ONCE = 16
# Durations of one row are of one machine, with the same libraries.
MACHINE = ("machine", "cpu", "board", "cores_usable", "flags", "libc", "python", "versions")
# What the report keeps of a block: the raw durations, and the machine before and after.
KEPT = ("predict_ns", "engine_ns", "decode_ns", "before", "after")


@dataclass
class Lane:
    """A bundle in a worker, or what a worker that is gone has answered.

    worker: None for a lane that only keeps what an earlier bench measured. opened: the worker's answer to `open`.
    blocks: its answers to `time`. timed_names: the slices that this worker was timed with. scores: one a slice scored.
    outputs: hash of the raw outputs by slice name; both empty until scored. answers: hash of mask and class by slice
    name; empty also for a lane of an older report. where: how errors name another machine.
    places: of the slices, by name, in the list that the worker holds. throughput: one a batch size, on a GPU.
    """

    bundle: Bundle
    threads: int
    worker: Worker | None
    opened: dict[str, Any]
    environment: dict[str, Any]
    blocks: list[dict[str, Any]] = field(default_factory=list)
    timed_names: list[str] = field(default_factory=list)
    scores: list[ImageScore] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)
    peak_rss_mib: float | None = None
    where: str = ""
    places: dict[str, int] = field(default_factory=dict)
    throughput: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def start(cls, bundle: Bundle, threads: int, worker: Worker, target: Target, records: Sequence[Record]) -> Lane:
        """Greet a worker, have it open the bundle, and hold the slices that the target was prepared with."""
        environment = worker.hello()
        opened = worker.open(target.path(bundle), target.engine(bundle), threads, target.device)
        worker.hold(target.listing)
        places = {record.name: place for place, record in enumerate(records)}
        return cls(bundle, threads, worker, opened, environment, where=target.where, places=places)

    def same_row(self, other: Lane) -> bool:
        """Whether both are the same bundle at the same thread count."""
        return (self.bundle.manifest_sha256, self.threads) == (other.bundle.manifest_sha256, other.threads)

    def take_up(self, kept: Lane) -> None:
        """Go on from what an earlier worker measured. Raises TargetFailed: it did not run what this one runs."""
        for what, before, now in (
            ("the machine", _machine(kept.environment), _machine(self.environment)),
            ("what runs", kept.opened["runs"], self.opened["runs"]),
        ):
            if before != now:
                changed = ", ".join(_differences(before, now))
                raise TargetFailed(
                    f"{self._who}: {what} is not what it was when the bench began: {changed}",
                    "measure it anew, without --resume",
                )
        self.blocks, self.scores = list(kept.blocks), kept.scores
        self.outputs, self.answers = kept.outputs, kept.answers

    def close(self) -> None:
        """End the worker, and keep the most memory that it held."""
        self.peak_rss_mib = self._asked.close()["peak_rss_mib"]

    def score(self, records: Sequence[Record], told: Callable[[int], None]) -> None:
        """Predict every record there and judge the masks here. told: how many are done, after each batch."""
        for batch in _batches(records, SCORED_AT_ONCE):
            answers = self._asked.score([self.places[record.name] for record in batch])
            self.refuse_skipped(len(answers), len(batch))
            for record, answer in zip(batch, answers, strict=True):
                self.outputs[record.name] = answer["outputs_sha256"]
                predicted = unpack_mask(answer["mask"])
                self.scores.append(self._judge(record, predicted, answer["class_probabilities"]))
                label = self.scores[-1].predicted
                self.answers[record.name] = sha256_bytes(predicted.tobytes() + label.encode())
            told(len(self.scores))

    def time(self, records: Sequence[Record]) -> None:
        """Time one block: a query a record, after a few uncounted ones."""
        warm_up = SETTLE if self.timed_names else WARM_UP
        places = [self.places[record.name] for record in records]
        self.blocks.append(self._asked.time(places, len(records), warm_up))
        self.refuse_skipped(len(self.blocks[-1]["outputs_sha256"]), len(records))
        self.timed_names += [record.name for record in records]

    @property
    def answers_alike(self) -> bool:
        """Whether one and the same answer was given to different slices: cached, or a model that does not look."""
        return len(self.outputs) > 1 and len(set(self.outputs.values())) == 1

    def answers_as(self, root: Lane) -> int | None:
        """On how many slices mask and class are those of another lane; None where that is not known."""
        if not self.answers or self.answers.keys() != root.answers.keys():
            return None
        return sum(root.answers[name] == sha256 for name, sha256 in self.answers.items())

    def same_outputs(self, outputs: dict[str, str]) -> bool:
        """Whether every timed query gave the raw outputs that the scored slices of that name gave."""
        return bool(outputs) and all(outputs.get(name) == sha256 for name, sha256 in self._timed)

    def refuse_other_answers(self) -> None:
        """Raises AnswersDiffer, which says in which way timed queries were not answered as the scored slices were."""
        wrong = [(name, sha256) for name, sha256 in self._timed if self.outputs[name] != sha256]
        if not wrong:
            return
        known = set(self.outputs.values())
        if len({sha256 for _, sha256 in self._timed}) == 1 and wrong[0][1] in known:
            how = f"cached: one and the same answer to {len(set(self.timed_names))} slices"
        elif all(sha256 in known for _, sha256 in wrong):
            how = f"mixed up: {len(wrong)} queries got another slice's answer, {wrong[0][0]} the first"
        else:
            how = f"random: {len(wrong)} answers that scoring never gave, the first to {wrong[0][0]}"
        raise AnswersDiffer(
            f"{self._who}: timed queries were not answered as scored slices were; {how}",
            "durations and scores do not belong together: the engine must answer every query, and alike each time",
        )

    @property
    def _asked(self) -> Worker:
        assert self.worker is not None, "nothing is asked of a lane that was measured before"
        return self.worker

    @property
    def _timed(self) -> list[tuple[str, str]]:
        """Slice and hash of the raw outputs of each timed query."""
        # Blocks of an earlier bench hold no hashes any more: they were compared then.
        hashes = chain.from_iterable(block.get("outputs_sha256", ()) for block in self.blocks)
        return list(zip(self.timed_names, hashes, strict=True))

    @property
    def _who(self) -> str:
        return f"{self.bundle.name}{self.where}, {self.threads} threads"

    def refuse_skipped(self, answered: int, asked: int) -> None:
        """Raises AnswersDiffer: so many slices were asked for, and others were answered."""
        if answered != asked:
            raise AnswersDiffer(
                f"{self._who}: skipped: {answered} answers to {asked} slices",
                "a slice without an answer is neither timed nor scored: see the worker's engine",
            )

    def _judge(self, record: Record, predicted: np.ndarray, class_probabilities: Sequence[float]) -> ImageScore:
        """predicted: (H, W) bool, as answered."""
        header = read_header(read(record.image_path), str(record.image_path))
        if predicted.shape != (header.height, header.width):
            raise AnswersDiffer(
                f"{self._who}: {record.name}: the mask is {predicted.shape[1]}x{predicted.shape[0]}, "
                f"the slice {header.width}x{header.height}: answered at another resolution",
                "probabilities are grown to the slice's own size before they are cut; see `edgebrain.runtime.session`",
            )
        return score_image(
            record.name,
            record.group,
            record.label,
            record.plane,
            self.bundle.classes,
            predicted,
            record.load_mask(predicted.shape),
            class_probabilities,
        )

    def timing(self) -> dict[str, Any]:
        """The figures of all blocks: latency_ms (transform, engine, back), engine_ms, decode_ms, throughput, noise."""
        latency = summary_ms(self._all("predict_ns"))
        return {
            "latency_ms": latency,
            "engine_ms": summary_ms(self._all("engine_ns")),
            "decode_ms": summary_ms(self._all("decode_ns")),
            "throughput_per_s": 1e3 / latency["mean"] if latency["mean"] else None,
            "queries": len(self._all("predict_ns")),
            "noise": noise_of(self.blocks),
            "invalid": invalid_because(self.blocks),
            "blocks": [{key: block[key] for key in KEPT} for block in self.blocks],
        }

    def _all(self, key: str) -> list[int]:
        return list(chain.from_iterable(block[key] for block in self.blocks))


def _machine(environment: Mapping[str, Any]) -> dict[str, Any]:
    """What must be alike in one row."""
    return {key: environment.get(key) for key in MACHINE}


def _differences(before: Mapping[str, Any], now: Mapping[str, Any], place: str = "") -> Iterator[str]:
    """What is not the same in two tables, also in tables within."""
    for key in sorted({*before, *now}):
        one, other = before.get(key), now.get(key)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            yield from _differences(one, other, f"{place}{key}.")
        elif one != other:
            yield f"{place}{key} ({one} | {other})"


def _batches(records: Sequence[Record], size: int) -> Iterable[list[Record]]:
    remaining = iter(records)
    while batch := list(islice(remaining, size)):
        yield batch
