"""Everything that a report shows, as dataclasses: the JSON of `edgebrain report`, from which every format is made.

Schema 2: notes have a kind and a target, and parts that are missing keep their fields, empty. A field may be added
without a new number; none goes away or changes its meaning.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any

from edgebrain.benchmarking.report import DataFacts, Note, Protocol, SuiteRecord
from edgebrain.benchmarking.report_environment import Environment
from edgebrain.benchmarking.report_row import RowFigures
from edgebrain.settings import Meta

SCHEMA = 2
GENERATOR = "edgebrain report"


@dataclass(frozen=True)
class Missing:
    """Why a part of the page is empty."""

    what: Annotated[str, Meta(description="what is not here")]
    way_out: Annotated[str, Meta(description="the line that makes it, or what to do")]


@dataclass(frozen=True)
class LeftOutFile:
    """A file or run that was named and cannot be used."""

    name: Annotated[str, Meta(description="as it was named")]
    message: Annotated[str, Meta(description="what is wrong with it")]
    hint: Annotated[str, Meta(description="what to do about it")]


@dataclass(frozen=True)
class Headline:
    """Which bundle the page is about."""

    row: Annotated[int, Meta(description="index in `rows` of the bundle that the page is about")]
    rule: Annotated[str, Meta(description="how it was chosen")]


@dataclass(frozen=True)
class Bin:
    """Slices of which a model is about equally sure."""

    low: Annotated[float, Meta(description="smallest confidence of the bin")]
    high: Annotated[float, Meta(description="largest")]
    slices: Annotated[int, Meta(description="slices in it")]
    confidence: Annotated[float | None, Meta(description="their mean confidence; null for an empty bin")]
    accuracy: Annotated[float | None, Meta(description="share of them whose class is right; null for an empty bin")]


@dataclass(frozen=True)
class Reliability:
    """Whether the class probabilities are as often right as they claim."""

    ece: Annotated[float, Meta(description="expected calibration error, fraction of 1")]
    bins: Annotated[
        tuple[Bin, ...], Meta(description="bins of equal width: `low`, `high`, `slices`, `confidence`, `accuracy`")
    ]


@dataclass(frozen=True)
class MlperfChecks:
    """What MLPerf asks of a run."""

    min_duration: Annotated[bool, Meta(description="600 s were timed")]
    min_queries: Annotated[bool, Meta(description="100 queries were timed")]
    early_stopping: Annotated[bool, Meta(description="64 queries were timed, so that p90 can be estimated")]

    @property
    def all(self) -> bool:
        """Whether every one is met."""
        return self.min_duration and self.min_queries and self.early_stopping


@dataclass(frozen=True)
class Mlperf:
    """MLPerf's fields of a single-stream run, durations in ns."""

    sut_name: Annotated[str, Meta(description="bundle, engine, threads and machine")]
    scenario: Annotated[str, Meta(description="SingleStream")]
    mode: Annotated[str, Meta(description="PerformanceOnly")]
    queries: Annotated[int, Meta(description="timed queries")]
    duration_s: Annotated[float, Meta(description="their sum")]
    valid: Annotated[bool, Meta(description="all of `satisfied`")]
    satisfied: Annotated[
        MlperfChecks,
        Meta(description="`min_duration` (600 s), `min_queries` (100), `early_stopping` (64 queries)"),
    ]
    discarded: Annotated[int, Meta(description="highest latencies that early stopping would discard")]
    early_stopping_90_ns: Annotated[int | None, Meta(description="estimate of the 90th percentile")]
    early_stopping_99_ns: Annotated[
        int | None, Meta(description="estimate of the 99th; null with fewer than 662 queries")
    ]
    qps_without_loadgen_overhead: Annotated[float | None, Meta(description="1 / mean latency")]
    min_ns: Annotated[int | None, Meta(description="smallest latency")]
    max_ns: Annotated[int | None, Meta(description="largest latency")]
    mean_ns: Annotated[float | None, Meta(description="mean latency")]
    percentiles_ns: Annotated[
        dict[str, int | None],
        Meta(description="50, 90, 95, 97, 99 and 99.9: the sorted latencies at index queries * p / 100"),
    ]


