"""The report of `edgebrain bench --json` as dataclasses: JSON schema, check and documentation are made from them.

Schema 3: machines are in `environments` alone, `asked` is called `request`, notes have a kind and a target, and what
was null where there is none (`failures`, `throughput`) is an empty list. Reports of schema 2 are still read. A field
may be added without a new number; none goes away or changes its meaning.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from edgebrain.benchmarking.report_environment import Environment, MachineState
from edgebrain.benchmarking.report_row import (
    NOT_JUDGED,
    Block,
    Counts,
    DeviceDrop,
    Drop,
    Noise,
    Percentiles,
    Row,
    RowFigures,
    RowVerdict,
    Throughput,
)
from edgebrain.errors import BadReport
from edgebrain.evaluation.scores import ImageScore
from edgebrain.evaluation.verdict import FAIL, Comparison, Margins, Sampling
from edgebrain.files import read_json
from edgebrain.settings import Meta, as_builtins, from_builtins

SCHEMA = 3
AnyRow = TypeVar("AnyRow", bound=RowFigures)
MEASURE_AGAIN = "measure again with `edgebrain bench --json FILE`"

NoteKind = Literal[
    "no-parent", "not-counted", "not-measured", "no-throughput", "resumed", "only-scored", "emulated", "lost",
    "same-answer", "invalid", "noisy", "unclassified",
]  # fmt: skip


@dataclass(frozen=True)
class Note:
    """What a reader must know. A later bench finds a note by its kind and target, never by its text."""

    kind: Annotated[
        NoteKind,
        Meta(
            description="no-parent, not-counted (the int8 share), not-measured, no-throughput, resumed, only-scored, "
            "emulated, lost, same-answer, invalid, noisy; unclassified in reports of schema 2"
        ),
    ]
    text: Annotated[str, Meta(description="a sentence")]
    target: Annotated[str | None, Meta(description="the target that it is about; null where it is about none")] = None
    bundle: Annotated[str | None, Meta(description="the bundle that it is about; null where it is about none")] = None


@dataclass(frozen=True)
class Failure:
    """A target that was not there, or was lost while it was measured."""

    target: Annotated[str, Meta(description="name of the target")]
    message: Annotated[str, Meta(description="what happened")]
    hint: Annotated[str, Meta(description="what to do about it")]
    rows: Annotated[int, Meta(description="rows of that target that were kept")]


@dataclass(frozen=True)
class Protocol:
    """How a bench measured."""

    queries: Annotated[int, Meta(description="timed queries of each row")]
    rounds: Annotated[
        int, Meta(description="rounds; in each, every row answers one block, another row first each time")
    ]
    block: Annotated[int, Meta(description="queries of one row in one round")]
    warm_up: Annotated[int, Meta(description="uncounted queries before the first block")]
    settle: Annotated[int, Meta(description="uncounted queries before every further block")]
    timed_slices: Annotated[int, Meta(description="different slices in the timed queries of a row")]
    threads: Annotated[tuple[int, ...], Meta(description="thread counts")]
    batch: Annotated[int, Meta(description="slices a query, 1")]


@dataclass(frozen=True)
class SuiteRecord:
    """What a bundle may lose, as it was declared before measuring."""

    name: Annotated[str, Meta(description="name of the suite")]
    margins: Annotated[
        Margins,
        Meta(description="largest accepted losses, fractions of 1; see `edgebrain.evaluation.verdict.Margins`"),
    ]
    sampling: Annotated[
        Sampling, Meta(description="`confidence` of the intervals, `resamples` and `seed` of the bootstrap")
    ]
    source: Annotated[str, Meta(description="the file or option that declared it, or built in")]
    sha256: Annotated[str, Meta(description="SHA-256 of the JSON of name, margins and sampling")]


@dataclass(frozen=True)
class RejectedSlice:
    """A slice of the side that cannot be used."""

    name: Annotated[str, Meta(description="name of the slice")]
    reason: Annotated[str, Meta(description="why it cannot be used")]


@dataclass(frozen=True, kw_only=True)
class DataFacts:
    """Which slices were measured on. A bench that the command did not start need not know more than their number."""

    slices: Annotated[int, Meta(description="number of slices scored")]
    path: Annotated[str | None, Meta(description="the data folder")] = None
    split: Annotated[str | None, Meta(description="side: train, val, test or all")] = None
    source: Annotated[
        str | None, Meta(description="where the side is defined: the run's split, or the data set's folders")
    ] = None
    names_sha256: Annotated[str | None, Meta(description="SHA-256 of the JSON list of their names")] = None
    content_sha256: Annotated[
        str | None,
        Meta(description="SHA-256 over name, picture, mask, label, plane and group of each, which `--resume` compares"),
    ] = None
    mask_encoding: Annotated[
        dict[str, Any] | None,
        Meta(
            description="how the masks are written: `name` (0/255, 0/1, ...), `above` (a pixel above it is lesion), "
            "`levels`; null where no mask marks anything"
        ),
    ] = None
    rejected: Annotated[
        tuple[RejectedSlice, ...],
        Meta(description="slices of that side that cannot be used and were left out: `name`, `reason`"),
    ] = ()
    left_out: Annotated[
        str | None,
        Meta(description="their number and the first reason in a sentence; null where nothing is left out"),
    ] = None


@dataclass(frozen=True)
class Request:
    """What was asked for, for `--resume`; the rest of it is in protocol, data and suite."""

    bundles: Annotated[tuple[str, ...], Meta(description="bundles or folders, as they were named")]
    targets: Annotated[tuple[str, ...], Meta(description="targets, as they were named")]
    threads: Annotated[tuple[int, ...], Meta(description="thread counts; empty for the targets' own")]


@dataclass(frozen=True)
class ScoredSlice:
    """The score of one slice, at its own size; null where a figure is not defined: a healthy slice has no Dice."""

    name: Annotated[str, Meta(description="name of the slice")]
    group: Annotated[str, Meta(description="its group: a patient, or the copies of one picture")]
    label: Annotated[str, Meta(description="its class")]
    plane: Annotated[str, Meta(description="axial, coronal or sagittal")]
    predicted: Annotated[str, Meta(description="the class that the bundle gives")]
    class_probabilities: Annotated[
        tuple[float, ...], Meta(description="in [0, 1], in the order of the bundle's classes")
    ]
    dice: Annotated[float | None, Meta(description="overlap of predicted and true lesion")]
    iou: Annotated[float | None, Meta(description="the same as intersection over union")]
    pixel_accuracy: Annotated[float | None, Meta(description="share of the pixels that are right")]
    sensitivity: Annotated[float | None, Meta(description="share of the lesion's pixels that were found")]
    specificity: Annotated[float | None, Meta(description="share of the other pixels that were left unmarked")]
    true_area: Annotated[int | None, Meta(description="lesion in px; null without a drawn mask")]
    predicted_area: Annotated[int, Meta(description="predicted lesion in px")]
    pixels: Annotated[int, Meta(description="size of the slice in px")]
    hd95_px: Annotated[float | None, Meta(description="95th percentile Hausdorff distance in px")] = None
    surface_dice: Annotated[float | None, Meta(description="share of the outlines within 2 px of each other")] = None
    outputs_sha256: Annotated[str | None, Meta(description="SHA-256 of the raw outputs")] = None
    answer_sha256: Annotated[str | None, Meta(description="SHA-256 of mask and class; null in older reports")] = None

    @classmethod
    def of(cls, score: ImageScore, outputs_sha256: str | None, answer_sha256: str | None) -> ScoredSlice:
        """The entry of a score."""
        values = score.as_json()
        values["class_probabilities"] = tuple(values["class_probabilities"])
        return cls(**values, outputs_sha256=outputs_sha256, answer_sha256=answer_sha256)

    def score(self) -> ImageScore:
        """The score that the entry holds, with NaN where a figure is not defined."""
        return ImageScore.from_json({field.name: getattr(self, field.name) for field in fields(self)})


@dataclass(frozen=True)
class ScoredBundle:
    """The scores of a bundle on a target. Rows whose thread counts change no answer share one entry."""

    bundle: Annotated[str, Meta(description="name of the bundle")]
    path: Annotated[str, Meta(description="its folder")]
    threads: Annotated[int, Meta(description="thread count at which it was scored")]
    scores: Annotated[tuple[ScoredSlice, ...], Meta(description="one a slice, see below")]
    target: Annotated[str | None, Meta(description="where it was scored; null in older reports")] = None

    def image_scores(self) -> list[ImageScore]:
        """The scores, in the order of the slices."""
        return [one.score() for one in self.scores]


@dataclass(frozen=True, kw_only=True)
class Report:
    """A bench: machines, protocol, suite, data, and a row for each bundle, target and thread count."""

    schema: Annotated[int, Meta(description="version of this schema, 3")] = SCHEMA
    environments: Annotated[
        dict[str, Environment], Meta(description="target -> its machine before measuring, see below")
    ]
    protocol: Annotated[Protocol, Meta(description="how it was measured, see below")]
    suite: Annotated[SuiteRecord, Meta(description="what a bundle may lose, declared before measuring, see below")]
    data: Annotated[DataFacts, Meta(description="which slices, see below")]
    results: Annotated[tuple[Row, ...], Meta(description="one row a bundle, target and thread count, see below")]
    images: Annotated[
        tuple[ScoredBundle, ...],
        Meta(
            description="the scores behind the rows, see below: those of `results[i]` are in "
            "`images[results[i].images]`; a bundle has another entry for a thread count at which it answered otherwise"
        ),
    ]
    failures: Annotated[
        tuple[Failure, ...], Meta(description="targets that were not there or were lost, see below")
    ] = ()
    request: Annotated[
        Request | None, Meta(description="what `--resume` needs to go on, see below; null in older reports")
    ] = None
    notes: Annotated[tuple[Note, ...], Meta(description="what is missing, which rows are noisy, see below")] = ()

    @property
    def failed(self) -> bool:
        """Whether a bundle loses more than its margin."""
        return any(row.verdict.outcome == FAIL for row in self.results)

    @property
    def unjudged(self) -> list[str]:
        """The bundles whose float root was not measured, so that no margin could be tested."""
        return [row.bundle for row in self.results if row.verdict.outcome == NOT_JUDGED]


SECTIONS: dict[str, type] = {
    "The report": Report,
    "environments": Environment,
    "protocol": Protocol,
    "suite": SuiteRecord,
    "data": DataFacts,
    "request": Request,
    "failures": Failure,
    "notes": Note,
    "results": Row,
    "verdict": RowVerdict,
    "comparisons": Comparison,
    "drop": Drop,
    "device_drop": DeviceDrop,
    "counts": Counts,
    "latency_ms, engine_ms, decode_ms": Percentiles,
    "noise": Noise,
    "blocks": Block,
    "before, after": MachineState,
    "throughput": Throughput,
    "images": ScoredBundle,
    "images.scores": ScoredSlice,
}


def parse_report(values: Any, name: str = "report") -> Report:
    """Turn a JSON object into a report; unknown fields are dropped, schema 2 is converted.

    Args:
        values: Dictionaries, lists, texts and numbers.
        name: The file, as messages name it.

    Raises:
        BadReport: Another schema, a missing field or one of another type, named by its path.
    """
    if not isinstance(values, dict):
        raise BadReport(f"{name}: is {type(values).__name__}, not an object", MEASURE_AGAIN)
    found = values.get("schema")
    if not isinstance(found, int) or isinstance(found, bool):
        raise BadReport(f"{name}: key 'schema' is missing or no number", MEASURE_AGAIN)
    if found > SCHEMA:
        raise BadReport(
            f"{name}: schema {found} is newer than {SCHEMA}, the newest this edgebrain reads",
            "pip install --upgrade edgebrain",
        )
    if found == 2:
        from edgebrain.benchmarking.old_report import from_schema_2

        values = from_schema_2(values)
    elif found < SCHEMA:
        raise BadReport(f"{name}: schema {found} is older than 2; its figures mean something else", MEASURE_AGAIN)
    return from_builtins(values, Report, name, BadReport, MEASURE_AGAIN, extra=True)


def read_report(path: Path) -> Report:
    """Read a report from a file and check that its figures follow from its scores.

    Raises:
        BadReport: The file cannot be read, is no report, or was edited.
    """
    from edgebrain.benchmarking.verify_report import check_figures

    report = parse_report(read_json(path, BadReport, MEASURE_AGAIN), str(path))
    check_figures(report, str(path))
    return report


def as_json(report: Report) -> dict[str, Any]:
    """The report as JSON object: dictionaries, lists, texts and numbers."""
    return dict(as_builtins(report))


def scored_rows(rows: Sequence[AnyRow]) -> list[AnyRow]:
    """One row a bundle, and another for a thread count that changed what the bundle answers."""
    return list({row.images: row for row in reversed(rows)}.values())[::-1]
