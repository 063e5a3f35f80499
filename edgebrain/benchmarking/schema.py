"""The report of `edgebrain bench --json`: its fields, what they mean, and the check of a report.

Schema 2: the quality of a row is a mean over groups, where schema 1 had means over slices (now `slice_means`); p90 and
p99 are upper bounds, where schema 1 had the nearest rank; blocks, suite and verdict are new.

docs/bench-schema.md is made from these tables; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgebrain.errors import BadReport
from edgebrain.files import read_json

SCHEMA = 2
NUMBER, WHOLE, TEXT, LIST, OBJECT = "number", "integer", "string", "list", "object"
MAYBE = "number or null"
AGAIN = "measure again with `edgebrain bench --json FILE`"

# Added after this schema's first report: one that was written before reads as if it held null.
LATER = (
    "throttled",
    "invalid",
    "environments",
    "failures",
    "emulated",
    "libc",
    "device_drop",
    "asked",
    "throughput",
    "same_answers",
)
# name -> (type, meaning). A field may be added without a new schema number; none goes away or changes its meaning.
REPORT = {
    "schema": (WHOLE, "version of this schema, 2"),
    "environment": (OBJECT, "the machine of the first target, see below"),
    "environments": (
        "object or null",
        "target -> its machine, see below; null where `environment` is that of all rows",
    ),
    "protocol": (OBJECT, "how it was measured, see below"),
    "suite": (OBJECT, "what a bundle may lose, declared before measuring, see below"),
    "data": (OBJECT, "which slices, see below"),
    "results": (LIST, "one row a bundle and thread count, see below"),
    "images": (LIST, "who was scored: `bundle`, `path`, `target`, `threads`, and `scores`, one a slice, see below"),
    "failures": (
        "list or null",
        "targets that were not there or were lost: `target`, `message`, `hint`, `rows` (how many were kept)",
    ),
    "asked": (
        "object or null",
        "what `--resume` needs to go on, see below; null in older reports",
    ),
    "notes": (LIST, "sentences: what is missing, which rows are noisy"),
}
ENVIRONMENT = {
    "machine": (TEXT, "processor architecture"),
    "cpu": ("string or null", "processor model"),
    "board": ("string or null", "board or computer model"),
    "cores": (WHOLE, "logical processors"),
    "cores_usable": (WHOLE, "logical processors that the process may use"),
    "flags": (OBJECT, "instruction set -> present, for those that decide int8 and bfloat16 speed"),
    "virtualised": ("boolean or null", "runs under a hypervisor"),
    "emulated": (
        "boolean or null",
        "our code runs on an emulated processor of another kind than the kernel's; null where that cannot be told",
    ),
    "memory_mib": ("integer or null", "memory of the machine in MiB"),
    "kernel": (TEXT, "kernel release"),
    "system": ("string or null", "operating system"),
    "libc": ("string or null", "C library and its version"),
    "python": (TEXT, "Python version"),
    "versions": (OBJECT, "library -> version, null where not installed"),
    "governor": ("string or null", "frequency governor of the first core"),
    "frequency_mhz": (MAYBE, "clock of the first core in MHz, before measuring"),
    "temperature_c": (MAYBE, "first thermal zone in degrees Celsius, before measuring"),
    "load": (NUMBER, "mean number of runnable processes over 1 min, before measuring"),
    "throttled": (
        "integer or null",
        "bits of a Raspberry Pi's `vcgencmd get_throttled`, before measuring: 0 under-voltage, 1 clock capped, 2 "
        "throttled, 3 soft temperature limit; 16 to 19 the same since it started",
    ),
}
PROTOCOL = {
    "queries": (WHOLE, "timed queries of each row"),
    "rounds": (WHOLE, "rounds; in each, every row answers one block, another row first each time"),
    "block": (WHOLE, "queries of one row in one round"),
    "warm_up": (WHOLE, "uncounted queries before the first block"),
    "settle": (WHOLE, "uncounted queries before every further block"),
    "timed_slices": (WHOLE, "different slices in the timed queries of a row"),
    "threads": (LIST, "thread counts"),
    "batch": (WHOLE, "slices a query, 1"),
}
SUITE = {
    "name": (TEXT, "name of the suite"),
    "margins": (OBJECT, "largest accepted losses, fractions of 1; see `edgebrain.evaluation.verdict.Margins`"),
    "sampling": (OBJECT, "`confidence` of the intervals, `resamples` and `seed` of the bootstrap"),
    "source": (TEXT, "the file or option that declared it, or built in"),
    "sha256": (TEXT, "SHA-256 of the JSON of name, margins and sampling"),
}
DATA = {
    "path": (TEXT, "the data folder"),
    "split": (TEXT, "side: train, val, test or all"),
    "source": (TEXT, "where the side is defined: the run's split, or the data set's folders"),
    "slices": (WHOLE, "number of slices scored"),
    "names_sha256": (TEXT, "SHA-256 of the JSON list of their names"),
    "content_sha256": (
        "string or null",
        "SHA-256 over name, picture, mask, label, plane and group of each, which `--resume` asks again",
    ),
    "mask_encoding": (
        "object or null",
        "how the masks are written: `name` (0/255, 0/1, ...), `above` (a pixel above it is lesion), `levels`; null "
        "where no mask marks anything",
    ),
    "rejected": ("list or null", "slices of that side that cannot be used and were left out: `name`, `reason`"),
    "left_out": ("string or null", "their number and the first reason in a sentence; null where nothing is left out"),
}
ASKED = {
    "bundles": (LIST, "bundles or folders, as they were named"),
    "targets": (LIST, "targets, as they were named"),
    "threads": (LIST, "thread counts; empty for the targets' own"),
}
RESULT = {
    "bundle": (TEXT, "name of the bundle"),
    "path": (TEXT, "its folder"),
    "manifest_sha256": (TEXT, "SHA-256 of its manifest"),
    "format": (TEXT, "name of the model file's format, see `edgebrain.formats`"),
    "precision": (TEXT, "float32, float16, int8 or mixed, as the manifest says; what ran is in `runs`"),
    "target": (TEXT, "where it ran; its machine is in the report's `environments`"),
    "emulated": ("boolean or null", "the target's processor is emulated, so nothing was timed and no memory is told"),
    "threads": (WHOLE, "threads of the interpreter and of OpenCV"),
    "runs": (OBJECT, "what really ran: engine, version, precision, delegate or provider"),
    "size_bytes": (WHOLE, "the model's files, without manifest and lists"),
    "parameters": (WHOLE, "numbers stored, batch normalisation included"),
    "macs": (WHOLE, "multiply-adds of one slice"),
    "int8_mac_share": (MAYBE, "share of the multiply-adds that are int8, counted in the written file"),
    "load_ms": (MAYBE, "reading, verifying and loading the bundle; null on an emulated target"),
    "latency_ms": (
        OBJECT,
        "one slice in memory to mask and class: shrink, quantize, engine, grow, cut. Decoding is not in it",
    ),
    "engine_ms": (OBJECT, "the interpreter alone"),
    "decode_ms": (OBJECT, "file bytes to slice, before the query"),
    "throughput_per_s": (MAYBE, "slices a second, one after the other: 1000 / mean latency"),
    "throughput": ("list or null", "several slices in one call of the engine, one a batch size, see below; on a GPU"),
    "queries": (WHOLE, "timed queries"),
    "noise": (
        OBJECT,
        "`steal_share`: CPU time that the host took; `drift`: last quarter's median / first's - 1; `governor`; "
        "`frequency_mhz`, `temperature_c`: lowest and highest after a block; or null",
    ),
    "blocks": (
        LIST,
        "one a round: raw durations `predict_ns`, `engine_ns`, `decode_ns`, and the machine `before` and `after` "
        "(ticks, governor, frequency_mhz, temperature_c, load, throttled)",
    ),
    "invalid": (
        "string or null",
        "why the durations do not count: the board was held back (bits 0 to 3 of `throttled`) before, after or within "
        "a block, or the host of a virtual machine took more than 10 % of the CPU",
    ),
    "images": (WHOLE, "place of this row's scores in the report's `images`"),
    "rss_after_load_mib": (MAYBE, "memory of the process after loading, in MiB"),
    "peak_rss_mib": (MAYBE, "most memory of the process, from its start to the last query, in MiB"),
    "dice": (MAYBE, "tumour slices with a mask, at native size; mean over groups of the mean of their slices"),
    "iou": (MAYBE, "the same"),
    "pixel_accuracy": (MAYBE, "the same"),
    "sensitivity": (MAYBE, "the same, of pixels"),
    "specificity": (MAYBE, "the same, of pixels"),
    "hd95_px": (MAYBE, "95th percentile Hausdorff distance in px; the slice's diagonal where one mask is empty"),
    "surface_dice": (MAYBE, "share of the outlines within 2 px of each other; 0 where one mask is empty"),
    "accuracy": (MAYBE, "all slices whose class is right; mean over groups"),
    "healthy_marked": (MAYBE, "healthy slices with any lesion pixel; mean over groups"),
    "healthy_area": (MAYBE, "marked share of the area of healthy slices; mean over groups"),
    "missed_tumours": (MAYBE, "tumour slices of which no lesion pixel was found; mean over groups"),
    "slice_means": (OBJECT, "the same figures with every slice counting once, as publications give them"),
    "macro_f1": (MAYBE, "mean of the classes' F1, over slices"),
    "f1": (OBJECT, "class -> F1, null for a class that neither occurs nor was predicted"),
    "confusion": (LIST, "counts, rows true, columns predicted, in the order of the bundle's classes"),
    "counts": (OBJECT, "slices, tumours, tumours_with_mask, healthy, groups"),
    "float_parent": ("string or null", "name of the float bundle at the root of the lineage"),
    "drop": (
        OBJECT,
        "`dice`, `accuracy`: the float parent's minus this row's, as fraction of 1; null where it is not here",
    ),
    "device_drop": (
        "object or null",
        "the device's part of the drop on another machine: `dice`, `accuracy` of this bundle here minus there; "
        "`slices_differing`: slices with other raw outputs. The rest of `drop` is quantization's part. null here",
    ),
    "verdict": (OBJECT, "does it keep to the margins, see below"),
}
VERDICT = {
    "outcome": (TEXT, "PASS, FAIL, INCONCLUSIVE; REFERENCE for the float root, NOT JUDGED where it is not here"),
    "reason": ("string or null", "where it does not follow from the comparisons"),
    "comparisons": (LIST, "one a question, see below; empty for REFERENCE and NOT JUDGED"),
    "same_answers": (
        "integer or null",
        "slices on which mask and class are those of the float root, to the pixel; null where it is not here",
    ),
}
COMPARISON = {
    "measure": (TEXT, "dice, accuracy, missed_tumours, healthy_marked, healthy_area, hd95_px or surface_dice"),
    "stratum": (TEXT, "class, plane or size of the lesion, worst 5 % of the groups; empty for all slices"),
    "slices": (WHOLE, "slices that answer it"),
    "groups": (WHOLE, "their groups"),
    "drop": (NUMBER, "mean over groups of what the bundle loses, positive where it is worse; hd95_px in px"),
    "low": (MAYBE, "lower end of its interval; null with fewer than 10 groups"),
    "high": (MAYBE, "upper end"),
    "confidence": (NUMBER, "of the interval; for strata 1 - 5 % / (number of strata questions)"),
    "margin": (MAYBE, "largest accepted drop; null where the figure is told and not judged"),
    "outcome": ("string or null", "PASS: high <= margin; FAIL: low > margin; else INCONCLUSIVE"),
    "groups_enough": ("integer or null", "INCONCLUSIVE: groups that would settle it in four of five benches like this"),
}
PERCENTILES = {
    "p25": (MAYBE, "lower quartile, nearest rank; null with fewer than 17 queries"),
    "p50": (MAYBE, "median, nearest rank; null with fewer than 7 queries"),
    "p90": (MAYBE, "MLPerf's early stopping estimate, an upper bound; null with fewer than 64 queries"),
    "p99": (MAYBE, "the same; null with fewer than 662 queries"),
    "mean": (MAYBE, "arithmetic mean"),
}
THROUGHPUT = {
    "batch": (WHOLE, "slices in a call"),
    "slices": (WHOLE, "slices asked for, after 10 uncounted calls"),
    "slices_per_s": (NUMBER, "`slices` / sum of `call_ns`"),
    "slices_differing": (WHOLE, "different slices with other raw outputs than the scored ones"),
    "call_ns": (
        LIST,
        "raw durations, in ns: slices in memory to masks and classes, that is transform of each, one call of the "
        "engine with the copies to the device and back, back-transform of each",
    ),
    "before": (OBJECT, "the machine before, as in `blocks`"),
    "after": (OBJECT, "and after"),
}
SECTIONS = {
    "The report": REPORT,
    "environment": ENVIRONMENT,
    "protocol": PROTOCOL,
    "suite": SUITE,
    "data": DATA,
    "asked": ASKED,
    "results": RESULT,
    "verdict": VERDICT,
    "comparisons": COMPARISON,
    "latency_ms, engine_ms, decode_ms": PERCENTILES,
    "throughput": THROUGHPUT,
}
TYPES: dict[str, tuple[type, ...]] = {
    NUMBER: (int, float),
    WHOLE: (int,),
    TEXT: (str,),
    LIST: (list,),
    OBJECT: (dict,),
    MAYBE: (int, float, type(None)),
    "integer or null": (int, type(None)),
    "string or null": (str, type(None)),
    "boolean or null": (bool, type(None)),
    "object or null": (dict, type(None)),
    "list or null": (list, type(None)),
}

Fields = Mapping[str, tuple[str, str]]


def check_report(report: Any, name: str = "report") -> dict[str, Any]:
    """The report, if it holds every field of this schema with its type; unknown fields are left alone.

    Raises BadReport: another schema, a missing field or one of another type, named by its path.
    """
    _check(report, {"schema": REPORT["schema"]}, name)
    _check_schema(report["schema"], name)
    _check(report, REPORT, name)
    for key, fields in (("environment", ENVIRONMENT), ("protocol", PROTOCOL), ("suite", SUITE)):
        _check(report[key], fields, f"{name}: {key}")
    if report.get("asked") is not None:
        _check(report["asked"], ASKED, f"{name}: asked")
    for place, row in enumerate(report["results"]):
        _check_row(row, f"{name}: results[{place}]")
    for target, machine in machines(report).items():
        _check(machine, ENVIRONMENT, f"{name}: environments.{target}")
    return dict(report)


def read_report(path: Path) -> dict[str, Any]:
    """A report from a file, whose figures follow from its scores. Raises BadReport."""
    from edgebrain.benchmarking.verify_report import check_figures

    report = check_report(read_json(path, BadReport, AGAIN), str(path))
    check_figures(report, str(path))
    return report


def machines(report: Mapping[str, Any]) -> dict[str, Any]:
    """Target -> its machine, also of a report from before there could be several."""
    alone = {row["target"]: report["environment"] for row in report["results"]}
    return dict(report.get("environments") or alone)


def as_markdown() -> str:
    """The tables of docs/bench-schema.md."""
    parts = []
    for title, fields in SECTIONS.items():
        rows = [f"| `{name}` | {kind} | {meaning} |" for name, (kind, meaning) in fields.items()]
        parts.append("\n".join([f"## {title}", "", "| field | type | meaning |", "|---|---|---|", *rows, ""]))
    return "\n".join(parts)


def _check_schema(found: int, name: str) -> None:
    if found > SCHEMA:
        raise BadReport(
            f"{name}: schema {found} is newer than {SCHEMA}, the newest this edgebrain reads",
            "pip install --upgrade edgebrain",
        )
    if found < SCHEMA:
        raise BadReport(f"{name}: schema {found} is older than {SCHEMA}; its figures mean something else", AGAIN)


def _check_row(row: Any, where: str) -> None:
    _check(row, RESULT, where)
    for key in ("latency_ms", "engine_ms", "decode_ms"):
        _check(row[key], PERCENTILES, f"{where}.{key}")
    _check(row["drop"], {"dice": (MAYBE, ""), "accuracy": (MAYBE, "")}, f"{where}.drop")
    for place, entry in enumerate(row.get("throughput") or ()):
        _check(entry, THROUGHPUT, f"{where}.throughput[{place}]")
    _check(row["verdict"], VERDICT, f"{where}.verdict")
    for place, comparison in enumerate(row["verdict"]["comparisons"]):
        _check(comparison, COMPARISON, f"{where}.verdict.comparisons[{place}]")


def _check(value: Any, fields: Fields, where: str) -> None:
    if not isinstance(value, dict):
        raise BadReport(f"{where}: is {type(value).__name__}, not an object", AGAIN)
    for name, (kind, _) in fields.items():
        if name not in value and name not in LATER:
            raise BadReport(f"{where}: lacks {name}", AGAIN)
        found = value.get(name)
        # True is an int to Python, but no number to a reader.
        fits = isinstance(found, TYPES[kind]) and (bool in TYPES[kind] or not isinstance(found, bool))
        if not fits:
            raise BadReport(f"{where}: {name} is {type(found).__name__}, not {kind}", AGAIN)
