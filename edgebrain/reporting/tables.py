"""The page's tables of figures as text, for HTML and Markdown alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from edgebrain.benchmarking.report import scored_rows
from edgebrain.benchmarking.report_row import Throughput
from edgebrain.reporting import verdict
from edgebrain.reporting.format import (
    UNKNOWN,
    mebibytes,
    milliseconds,
    one_decimal,
    per_second,
    percent,
    points,
    score,
    shared_prefix,
    whole,
)
from edgebrain.reporting.page import PageReport, PageRow


@dataclass(frozen=True)
class OutcomeCell:
    """A cell with a verdict, which the page colours. note: what follows the outcome."""

    outcome: str
    note: str = ""

    def __str__(self) -> str:
        return f"{self.outcome}{self.note}"


Cell = str | OutcomeCell
Column = tuple[str, Callable[[Any], Cell]]


@dataclass(frozen=True)
class Table:
    """Heads and cells as text.

    Attributes:
        caption: Sentences, may be empty.
        heads: One a column.
        rows: A cell a column.
        words: Indices of the columns that hold words; the others hold numbers.
        chosen: Index of the headline's row, if it is in the table.
    """

    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    words: tuple[int, ...] = (0,)
    chosen: int | None = None


def make_table(caption: str, columns: Sequence[Column], rows: Iterable[Any], words: Sequence[int] = (0,)) -> Table:
    """A table with a row of cells for each of `rows`; caption and words as in Table."""
    cells = tuple(tuple(cell(row) for _, cell in columns) for row in rows)
    return Table(caption, tuple(head for head, _ in columns), cells, tuple(words))


def speed(report: PageReport) -> Table:
    """Size and speed of each bundle, and where it ran."""
    protocol = report.protocol
    columns: list[Column] = [
        ("bundle", _short_name(report)),
        ("p50 ms", lambda row: milliseconds(row.latency_ms.p50)),
        ("p90 ms", lambda row: milliseconds(row.latency_ms.p90)),
        ("p99 ms", lambda row: milliseconds(row.latency_ms.p99)),
        ("x float32", lambda row: UNKNOWN if row.speedup is None else f"{row.speedup:.1f}"),
        ("MiB", lambda row: mebibytes(row.size_bytes)),
        ("int8 work %", lambda row: percent(row.int8_mac_share)),
        ("peak MiB", lambda row: whole(row.peak_rss_mib)),
        ("threads", lambda row: str(row.threads)),
        ("target", lambda row: str(row.target)),
        ("ran as", lambda row: f"{row.runs.get('engine')} {row.runs.get('precision')}"),
        ("counts", lambda row: "no" if row.invalid else "yes"),
    ]
    # The column is left out where all durations count.
    shown = columns if any(row.invalid for row in report.rows) else columns[:-1]
    caption = (
        f"Measured on {report.machine}. {protocol.queries} queries of one slice, from the slice in memory to "
        "mask and class. p90 and p99 are upper bounds; x float32: times as fast as float32 on the same runtime."
    )
    return replace(make_table(caption, shown, report.rows, words=(0, 9, 10, 11)), chosen=report.headline.row)


def throughput(report: PageReport) -> Table | None:
    """Slices a second where a GPU answered several in one call; None where that was not measured."""
    lines: list[tuple[PageRow, Throughput]] = [(row, entry) for row in report.rows for entry in row.throughput]
    if not lines:
        return None
    columns: list[Column] = [
        ("bundle", lambda line: _short_name(report)(line[0])),
        ("slices a call", lambda line: str(line[1].batch)),
        ("slices a second", lambda line: per_second(line[1].slices_per_s)),
        ("other answers", lambda line: str(line[1].slices_differing)),
        ("target", lambda line: line[0].target),
    ]
    caption = (
        "From slices in memory to masks and classes, with the copies to the device and back. Other answers: slices "
        "whose raw outputs are not those that were scored, one slice a call."
    )
    return make_table(caption, columns, lines, words=(0, 4))


def quality(report: PageReport) -> Table:
    """What each bundle scores, and its verdict."""
    columns: list[Column] = [
        ("bundle", _short_name(report)),
        ("verdict", lambda row: OutcomeCell(row.verdict.outcome)),
        ("Dice", lambda row: score(row.dice)),
        ("interval", lambda row: _ends(score, row.dice_low, row.dice_high)),
        ("drop", lambda row: points(row.drop.dice)),
        ("accuracy %", lambda row: percent(row.accuracy)),
        ("drop", lambda row: points(row.drop.accuracy)),
        ("missed %", lambda row: percent(row.missed_tumours)),
        ("marked %", lambda row: percent(row.healthy_marked)),
        ("HD95 px", lambda row: one_decimal(row.hd95_px)),
        ("ECE %", lambda row: UNKNOWN if row.reliability is None else percent(row.reliability.ece)),
    ]
    data = report.data
    side = f"{data.slices} slices of the {data.split or 'unnamed'} side ({data.source or 'source not known'})"
    lost = f" {data.left_out}." if data.left_out else ""
    caption = (
        f"{side}.{lost} Means over groups: a patient, or the "
        "copies of one picture, counts once. drop: points lost against the float model. missed: tumours of which "
        "nothing was found; marked: healthy slices with a lesion pixel; ECE: see the class probabilities below."
    )
    rows = scored_rows(report.rows)
    scores = [row.images for row in rows]
    chosen = scores.index(report.headline_row.images)
    return replace(make_table(caption, columns, rows, words=(0, 1)), chosen=chosen)


def comparisons(report: PageReport, row: PageRow) -> Table:
    """Every question that was put to a bundle."""
    confidence = report.suite.sampling.confidence
    columns: list[Column] = [
        ("question", verdict.question),
        ("outcome", lambda one: OutcomeCell(one.outcome, verdict.answer_note(one)) if one.outcome else "not judged"),
        ("groups", lambda one: str(one.groups)),
        ("drop", verdict.drop),
        ("interval", verdict.interval),
        ("margin", verdict.margin),
    ]
    caption = (
        f"In points (hundredths), HD95 in px; positive is worse. Intervals hold at {100 * confidence:g} %, those of "
        "the strata together. A question without a margin is not judged."
    )
    return make_table(caption, columns, row.verdict.comparisons, words=(0, 1))


def confusion(row: PageRow) -> Table:
    """Rows are the true class, columns the one given; counts of slices."""
    names = [name.replace("_", " ") for name in row.classes]
    rows = ((name, *map(str, counts)) for name, counts in zip(names, row.confusion, strict=True))
    return Table("", ("true \\ given", *names), tuple(rows))


def bins(row: PageRow) -> Table:
    """The reliability diagram in numbers; empty bins are left out."""
    columns: list[Column] = [
        ("confidence", lambda one: f"{one.low:.2f} to {one.high:.2f}"),
        ("slices", lambda one: str(one.slices)),
        ("mean confidence %", lambda one: percent(one.confidence)),
        ("accuracy %", lambda one: percent(one.accuracy)),
    ]
    filled = [one for one in row.reliability.bins if one.slices] if row.reliability else []
    return make_table("", columns, filled)


def worst(report: PageReport) -> Table:
    """The worst slices by name, without their pictures."""
    columns: list[Column] = [
        ("slice", lambda one: str(one.name)),
        ("class", lambda one: str(one.label)),
        ("given", lambda one: str(one.predicted)),
        ("Dice", lambda one: score(one.dice)),
        ("float Dice", lambda one: score(one.parent_dice)),
        ("lesion %", lambda one: percent(one.true_share)),
        ("marked %", lambda one: percent(one.marked_share)),
    ]
    return make_table("", columns, report.worst.slices, words=(0, 1, 2))


def layers(report: PageReport) -> Table:
    """What each layer costs."""
    columns: list[Column] = [
        ("layer", lambda one: str(one.layer)),
        ("precision", lambda one: str(one.precision)),
        ("SQNR dB", lambda one: one_decimal(one.sqnr_db)),
        ("drift dB", lambda one: one_decimal(one.drift_db)),
        ("Dice won back", lambda one: points(one.dice_recovered)),
        ("interval", lambda one: _ends(points, one.dice_low, one.dice_high)),
        ("ms", lambda one: milliseconds(one.ms)),
        ("million MACs", lambda one: UNKNOWN if one.macs is None else f"{one.macs / 1e6:.2f}"),
        ("KiB", lambda one: UNKNOWN if one.bytes is None else f"{one.bytes / 1024:.1f}"),
    ]
    caption = (
        "SQNR: signal to noise against the layer in float on the same input; drift: against the float network's layer, "
        "with the noise of all before it; Dice won back: points that the bundle gains with this layer in float."
    )
    return make_table(caption, columns, report.layers.layers, words=(0, 1))


def _short_name(report: PageReport) -> Callable[[Any], str]:
    """A bundle's name without what all names of the report begin with: the run's."""
    prefix = shared_prefix([row.bundle for row in report.rows])
    return lambda row: row.bundle.removeprefix(prefix)


def _ends(text: Callable[[float | None], str], low: float | None, high: float | None) -> str:
    return UNKNOWN if low is None and high is None else f"{text(low)} to {text(high)}"
