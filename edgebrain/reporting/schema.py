"""The JSON of `edgebrain report`: its fields and what they mean. docs/report-schema.md is made from these tables."""

from __future__ import annotations

from edgebrain.benchmarking.schema import LIST, MAYBE, NUMBER, OBJECT, TEXT, WHOLE, Fields
from edgebrain.reporting.table import markdown_lines

SCHEMA = 1
GENERATOR = "edgebrain report"
MAYBE_OBJECT, MAYBE_TEXT, MAYBE_WHOLE = "object or null", "string or null", "integer or null"

# name -> (type, meaning). A field may be added without a new schema number; none goes away or changes its meaning.
PAGE = {
    "generator": (TEXT, "`edgebrain report`, by which an earlier report is known and may be replaced"),
    "schema": (WHOLE, "version of this schema, 1"),
    "version": (TEXT, "version of edgebrain"),
    "reports": (LIST, "one entry a bench report, see below; kept apart, because each has its machine"),
    "left_out": (LIST, "what was named and could not be used: `name`, `message`, `hint`"),
}
REPORT = {
    "source": (TEXT, "the bench report's file"),
    "source_sha256": (TEXT, "SHA-256 of that file"),
    "machine": (TEXT, "what the latencies were measured on: board or processor, and its cores"),
    "environment": (OBJECT, "of the bench report"),
    "protocol": (OBJECT, "of the bench report"),
    "suite": (OBJECT, "of the bench report"),
    "data": (OBJECT, "of the bench report"),
    "notes": (LIST, "of the bench report"),
    "rows": (LIST, "one a bundle and thread count, see below"),
    "headline": (OBJECT, "`row`: place in `rows` of the bundle that the page is about; `rule`: how it was chosen"),
    "worst": (OBJECT, "the headline bundle's worst slices, see below"),
    "layers": (OBJECT, "the headline bundle, layer by layer, see below"),
    "audit": (OBJECT, "what the data hide, see below"),
    "training": (OBJECT, "what the run recorded, see below"),
    "lineage": (LIST, "where each bundle comes from, see below"),
}
ROW = {
    "dice_low": (
        MAYBE,
        "lower end of the interval of `dice` over groups; null with fewer than 10 groups, or where it has no end",
    ),
    "dice_high": (MAYBE, "upper end"),
    "reliability": (
        MAYBE_OBJECT,
        "`ece`: expected calibration error; `bins`: `low`, `high`, `slices`, `confidence`, `accuracy`",
    ),
    "classes": (LIST, "names in the order of `confusion`"),
    "confusion": (LIST, "counts of slices, rows true, columns given, counted again from the scores"),
    "parent": (MAYBE_WHOLE, "place in `rows` of its float root; null for a root and where it is not here"),
    "speedup": (MAYBE, "times as fast as the float32 row of the same format, by lower quartile"),
    "on_frontier": ("boolean", "no other row is both faster and better in Dice"),
    "mlperf": (OBJECT, "MLPerf's fields of a single-stream run, durations in ns, see below"),
}
WORST = {
    "rule": (TEXT, "which slices are the worst"),
    "bundle": (TEXT, "whose they are"),
    "parent": (MAYBE_TEXT, "its float root"),
    "parent_drawn": (MAYBE_TEXT, "whose outline stands for the root: the root itself where its library is installed"),
    "missing": (MAYBE_OBJECT, "why there are no pictures: `what`, `way_out`"),
    "slices": (LIST, "at most 20, worst first, see below"),
}
SLICE = {
    "name": (TEXT, "the slice"),
    "group": (TEXT, "its group"),
    "label": (TEXT, "its class"),
    "plane": (TEXT, "its plane"),
    "predicted": (TEXT, "the class that the bundle gives"),
    "healthy": ("boolean", "no tumour by its class, so that no Dice is defined"),
    "dice": (MAYBE, "the bundle's; null for a healthy slice"),
    "true_share": (MAYBE, "share of the slice that is lesion"),
    "marked_share": (NUMBER, "share that the bundle marks"),
    "parent_dice": (MAYBE, "the float root's"),
    "parent_predicted": (MAYBE_TEXT, "the class that the float root gives"),
    "parent_marked_share": (MAYBE, "share that the float root marks"),
    "picture": (
        MAYBE_OBJECT,
        "`jpeg` in base64, `width` and `height` in px, and the outlines `truth`, `parent`, `bundle` as SVG paths",
    ),
    "not_shown": (MAYBE_TEXT, "why there is no picture of this slice"),
}
LAYERS = {
    "bundle": (TEXT, "whose layers"),
    "missing": (MAYBE_OBJECT, "why they are not here: `what`, `way_out`; the fields below are then left out"),
    "machine": (MAYBE_TEXT, "what the durations were measured on"),
    "parent": (MAYBE_TEXT, "what it was compared with"),
    "data": (OBJECT, "`path`, `split`, `slices`"),
    "dice": (OBJECT, "`parent` and `bundle`, on these slices"),
    "whole_ms": (MAYBE, "time of the whole network"),
    "layers": (
        LIST,
        "`layer`, `precision`, `sqnr_db`, `drift_db`, `dice_recovered` with `dice_low` and `dice_high`, `ms`, `macs`, "
        "`bytes`; null where not measured",
    ),
    "notes": (LIST, "sentences"),
}
AUDIT = {
    "missing": (MAYBE_OBJECT, "why it is not here; the fields below are then left out"),
    "root": (TEXT, "the data folder"),
    "slices": (WHOLE, "pictures found"),
    "readable": (WHOLE, "pictures that can be read"),
    "sides": (OBJECT, "side -> slices"),
    "classes": (OBJECT, "class -> slices"),
    "groups": (WHOLE, "groups found and given"),
    "findings": (LIST, "`level`, `title`, `count`, `unit`, `advice`; worst first"),
    "copy_baselines": ("list or null", "`part`, `slices`, `accuracy`, `masks`, `dice`"),
    "shortcuts": (LIST, "facts that tell the class without the picture"),
    "notes": (LIST, "sentences"),
}
TRAINING = {
    "missing": (MAYBE_OBJECT, "why it is not here; the fields below are then left out"),
    "run": (TEXT, "the run folder"),
    "recipe": (MAYBE_OBJECT, "`name`, `sha256`"),
    "data": (OBJECT, "`path`, `kind`, `groups` (the CSV used), `sha256`, `slices`"),
    "mask_encoding": (MAYBE_OBJECT, "how the masks are written: `name`, `above`, `levels`; null in older runs"),
    "left_out": (MAYBE_TEXT, "what was left out, in a sentence; null where nothing is"),
    "rejected": (WHOLE, "slices that could not be used and were left out"),
    "split": (MAYBE_OBJECT, "`sha256`, and `slices` on each side"),
    "backend": (MAYBE_TEXT, "what Keras ran on"),
    "copying": (MAYBE_OBJECT, "what copying the nearest training slice scores on `side`: `dice`, `accuracy`"),
    "side": (MAYBE_TEXT, "where the float bundle was scored after training"),
    "validation": (MAYBE_OBJECT, "the float bundle's `dice` and `accuracy` there, every slice counting once"),
}
LINEAGE = {
    "bundle": (TEXT, "name"),
    "manifest_sha256": (TEXT, "SHA-256 of its manifest"),
    "here": ("boolean", "the very bundle was found, and the fields below are its manifest's"),
    "parent_sha256": (MAYBE_TEXT, "manifest of the bundle that it was made from"),
    "recipe": (MAYBE_OBJECT, "`name`, `sha256`"),
    "data_sha256": (MAYBE_TEXT, "of the training data"),
    "split_sha256": (MAYBE_TEXT, "of the split"),
    "calibration_sha256": (MAYBE_TEXT, "of the list of calibration slices"),
    "calibration_slices": (MAYBE_WHOLE, "how many were listed"),
    "calibration_seen": (MAYBE_WHOLE, "how many the observers saw"),
    "seeds": (MAYBE_OBJECT, "of training and split"),
    "kept_float": (LIST, "operators with multiply-adds that are not int8"),
    "input": ("list or null", "shape of the input tensor"),
}
MLPERF = {
    "sut_name": (TEXT, "bundle, engine, threads and machine"),
    "scenario": (TEXT, "SingleStream"),
    "mode": (TEXT, "PerformanceOnly"),
    "queries": (WHOLE, "timed queries"),
    "duration_s": (NUMBER, "their sum"),
    "valid": ("boolean", "all of `satisfied`"),
    "satisfied": (OBJECT, "`min_duration` (600 s), `min_queries` (100), `early_stopping` (64 queries)"),
    "discarded": (WHOLE, "highest latencies that early stopping would discard"),
    "early_stopping_90_ns": (MAYBE_WHOLE, "estimate of the 90th percentile"),
    "early_stopping_99_ns": (MAYBE_WHOLE, "estimate of the 99th; null with fewer than 662 queries"),
    "qps_without_loadgen_overhead": (MAYBE, "1 / mean latency"),
    "min_ns": (MAYBE_WHOLE, "smallest latency"),
    "max_ns": (MAYBE_WHOLE, "largest latency"),
    "mean_ns": (MAYBE, "mean latency"),
    "percentiles_ns": (OBJECT, "50, 90, 95, 97, 99 and 99.9: the sorted latencies at place queries * p / 100"),
}
SECTIONS: dict[str, Fields] = {
    "The page": PAGE,
    "reports": REPORT,
    "rows: the fields of `results` in bench-schema.md but `blocks`, and": ROW,
    "worst": WORST,
    "worst.slices": SLICE,
    "layers": LAYERS,
    "audit": AUDIT,
    "training": TRAINING,
    "lineage": LINEAGE,
    "rows.mlperf": MLPERF,
}


def as_markdown() -> str:
    """The tables of docs/report-schema.md."""
    parts = []
    for title, fields in SECTIONS.items():
        rows = [(f"`{name}`", kind, meaning) for name, (kind, meaning) in fields.items()]
        parts += [f"## {title}", "", *markdown_lines(("field", "type", "meaning"), rows), ""]
    return "\n".join(parts)