@dataclass(frozen=True, kw_only=True)
class PageRow(RowFigures):
    """A row of the bench report without its raw durations, and what the page derives from it."""

    dice_low: Annotated[
        float | None,
        Meta(
            description="lower end of the interval of `dice` over groups; null with fewer than 10 groups, or where it "
            "has no end"
        ),
    ]
    dice_high: Annotated[float | None, Meta(description="upper end")]
    reliability: Annotated[
        Reliability | None, Meta(description="of the class probabilities, see below; null where nothing was scored")
    ]
    classes: Annotated[
        tuple[str, ...],
        Meta(description="names in the order of `confusion`, which is counted again from the scores"),
    ]
    parent: Annotated[
        int | None, Meta(description="index in `rows` of its float root; null for a root and where it is not here")
    ]
    speedup: Annotated[
        float | None, Meta(description="times as fast as the float32 row of the same format, by lower quartile")
    ]
    on_frontier: Annotated[bool, Meta(description="no other row is both faster and better in Dice")]
    mlperf: Annotated[Mlperf, Meta(description="MLPerf's fields of a single-stream run, durations in ns, see below")]


@dataclass(frozen=True)
class Picture:
    """A slice with the outlines of truth, float root and bundle."""

    jpeg: Annotated[str, Meta(description="the slice, base64")]
    width: Annotated[int, Meta(description="of the slice, in px")]
    height: Annotated[int, Meta(description="of the slice, in px")]
    truth: Annotated[str | None, Meta(description="outline as SVG path in px of the slice")]
    parent: Annotated[str | None, Meta(description="the float root's, or null")]
    bundle: Annotated[str, Meta(description="the bundle's")]


@dataclass(frozen=True, kw_only=True)
class WorstSlice:
    """One of the worst slices of the headline bundle."""

    name: Annotated[str, Meta(description="the slice")]
    group: Annotated[str, Meta(description="its group")]
    label: Annotated[str, Meta(description="its class")]
    plane: Annotated[str, Meta(description="its plane")]
    predicted: Annotated[str, Meta(description="the class that the bundle gives")]
    healthy: Annotated[bool, Meta(description="no tumour by its class, so that no Dice is defined")]
    dice: Annotated[float | None, Meta(description="the bundle's; null for a healthy slice")]
    true_share: Annotated[float | None, Meta(description="share of the slice that is lesion")]
    marked_share: Annotated[float, Meta(description="share that the bundle marks")]
    parent_dice: Annotated[float | None, Meta(description="the float root's")]
    parent_predicted: Annotated[str | None, Meta(description="the class that the float root gives")]
    parent_marked_share: Annotated[float | None, Meta(description="share that the float root marks")]
    picture: Annotated[
        Picture | None,
        Meta(
            description="`jpeg` in base64, `width` and `height` in px, and the outlines `truth`, `parent`, `bundle` as "
            "SVG paths"
        ),
    ]
    not_shown: Annotated[str | None, Meta(description="why there is no picture of this slice")]


@dataclass(frozen=True)
class Worst:
    """The worst slices of the headline bundle."""

    rule: Annotated[str, Meta(description="which slices are the worst")]
    bundle: Annotated[str, Meta(description="whose they are")]
    parent: Annotated[str | None, Meta(description="its float root")]
    parent_drawn: Annotated[
        str | None,
        Meta(description="whose outline is drawn for the root: the root itself where its library is installed"),
    ]
    missing: Annotated[Missing | None, Meta(description="why there are no pictures: `what`, `way_out`")]
    slices: Annotated[tuple[WorstSlice, ...], Meta(description="at most 20, worst first, see below")]


@dataclass(frozen=True, kw_only=True)
class LayerFigures:
    """What a layer of a bundle costs; null where it was not measured."""

    layer: Annotated[str, Meta(description="its name")]
    precision: Annotated[str, Meta(description="as it runs")]
    sqnr_db: Annotated[
        float | None, Meta(description="signal to noise against the layer in float on the same input, dB")
    ]
    drift_db: Annotated[float | None, Meta(description="the same against the float network's layer, dB")]
    dice_recovered: Annotated[float | None, Meta(description="Dice that the bundle gains with this layer in float")]
    dice_low: Annotated[float | None, Meta(description="lower end of its interval")] = None
    dice_high: Annotated[float | None, Meta(description="upper end")] = None
    ms: Annotated[float | None, Meta(description="time of the layer by itself")]
    macs: Annotated[int | None, Meta(description="multiply-adds")]
    bytes: Annotated[int | None, Meta(description="size of its weights")]


