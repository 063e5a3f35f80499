"""The page's tables as text: heads and cells, for HTML and Markdown alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from edgebrain.report import verdict
from edgebrain.report.table import UNKNOWN, judged_once, mebibytes, milliseconds, percent, points, score, shared_prefix

Row = Mapping[str, Any]
Report = Mapping[str, Any]
Column = tuple[str, Callable[[Any], str]]
SHORT_HASH = 12


@dataclass(frozen=True)
class Table:
    """caption: sentences, may be empty. words: places of the columns that hold words; the others hold numbers.
    chosen: place of the headline's row, if it is in it."""

    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: tuple[int, ...] = (0,)
    chosen: int | None = None


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
        ("peak MiB", lambda row: _whole(row["peak_rss_mib"])),
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
    return replace(_table(caption, shown, report["rows"], words=(0, 9, 10, 11)), chosen=report["headline"]["row"])


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
    caption = (
        f"{side}. Means over groups: a patient, or the "
        "copies of one picture, counts once. drop: points lost against the float model. missed: tumours of which "
        "nothing was found; marked: healthy slices with a lesion pixel; ECE: see the class probabilities below."
    )
    rows = judged_once({"results": report["rows"]})
    scores = [row["images"] for row in rows]
    chosen = scores.index(report["rows"][report["headline"]["row"]]["images"])
    return replace(_table(caption, columns, rows, words=(0, 1)), chosen=chosen)


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
    return _table(caption, columns, row["verdict"]["comparisons"], words=(0, 1))


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
    return _table("", columns, [one for one in row["reliability"]["bins"] if one["slices"]])


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
    return _table("", columns, report["worst"]["slices"], words=(0, 1, 2))


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
    return _table(caption, columns, report["layers"]["layers"], words=(0, 1))


def findings(report: Report) -> Table:
    """What the audit found, worst first."""
    columns: list[Column] = [
        ("level", lambda one: str(one["level"])),
        ("finding", lambda one: str(one["title"])),
        ("count", lambda one: f"{one['count']:,} {one['unit']}"),
        ("advice", lambda one: str(one["advice"])),
    ]
    return _table("", columns, report["audit"]["findings"], words=(0, 1, 3))


def copying(report: Report) -> Table:
    """What copying the nearest training slice scores."""
    columns: list[Column] = [
        ("slices that have", lambda one: str(one["part"])),
        ("slices", lambda one: f"{one['slices']:,}"),
        ("accuracy %", lambda one: percent(one["accuracy"])),
        ("Dice", lambda one: score(one["dice"])),
    ]
    return _table("", columns, report["audit"]["copy_baselines"] or [])


def training(report: Report) -> Table:
    """What the run recorded of its data and split."""
    run = report["training"]
    data, split = run["data"], run["split"] or {}
    sides = ", ".join(f"{side} {count:,}" for side, count in (split.get("slices") or {}).items())
    lines = [
        ("run", run["run"]),
        ("recipe", _named(run["recipe"])),
        ("data", f"{data['path']} ({data['kind']}), {_count(data['slices'])} slices"),
        ("could not be read", f"{run['rejected']} slices"),
        ("groups", data["groups"] or "the data folder's own, or found from the pictures"),
        ("split by group", sides or UNKNOWN),
        ("SHA-256 of data, split", f"{short(data['sha256'])}, {short(split.get('sha256'))}"),
        ("Keras backend", run["backend"] or UNKNOWN),
        *_validation(run),
    ]
    return Table("", ("what", "recorded by the run"), tuple((what, str(value)) for what, value in lines), words=(0, 1))


