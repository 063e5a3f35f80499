"""The page's tables of figures as text, for HTML and Markdown alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from edgebrain.reporting import verdict
from edgebrain.reporting.layout import Column, Report, Row, Table, make_table, whole
from edgebrain.reporting.table import (
    UNKNOWN,
    judged_once,
    mebibytes,
    milliseconds,
    per_second,
    percent,
    points,
    score,
    shared_prefix,
)


def speed(report: Report) -> Table:
    """Size and speed of each bundle, and where it ran."""
    protocol = report["protocol"]
    columns: list[Column] = [
        ("bundle", _short_name(report)),
        ("p50 ms", lambda row: milliseconds(row["latency_ms"]["p50"])),
        ("p90 ms", lambda row: milliseconds(row["latency_ms"]["p90"])),
        ("p99 ms", lambda row: milliseconds(row["latency_ms"]["p99"])),
        ("x float32", lambda row: UNKNOWN if row["speedup"] is None else f"{row['speedup']:.1f}"),
        ("MiB", lambda row: mebibytes(row["size_bytes"])),
        ("int8 work %", lambda row: percent(row["int8_mac_share"])),
        ("peak MiB", lambda row: whole(row["peak_rss_mib"])),
        ("threads", lambda row: str(row["threads"])),
        ("target", lambda row: str(row["target"])),
        ("ran as", lambda row: f"{row['runs'].get('engine')} {row['runs'].get('precision')}"),
        ("counts", lambda row: "no" if row["invalid"] else "yes"),
    ]
    # That durations count goes without saying.
    shown = columns if any(row["invalid"] for row in report["rows"]) else columns[:-1]
    caption = (
        f"Measured on {report['machine']}. {protocol['queries']} queries of one slice, from the slice in memory to "
        "mask and class. p90 and p99 are upper bounds; x float32: times as fast as float32 on the same runtime."
    )
    return replace(make_table(caption, shown, report["rows"], words=(0, 9, 10, 11)), chosen=report["headline"]["row"])


def throughput(report: Report) -> Table | None:
    """Slices a second where a GPU answered several in one call; None where none was asked."""
    asked = [row for row in report["rows"] if row.get("throughput")]
    if not asked:
        return None
    together = [{**entry, "row": row} for row in asked for entry in row["throughput"]]
    columns: list[Column] = [
        ("bundle", lambda one: _short_name(report)(one["row"])),
        ("slices a call", lambda one: str(one["batch"])),
        ("slices a second", lambda one: per_second(one["slices_per_s"])),
        ("other answers", lambda one: str(one["slices_differing"])),
        ("target", lambda one: str(one["row"]["target"])),
    ]
    caption = (
        "From slices in memory to masks and classes, with the copies to the device and back. Other answers: slices "
        "whose raw outputs are not those that were scored, one slice a call."
    )
    return make_table(caption, columns, together, words=(0, 4))


def quality(report: Report) -> Table:
    """What each bundle scores, and its verdict."""
    columns: list[Column] = [
        ("bundle", _short_name(report)),
        ("verdict", lambda row: str(row["verdict"]["outcome"])),
        ("Dice", lambda row: score(row["dice"])),
        ("interval", lambda row: _ends(score, row["dice_low"], row["dice_high"])),
        ("drop", lambda row: points(row["drop"]["dice"])),
        ("accuracy %", lambda row: percent(row["accuracy"])),
        ("drop", lambda row: points(row["drop"]["accuracy"])),
        ("missed %", lambda row: percent(row["missed_tumours"])),
        ("marked %", lambda row: percent(row["healthy_marked"])),
        ("HD95 px", lambda row: _one_decimal(row["hd95_px"])),
        ("ECE %", lambda row: UNKNOWN if row["reliability"] is None else percent(row["reliability"]["ece"])),
    ]
    data = report["data"]
    side = f"{data['slices']} slices of the {data['split'] or 'unnamed'} side ({data['source'] or 'source not told'})"
    lost = f" {data['left_out']}." if data.get("left_out") else ""
    caption = (
        f"{side}.{lost} Means over groups: a patient, or the "
        "copies of one picture, counts once. drop: points lost against the float model. missed: tumours of which "
        "nothing was found; marked: healthy slices with a lesion pixel; ECE: see the class probabilities below."
    )
    rows = judged_once({"results": report["rows"]})
    scores = [row["images"] for row in rows]
    chosen = scores.index(report["rows"][report["headline"]["row"]]["images"])
    return replace(make_table(caption, columns, rows, words=(0, 1)), chosen=chosen)


def comparisons(report: Report, row: Row) -> Table:
    """Every question that was put to a bundle."""
    confidence = report["suite"]["sampling"]["confidence"]
    columns: list[Column] = [
        ("question", verdict.question),
        ("outcome", verdict.answer),
        ("groups", lambda one: str(one["groups"])),
        ("drop", verdict.drop),
        ("interval", verdict.interval),
        ("margin", verdict.margin),
    ]
    caption = (
        f"In points (hundredths), HD95 in px; positive is worse. Intervals hold at {100 * confidence:g} %, those of "
        "the strata together. A question without a margin is told and not judged."
    )
    return make_table(caption, columns, row["verdict"]["comparisons"], words=(0, 1))


def confusion(row: Row) -> Table:
    """Rows are the true class, columns the one given; counts of slices."""
    names = [name.replace("_", " ") for name in row["classes"]]
    rows = ((name, *map(str, counts)) for name, counts in zip(names, row["confusion"], strict=True))
    return Table("", ("true \\ given", *names), tuple(rows))


def bins(row: Row) -> Table:
    """The reliability diagram in numbers; empty bins are left out."""
    columns: list[Column] = [
        ("confidence", lambda one: f"{one['low']:.2f} to {one['high']:.2f}"),
        ("slices", lambda one: str(one["slices"])),
        ("mean confidence %", lambda one: percent(one["confidence"])),
        ("accuracy %", lambda one: percent(one["accuracy"])),
    ]
    return make_table("", columns, [one for one in row["reliability"]["bins"] if one["slices"]])


def worst(report: Report) -> Table:
    """The worst slices by name, without their pictures."""
    columns: list[Column] = [
        ("slice", lambda one: str(one["name"])),
        ("class", lambda one: str(one["label"])),
        ("given", lambda one: str(one["predicted"])),
        ("Dice", lambda one: score(one["dice"])),
        ("float Dice", lambda one: score(one["parent_dice"])),
        ("lesion %", lambda one: percent(one["true_share"])),
        ("marked %", lambda one: percent(one["marked_share"])),
    ]
    return make_table("", columns, report["worst"]["slices"], words=(0, 1, 2))


def layers(report: Report) -> Table:
    """What each layer costs."""
    columns: list[Column] = [
        ("layer", lambda one: str(one["layer"])),
        ("precision", lambda one: str(one["precision"])),
        ("SQNR dB", lambda one: _one_decimal(one["sqnr_db"])),
        ("drift dB", lambda one: _one_decimal(one["drift_db"])),
        ("Dice won back", lambda one: points(one["dice_recovered"])),
        ("interval", lambda one: _ends(points, one["dice_low"], one["dice_high"])),
        ("ms", lambda one: milliseconds(one["ms"])),
        ("million MACs", lambda one: UNKNOWN if one["macs"] is None else f"{one['macs'] / 1e6:.2f}"),
        ("KiB", lambda one: UNKNOWN if one["bytes"] is None else f"{one['bytes'] / 1024:.1f}"),
    ]
    caption = (
        "SQNR: signal to noise against the layer in float on the same input; drift: against the float network's layer, "
        "with the noise of all before it; Dice won back: points that the bundle gains with this layer in float."
    )
    return make_table(caption, columns, report["layers"]["layers"], words=(0, 1))


def _short_name(report: Report) -> Callable[[Any], str]:
    """A bundle's name without what all names of the report begin with: the run's."""
    prefix = shared_prefix([str(row["bundle"]) for row in report["rows"]])
    return lambda row: str(row["bundle"]).removeprefix(prefix)


def _ends(text: Callable[[float | None], str], low: float | None, high: float | None) -> str:
    return UNKNOWN if low is None and high is None else f"{text(low)} to {text(high)}"


def _one_decimal(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.1f}"
