"""The report of `edgebrain bench --json`: its fields, what they mean, and the check of a report.

docs/bench-schema.md is made from these tables; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgebrain.errors import BadReport, CannotWrite
from edgebrain.files import read_json

SCHEMA = 1
NUMBER, WHOLE, TEXT, LIST, OBJECT = "number", "integer", "string", "list", "object"
MAYBE = "number or null"

# name -> (type, meaning). A field may be added without a new schema number; none goes away or changes its meaning.
REPORT = {
    "schema": (WHOLE, "version of this schema, 1"),
    "environment": (OBJECT, "the machine, see below"),
    "protocol": (OBJECT, "how it was measured, see below"),
    "data": (OBJECT, "which slices, see below"),
    "results": (LIST, "one row a bundle and thread count, see below"),
    "images": (LIST, "one entry a bundle: `bundle`, `path`, and `scores`, one a slice, see below"),
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
    "memory_mib": ("integer or null", "memory of the machine in MiB"),
    "kernel": (TEXT, "kernel release"),
    "system": ("string or null", "operating system"),
    "python": (TEXT, "Python version"),
    "versions": (OBJECT, "library -> version, null where not installed"),
    "governor": ("string or null", "frequency governor of the first core"),
    "frequency_mhz": (MAYBE, "clock of the first core in MHz, before measuring"),
    "temperature_c": (MAYBE, "first thermal zone in degrees Celsius, before measuring"),
    "load": (NUMBER, "mean number of runnable processes over 1 min, before measuring"),
}
PROTOCOL = {
    "queries": (WHOLE, "timed queries of each row"),
    "rounds": (WHOLE, "rounds; in each, every row answers one block, another row first each time"),
    "block": (WHOLE, "queries of one row in one round"),
    "warm_up": (WHOLE, "uncounted queries before the first block"),
    "settle": (WHOLE, "uncounted queries before every further block"),
    "timed_slices": (WHOLE, "different slices in the timed queries"),
    "threads": (LIST, "thread counts"),
    "batch": (WHOLE, "slices a query, 1"),
}
DATA = {
    "path": (TEXT, "the data folder"),
    "split": (TEXT, "side: train, val, test or all"),
    "source": (TEXT, "where the side is defined: the run's split, or the data set's folders"),
    "slices": (WHOLE, "number of slices scored"),
    "names_sha256": (TEXT, "SHA-256 of the JSON list of their names"),
}
RESULT = {
    "bundle": (TEXT, "name of the bundle"),
    "path": (TEXT, "its folder"),
    "manifest_sha256": (TEXT, "SHA-256 of its manifest"),
    "format": (TEXT, "keras, tflite, openvino or onnx"),
    "precision": (TEXT, "float32, float16, int8 or mixed, as the manifest says; what ran is in `runs`"),
    "target": (TEXT, "where it ran"),
    "threads": (WHOLE, "threads of the interpreter and of OpenCV"),
    "runs": (OBJECT, "what really ran: engine, version, precision, delegate or provider"),
    "size_bytes": (WHOLE, "the model's files, without manifest and lists"),
    "parameters": (WHOLE, "numbers stored, batch normalisation included"),
    "macs": (WHOLE, "multiply-adds of one slice"),
    "int8_mac_share": (MAYBE, "share of the multiply-adds that are int8, counted in the written file"),
    "load_ms": (NUMBER, "reading, verifying and loading the bundle"),
    "latency_ms": (
        OBJECT,
        "one slice in memory to mask and class: shrink, quantize, engine, grow, cut. Decoding is not in it",
    ),
    "engine_ms": (OBJECT, "the interpreter alone"),
    "decode_ms": (OBJECT, "file bytes to slice, before the query"),
    "throughput_per_s": (MAYBE, "slices a second, one after the other: 1000 / mean latency"),
    "queries": (WHOLE, "timed queries"),
    "noise": (
        OBJECT,
        "`steal_share`: CPU time that the host took; `drift`: last quarter's median / first's - 1; or null",
    ),
    "rss_after_load_mib": (MAYBE, "memory of the process after loading, in MiB"),
    "peak_rss_mib": (MAYBE, "most memory of the process, from its start to the last query, in MiB"),
    "dice": (MAYBE, "mean over tumour slices with a mask, at native size"),
    "iou": (MAYBE, "the same"),
    "pixel_accuracy": (MAYBE, "the same"),
    "sensitivity": (MAYBE, "the same, of pixels"),
    "specificity": (MAYBE, "the same, of pixels"),
    "accuracy": (MAYBE, "share of all slices whose class is right"),
    "macro_f1": (MAYBE, "mean of the classes' F1"),
    "healthy_marked": (MAYBE, "share of healthy slices with any lesion pixel"),
    "missed_tumours": (MAYBE, "share of tumour slices without one"),
    "f1": (OBJECT, "class -> F1, null for a class that neither occurs nor was predicted"),
    "confusion": (LIST, "counts, rows true, columns predicted, in the order of the bundle's classes"),
    "counts": (OBJECT, "slices, tumours, tumours_with_mask, healthy"),
    "float_parent": ("string or null", "name of the float bundle at the root of the lineage"),
    "drop": (
        OBJECT,
        "`dice`, `accuracy`: the float parent's minus this row's, as fraction of 1; null where it is not here",
    ),
}
PERCENTILES = {
    "p25": (MAYBE, "lower quartile, nearest rank; null with fewer than 17 queries"),
    "p50": (MAYBE, "median, nearest rank; null with fewer than 7 queries"),
    "p90": (MAYBE, "nearest rank; null with fewer than 64 queries"),
    "p99": (MAYBE, "nearest rank; null with fewer than 662 queries"),
    "mean": (MAYBE, "arithmetic mean"),
}
SECTIONS = {
    "The report": REPORT,
    "environment": ENVIRONMENT,
    "protocol": PROTOCOL,
    "data": DATA,
    "results": RESULT,
    "latency_ms, engine_ms, decode_ms": PERCENTILES,
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
}

Fields = Mapping[str, tuple[str, str]]


def check_report(report: Any, name: str = "report") -> dict[str, Any]:
    """The report, if it holds every field of this schema with its type; unknown fields are left alone.

    Raises BadReport: a newer schema, a missing field or one of another type, named by its path.
    """
    _check(report, {"schema": REPORT["schema"]}, name)
    if report["schema"] > SCHEMA:
        raise BadReport(
            f"{name}: schema {report['schema']} is newer than {SCHEMA}, the newest this edgebrain reads",
            "pip install --upgrade edgebrain",
        )
    _check(report, REPORT, name)
    for key, fields in (("environment", ENVIRONMENT), ("protocol", PROTOCOL)):
        _check(report[key], fields, f"{name}: {key}")
    for place, row in enumerate(report["results"]):
        where = f"{name}: results[{place}]"
        _check(row, RESULT, where)
        for key in ("latency_ms", "engine_ms", "decode_ms"):
            _check(row[key], PERCENTILES, f"{where}.{key}")
        _check(row["drop"], {"dice": (MAYBE, ""), "accuracy": (MAYBE, "")}, f"{where}.drop")
    return dict(report)


def read_report(path: Path) -> dict[str, Any]:
    """A report from a file. Raises BadReport."""
    return check_report(read_json(path, BadReport, "measure again with `edgebrain bench --json FILE`"), str(path))


def refuse_unless_report(path: Path) -> None:
    """Raises CannotWrite: a file that is no report is in the way. An older report may be replaced."""
    if path.exists():
        try:
            read_report(path)
        except BadReport as problem:
            raise CannotWrite(f"{path}: already exists and is no report", "choose another name") from problem


def as_markdown() -> str:
    """The tables of docs/bench-schema.md."""
    parts = []
    for title, fields in SECTIONS.items():
        rows = [f"| `{name}` | {kind} | {meaning} |" for name, (kind, meaning) in fields.items()]
        parts.append("\n".join([f"## {title}", "", "| field | type | meaning |", "|---|---|---|", *rows, ""]))
    return "\n".join(parts)


def _check(value: Any, fields: Fields, where: str) -> None:
    again = "measure again with `edgebrain bench --json FILE`"
    if not isinstance(value, dict):
        raise BadReport(f"{where}: is {type(value).__name__}, not an object", again)
    for name, (kind, _) in fields.items():
        if name not in value:
            raise BadReport(f"{where}: lacks {name}", again)
        found = value[name]
        # True is an int to Python, but no number to a reader.
        fits = isinstance(found, TYPES[kind]) and (bool in TYPES[kind] or not isinstance(found, bool))
        if not fits:
            raise BadReport(f"{where}: {name} is {type(found).__name__}, not {kind}", again)