def environment(report: Report) -> Table:
    """The machine and the protocol."""
    machine, protocol, suite = report["environment"], report["protocol"], report["suite"]
    flags = " ".join(flag for flag, present in machine["flags"].items() if present)
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items() if version)
    margins = ", ".join(f"{name.replace('_', ' ')} {points(value)}" for name, value in suite["margins"].items())
    virtual = {True: "yes", False: "no", None: "not known"}[machine["virtualised"]]
    lines = [
        ("processor", machine["cpu"] or machine["machine"]),
        ("board", machine["board"] or "not told"),
        ("cores", f"{machine['cores_usable']} of {machine['cores']} usable"),
        ("flags that decide int8 speed", flags or "none"),
        ("virtual machine", virtual),
        ("memory", f"{_count(machine['memory_mib'])} MiB"),
        ("governor", machine["governor"] or "not readable"),
        ("clock", _readable(machine["frequency_mhz"], "MHz")),
        ("temperature", _readable(machine["temperature_c"], "degrees C")),
        ("load", f"{machine['load']:.1f} runnable processes before measuring"),
        ("system", f"{machine['system'] or UNKNOWN}, kernel {machine['kernel']}, Python {machine['python']}"),
        ("versions", versions),
        (
            "protocol",
            f"{protocol['queries']} queries in {protocol['rounds']} interleaved rounds over {protocol['timed_slices']} "
            f"slices, after {protocol['warm_up']} uncounted ones",
        ),
        ("margins, points", f"{margins} (suite {suite['name']}, {suite['source']})"),
        ("bench report", f"{report['source']}, SHA-256 {short(report['source_sha256'])}"),
    ]
    return Table("", ("what", "value"), tuple(lines), words=(0, 1))


def lineage(report: Report) -> Table:
    """Where each bundle comes from, by the first digits of the hashes."""
    names = {entry["manifest_sha256"]: entry["bundle"] for entry in report["lineage"]}
    columns: list[Column] = [
        ("bundle", lambda one: str(one["bundle"])),
        ("made from", lambda one: _parent(one, names)),
        ("recipe", lambda one: _named(one["recipe"])),
        ("manifest", lambda one: short(one["manifest_sha256"])),
        ("data", lambda one: short(one["data_sha256"])),
        ("split", lambda one: short(one["split_sha256"])),
        ("calibration", _calibration),
        ("kept in float", lambda one: str(len(one["kept_float"])) if one["here"] else UNKNOWN),
    ]
    return _table(
        "SHA-256, the first digits; the JSON has them whole.",
        columns,
        report["lineage"],
        words=(0, 1, 2, 3, 4, 5, 6, 7),
    )


def short(sha256: str | None) -> str:
    """The first digits of a hash."""
    return UNKNOWN if sha256 is None else sha256[:SHORT_HASH]


def _short_name(report: Report) -> Callable[[Any], str]:
    """A bundle's name without what all names of the report begin with: the run's."""
    prefix = shared_prefix([str(row["bundle"]) for row in report["rows"]])
    return lambda row: str(row["bundle"]).removeprefix(prefix)


def _table(caption: str, columns: Sequence[Column], rows: Iterable[Any], words: Sequence[int] = (0,)) -> Table:
    cells = tuple(tuple(cell(row) for _, cell in columns) for row in rows)
    return Table(caption, tuple(head for head, _ in columns), cells, tuple(words))


def _validation(run: Mapping[str, Any]) -> list[tuple[str, str]]:
    copied, scored = run["copying"], run["validation"]
    lines = []
    if scored is not None:
        lines.append((f"float model on {run['side']}", _dice_and_accuracy(scored)))
    if copied is not None:
        lines.append((f"copying the nearest training slice, on {run['side']}", _dice_and_accuracy(copied)))
    return lines


def _dice_and_accuracy(figures: Mapping[str, Any]) -> str:
    return f"Dice {score(figures['dice'])}, accuracy {percent(figures['accuracy'])} %"


def _parent(entry: Mapping[str, Any], names: Mapping[str, str]) -> str:
    if not entry["here"]:
        return "bundle not here"
    parent = entry["parent_sha256"]
    return "trained" if parent is None else names.get(parent, short(parent))


def _calibration(entry: Mapping[str, Any]) -> str:
    if not entry["calibration_sha256"]:
        return UNKNOWN
    seen = f"{entry['calibration_seen']} of {entry['calibration_slices']} slices seen"
    return f"{short(entry['calibration_sha256'])}, {seen}"


def _named(recipe: Mapping[str, Any] | None) -> str:
    return UNKNOWN if recipe is None else f"{recipe['name']} ({short(recipe['sha256'])})"


def _ends(text: Callable[[float | None], str], low: float | None, high: float | None) -> str:
    return UNKNOWN if low is None and high is None else f"{text(low)} to {text(high)}"


def _whole(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.0f}"


def _readable(value: float | None, unit: str) -> str:
    return "not readable" if value is None else f"{value:.0f} {unit}"


def _count(value: int | None) -> str:
    return UNKNOWN if value is None else f"{value:,}"


def _one_decimal(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.1f}"