@dataclass(frozen=True, kw_only=True)
class Layers:
    """The headline bundle, layer by layer, as `edgebrain explain` found it."""

    bundle: Annotated[str, Meta(description="whose layers")]
    missing: Annotated[
        Missing | None, Meta(description="why they are not here: `what`, `way_out`; the fields below are then empty")
    ]
    machine: Annotated[str | None, Meta(description="what the durations were measured on")] = None
    parent: Annotated[str | None, Meta(description="what it was compared with")] = None
    data: Annotated[dict[str, Any] | None, Meta(description="`path`, `split`, `slices`")] = None
    dice: Annotated[dict[str, float | None] | None, Meta(description="`parent` and `bundle`, on these slices")] = None
    whole_ms: Annotated[float | None, Meta(description="time of the whole network")] = None
    layers: Annotated[tuple[LayerFigures, ...], Meta(description="one a layer, see below")] = ()
    notes: Annotated[tuple[str, ...], Meta(description="sentences")] = ()


@dataclass(frozen=True)
class AuditFinding:
    """A finding of the data audit."""

    level: Annotated[str, Meta(description="how bad it is")]
    title: Annotated[str, Meta(description="what was found")]
    count: Annotated[int, Meta(description="how often")]
    unit: Annotated[str, Meta(description="what is counted")]
    advice: Annotated[str, Meta(description="what to do about it")]


