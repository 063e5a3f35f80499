"""The part of a bench report that holds figures: one row a bundle, target and thread count, and its verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from edgebrain.benchmarking.report_environment import MachineState
from edgebrain.evaluation.verdict import Comparison
from edgebrain.settings import Meta

# Outcomes of rows without a test: the float root itself, and a row whose float root was not measured.
REFERENCE, NOT_JUDGED = "REFERENCE", "NOT JUDGED"
CALL_NS = (
    "raw durations, in ns: slices in memory to masks and classes, that is preprocessing of each, one call of the "
    "engine with the copies to the device and back, postprocessing of each"
)


@dataclass(frozen=True)
class Percentiles:
    """Durations of a row in ms; None where fewer queries were made than a percentile needs."""

    p25: Annotated[float | None, Meta(description="lower quartile, nearest rank; null with fewer than 17 queries")]
    p50: Annotated[float | None, Meta(description="median, nearest rank; null with fewer than 7 queries")]
    p90: Annotated[
        float | None,
        Meta(description="MLPerf's early stopping estimate, an upper bound; null with fewer than 64 queries"),
    ]
    p99: Annotated[float | None, Meta(description="the same; null with fewer than 662 queries")]
    mean: Annotated[float | None, Meta(description="arithmetic mean")]


@dataclass(frozen=True)
class Block:
    """The queries of one row in one round."""

    predict_ns: Annotated[tuple[int, ...], Meta(description="one a query: slice in memory to mask and class, in ns")]
    engine_ns: Annotated[tuple[int, ...], Meta(description="one a query: the interpreter alone, in ns")]
    decode_ns: Annotated[tuple[int, ...], Meta(description="one a query: file bytes to slice, before the query, in ns")]
    before: Annotated[MachineState, Meta(description="the machine before the block, see below")]
    after: Annotated[MachineState, Meta(description="and after it")]


@dataclass(frozen=True)
class Noise:
    """What disturbed the durations of a row; None where it cannot be read."""

    steal_share: Annotated[float | None, Meta(description="share of the CPU time that the host took")]
    drift: Annotated[float | None, Meta(description="last quarter's median / first quarter's - 1")]
    governor: Annotated[str | None, Meta(description="frequency governor after the last block")]
    frequency_mhz: Annotated[tuple[float, float] | None, Meta(description="lowest and highest clock after a block")]
    temperature_c: Annotated[
        tuple[float, float] | None, Meta(description="lowest and highest temperature after a block, degrees Celsius")
    ]


@dataclass(frozen=True)
class Throughput:
    """Slices a second where one call of the engine answers several."""

    batch: Annotated[int, Meta(description="slices in a call")]
    slices: Annotated[int, Meta(description="slices asked for, after 10 uncounted calls")]
    slices_per_s: Annotated[float, Meta(description="`slices` / sum of `call_ns`")]
    slices_differing: Annotated[int, Meta(description="different slices with other raw outputs than the scored ones")]
    call_ns: Annotated[tuple[int, ...], Meta(description=CALL_NS)]
    before: Annotated[MachineState, Meta(description="the machine before, as in `blocks`")]
    after: Annotated[MachineState, Meta(description="and after")]


@dataclass(frozen=True)
class Counts:
    """How many slices the figures of a row are of."""

    slices: Annotated[int, Meta(description="slices scored")]
    tumours: Annotated[int, Meta(description="slices with a tumour")]
    tumours_with_mask: Annotated[int, Meta(description="of these, slices with a mask")]
    healthy: Annotated[int, Meta(description="slices without a tumour")]
    groups: Annotated[int, Meta(description="groups: patients, or copies of one picture")]


@dataclass(frozen=True)
class Drop:
    """What a row loses against its float root, as fractions of 1; None where the root was not measured."""

    dice: Annotated[float | None, Meta(description="mean Dice of the float root minus this row's")]
    accuracy: Annotated[float | None, Meta(description="accuracy of the float root minus this row's")]


@dataclass(frozen=True)
class DeviceDrop:
    """The device's part of a drop: this bundle on this machine against the same bundle on the target."""

    dice: Annotated[float | None, Meta(description="mean Dice here minus there")]
    accuracy: Annotated[float | None, Meta(description="accuracy here minus there")]
    slices_differing: Annotated[int, Meta(description="slices with other raw outputs there than here")]


@dataclass(frozen=True)
class RowVerdict:
    """Whether a bundle keeps to the margins of the suite."""

    outcome: Annotated[
        str,
        Meta(
            description="PASS, FAIL, INCONCLUSIVE; REFERENCE for the float root, NOT JUDGED where the root was not "
            "measured"
        ),
    ]
    reason: Annotated[str | None, Meta(description="where the outcome does not follow from the comparisons")]
    comparisons: Annotated[
        tuple[Comparison, ...],
        Meta(description="one a question, see below; empty for REFERENCE and NOT JUDGED"),
    ]
    same_answers: Annotated[
        int | None,
        Meta(
            description="slices on which mask and class are those of the float root, to the pixel; null where the "
            "root was not measured"
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class RowFigures:
    """Everything that is known of a bundle on a target at a thread count, but the raw durations."""

    bundle: Annotated[str, Meta(description="name of the bundle")]
    path: Annotated[str, Meta(description="its folder")]
    manifest_sha256: Annotated[str, Meta(description="SHA-256 of its manifest")]
    format: Annotated[str, Meta(description="name of the model file's format: keras, tflite, openvino, onnx, ...")]
    precision: Annotated[
        str, Meta(description="float32, float16, int8 or mixed, as the manifest says; what ran is in `runs`")
    ]
    target: Annotated[str, Meta(description="where it ran; its machine is in the report's `environments`")]
    emulated: Annotated[
        bool, Meta(description="the target's processor is emulated, so nothing was timed and no memory is given")
    ] = False
    threads: Annotated[int, Meta(description="threads of the interpreter and of OpenCV")]
    runs: Annotated[
        dict[str, Any],
        Meta(
            description="what really ran: `engine`, `version`, `device`, `precision`, `threads`, `delegate` or "
            "provider; of Keras also `call`, how the network is called"
        ),
    ]
    size_bytes: Annotated[int, Meta(description="the model's files, without manifest and lists")]
    parameters: Annotated[int, Meta(description="numbers stored, batch normalisation included")]
    macs: Annotated[int, Meta(description="multiply-adds of one slice")]
    int8_mac_share: Annotated[
        float | None, Meta(description="share of the multiply-adds that are int8, counted in the written file")
    ]
    load_ms: Annotated[
        float | None, Meta(description="reading, verifying and loading the bundle; null on an emulated target")
    ]
    latency_ms: Annotated[
        Percentiles,
        Meta(
            description="one slice in memory to mask and class: preprocessing, engine, postprocessing; without decoding"
        ),
    ]
    engine_ms: Annotated[Percentiles, Meta(description="the interpreter alone")]
    decode_ms: Annotated[Percentiles, Meta(description="file bytes to slice, before the query")]
    throughput_per_s: Annotated[
        float | None, Meta(description="slices a second, one after the other: 1000 / mean latency")
    ]
    throughput: Annotated[
        tuple[Throughput, ...],
        Meta(description="several slices in one call of the engine, one a batch size, see below; on a GPU only"),
    ] = ()
    queries: Annotated[int, Meta(description="timed queries")]
    noise: Annotated[Noise, Meta(description="what disturbed the durations, see below")]
    invalid: Annotated[
        str | None,
        Meta(
            description="why the durations do not count: the board was held back (bits 0 to 3 of `throttled`) before, "
            "after or within a block, or the host of a virtual machine took more than 10 % of the CPU"
        ),
    ] = None
    images: Annotated[int, Meta(description="index of this row's scores in the report's `images`")]
    rss_after_load_mib: Annotated[float | None, Meta(description="memory of the process after loading, in MiB")]
    peak_rss_mib: Annotated[
        float | None, Meta(description="most memory of the process, from its start to the last query, in MiB")
    ]
    dice: Annotated[
        float | None,
        Meta(description="tumour slices with a mask, at native size; mean over groups of the mean of their slices"),
    ]
    iou: Annotated[float | None, Meta(description="the same")]
    pixel_accuracy: Annotated[float | None, Meta(description="the same")]
    sensitivity: Annotated[float | None, Meta(description="the same, of pixels")]
    specificity: Annotated[float | None, Meta(description="the same, of pixels")]
    hd95_px: Annotated[
        float | None,
        Meta(description="95th percentile Hausdorff distance in px; the slice's diagonal where one mask is empty"),
    ]
    surface_dice: Annotated[
        float | None, Meta(description="share of the outlines within 2 px of each other; 0 where one mask is empty")
    ]
    accuracy: Annotated[float | None, Meta(description="all slices whose class is right; mean over groups")]
    healthy_marked: Annotated[float | None, Meta(description="healthy slices with any lesion pixel; mean over groups")]
    healthy_area: Annotated[
        float | None, Meta(description="marked share of the area of healthy slices; mean over groups")
    ]
    missed_tumours: Annotated[
        float | None, Meta(description="tumour slices of which no lesion pixel was found; mean over groups")
    ]
    slice_means: Annotated[
        dict[str, float | None],
        Meta(description="the same figures with every slice counting once, as publications give them"),
    ]
    macro_f1: Annotated[float | None, Meta(description="mean of the classes' F1, over slices")]
    f1: Annotated[
        dict[str, float | None],
        Meta(description="class -> F1, null for a class that neither occurs nor was predicted"),
    ]
    confusion: Annotated[
        tuple[tuple[int, ...], ...],
        Meta(description="counts, rows true, columns predicted, in the order of the bundle's classes"),
    ]
    counts: Annotated[Counts, Meta(description="slices and groups, see below")]
    float_parent: Annotated[str | None, Meta(description="name of the float bundle at the root of the lineage")]
    drop: Annotated[Drop, Meta(description="what is lost against the float root, see below")]
    device_drop: Annotated[
        DeviceDrop | None,
        Meta(
            description="the device's part of the drop on another machine, see below; the rest of `drop` is "
            "quantization's part; null on this machine"
        ),
    ] = None
    verdict: Annotated[RowVerdict, Meta(description="whether it keeps to the margins, see below")]


@dataclass(frozen=True, kw_only=True)
class Row(RowFigures):
    """A bundle on a target at a thread count, with the raw durations."""

    blocks: Annotated[tuple[Block, ...], Meta(description="one a round, see below")]