@dataclass(frozen=True)
class CopyBaseline:
    """What copying the nearest training slice scores on a part of the test slices."""

    part: Annotated[str, Meta(description="which slices")]
    slices: Annotated[int, Meta(description="how many")]
    accuracy: Annotated[float | None, Meta(description="share whose class is that of the nearest training slice")]
    masks: Annotated[int, Meta(description="slices with a mask")]
    dice: Annotated[float | None, Meta(description="mean Dice of the copied masks")]


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What `edgebrain data audit` found in the data."""

    missing: Annotated[Missing | None, Meta(description="why it is not here; the fields below are then empty")] = None
    root: Annotated[str | None, Meta(description="the data folder")] = None
    slices: Annotated[int | None, Meta(description="pictures found")] = None
    readable: Annotated[int | None, Meta(description="pictures that can be read")] = None
    sides: Annotated[dict[str, int], Meta(description="side -> slices")] = field(default_factory=dict)
    classes: Annotated[dict[str, int], Meta(description="class -> slices")] = field(default_factory=dict)
    groups: Annotated[int | None, Meta(description="groups found and given")] = None
    findings: Annotated[
        tuple[AuditFinding, ...],
        Meta(description="`level`, `title`, `count`, `unit`, `advice`; worst first"),
    ] = ()
    copy_baselines: Annotated[
        tuple[CopyBaseline, ...] | None, Meta(description="`part`, `slices`, `accuracy`, `masks`, `dice`")
    ] = None
    shortcuts: Annotated[
        tuple[dict[str, Any], ...], Meta(description="facts that give the class away without the picture")
    ] = ()
    notes: Annotated[tuple[str, ...], Meta(description="sentences")] = ()


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """The data that a run was trained on."""

    path: Annotated[str | None, Meta(description="its folder")] = None
    kind: Annotated[str | None, Meta(description="its layout")] = None
    groups: Annotated[str | None, Meta(description="the CSV of groups that was used")] = None
    sha256: Annotated[str | None, Meta(description="SHA-256 of its content")] = None
    slices: Annotated[int | None, Meta(description="how many")] = None


@dataclass(frozen=True)
class Figures:
    """Dice and accuracy of a float bundle or of copying."""

    dice: Annotated[float | None, Meta(description="mean Dice")]
    accuracy: Annotated[float | None, Meta(description="share of slices whose class is right")]


@dataclass(frozen=True, kw_only=True)
class Training:
    """What the run recorded."""

    missing: Annotated[Missing | None, Meta(description="why it is not here; the fields below are then empty")] = None
    run: Annotated[str | None, Meta(description="the run folder")] = None
    recipe: Annotated[dict[str, Any] | None, Meta(description="`name`, `sha256`")] = None
    data: Annotated[TrainingData, Meta(description="`path`, `kind`, `groups` (the CSV used), `sha256`, `slices`")] = (
        TrainingData()
    )
    mask_encoding: Annotated[
        dict[str, Any] | None,
        Meta(description="how the masks are written: `name`, `above`, `levels`; null in older runs"),
    ] = None
    left_out: Annotated[str | None, Meta(description="what was left out, in a sentence; null where nothing is")] = None
    rejected: Annotated[int, Meta(description="slices that could not be used and were left out")] = 0
    split: Annotated[dict[str, Any] | None, Meta(description="`sha256`, and `slices` on each side")] = None
    backend: Annotated[str | None, Meta(description="what Keras ran on")] = None
    copying: Annotated[
        Figures | None,
        Meta(description="what copying the nearest training slice scores on `side`: `dice`, `accuracy`"),
    ] = None
    side: Annotated[str | None, Meta(description="where the float bundle was scored after training")] = None
    validation: Annotated[
        Figures | None,
        Meta(description="the float bundle's `dice` and `accuracy` there, every slice counting once"),
    ] = None


@dataclass(frozen=True, kw_only=True)
class LineageEntry:
    """Where a bundle comes from, by hash."""

    bundle: Annotated[str, Meta(description="name")]
    manifest_sha256: Annotated[str, Meta(description="SHA-256 of its manifest")]
    here: Annotated[bool, Meta(description="the very bundle was found, and the fields below are its manifest's")]
    parent_sha256: Annotated[str | None, Meta(description="manifest of the bundle that it was made from")] = None
    recipe: Annotated[dict[str, Any] | None, Meta(description="`name`, `sha256`")] = None
    data_sha256: Annotated[str | None, Meta(description="of the training data")] = None
    split_sha256: Annotated[str | None, Meta(description="of the split")] = None
    calibration_sha256: Annotated[str | None, Meta(description="of the list of calibration slices")] = None
    calibration_slices: Annotated[int | None, Meta(description="how many were listed")] = None
    calibration_seen: Annotated[int | None, Meta(description="how many the observers saw")] = None
    seeds: Annotated[dict[str, Any] | None, Meta(description="of training and split")] = None
    kept_float: Annotated[tuple[Any, ...], Meta(description="operators with multiply-adds that are not int8")] = ()
    input: Annotated[tuple[int, ...] | None, Meta(description="shape of the input tensor")] = None


@dataclass(frozen=True, kw_only=True)
class PageReport:
    """A bench report on one machine, and what the run knows besides."""

    source: Annotated[str, Meta(description="the bench report's file")]
    source_sha256: Annotated[str, Meta(description="SHA-256 of that file")]
    machine: Annotated[str, Meta(description="what the latencies were measured on: board or processor, and its cores")]
    environment: Annotated[Environment, Meta(description="of the bench report")]
    protocol: Annotated[Protocol, Meta(description="of the bench report")]
    suite: Annotated[SuiteRecord, Meta(description="of the bench report")]
    data: Annotated[DataFacts, Meta(description="of the bench report")]
    notes: Annotated[tuple[Note, ...], Meta(description="of the bench report")]
    rows: Annotated[tuple[PageRow, ...], Meta(description="one a bundle and thread count, see below")]
    headline: Annotated[
        Headline,
        Meta(description="`row`: index in `rows` of the bundle that the page is about; `rule`: how it was chosen"),
    ]
    worst: Annotated[Worst, Meta(description="the headline bundle's worst slices, see below")]
    layers: Annotated[Layers, Meta(description="the headline bundle, layer by layer, see below")]
    audit: Annotated[Audit, Meta(description="what the data hide, see below")]
    training: Annotated[Training, Meta(description="what the run recorded, see below")]
    lineage: Annotated[tuple[LineageEntry, ...], Meta(description="where each bundle comes from, see below")]

    @property
    def headline_row(self) -> PageRow:
        """The row of the bundle that the page is about."""
        return self.rows[self.headline.row]

    def parent_of(self, row: PageRow) -> PageRow | None:
        """The row of the float root that a row is compared with; None for a root and where it is not here."""
        return None if row.parent is None else self.rows[row.parent]


@dataclass(frozen=True, kw_only=True)
class Page:
    """The page: a report for each bench and machine."""

    generator: Annotated[
        str, Meta(description="`edgebrain report`, by which an earlier report is known and may be replaced")
    ] = GENERATOR
    schema: Annotated[int, Meta(description="version of this schema, 2")] = SCHEMA
    version: Annotated[str, Meta(description="version of edgebrain")]
    reports: Annotated[
        tuple[PageReport, ...],
        Meta(description="one entry a bench report and machine, see below; kept apart, because each has its machine"),
    ]
    left_out: Annotated[
        tuple[LeftOutFile, ...], Meta(description="what was named and could not be used: `name`, `message`, `hint`")
    ] = ()


ROW_TITLE = "rows: the fields of `results` in bench-schema.md but `blocks`, and"
SECTIONS: dict[str, type] = {
    "The page": Page,
    "reports": PageReport,
    "worst": Worst,
    "worst.slices": WorstSlice,
    "layers": Layers,
    "layers.layers": LayerFigures,
    "audit": Audit,
    "training": Training,
    "lineage": LineageEntry,
    "rows.reliability": Reliability,
    "rows.mlperf": Mlperf,
}
