"""Coordinates of the page's plots, in px of their SVG, which the template draws; and the confusion matrix as PNG.

Each plot is made for a width in px, so that a phone gets one of its own and no text is shrunk.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from edgebrain.evaluation.verdict import Comparison
from edgebrain.libraries import importing
from edgebrain.reporting.format import milliseconds, shared_prefix
from edgebrain.reporting.page import Bin, PageRow
from edgebrain.reporting.summary import INT8, valid_p50

Marks = dict[str, Any]
# From this ratio of slowest to fastest on, a straight axis would press the fast rows into one corner.
LOG_FROM = 4.0
LINE_PX = 17.0
CHARACTER_PX = 6.6
# Beside a label: its leader and the edge.
LABEL_ROOM_PX = 34.0
FOREST_PX = 200.0
# The axis of the drops, in largest margins: what reaches beyond is an arrow, so that the rest stays apart.
FOREST_MARGINS = (-2.0, 3.0)


class Axis:
    """Values to px, straight or logarithmic. low, high: values at start and end."""

    def __init__(self, low: float, high: float, start: float, end: float, log: bool = False) -> None:
        self.low, self.high, self.start, self.end, self.log = low, high, start, end, log

    def __call__(self, value: float) -> float:
        """The coordinate of a value in px; a value beyond an end is put at that end."""
        inside = min(max(value, self.low), self.high)
        share = (self._scaled(inside) - self._scaled(self.low)) / (self._scaled(self.high) - self._scaled(self.low))
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self, most: int) -> list[float]:
        """Round values within the axis, at most so many."""
        return _log_ticks(self.low, self.high, most) if self.log else _straight_ticks(self.low, self.high, most)

    def decimals(self, most: int) -> int:
        """How many decimals distinguish straight ticks."""
        found = self.ticks(most)
        return max(0, -math.floor(math.log10(found[1] - found[0]) + 1e-9)) if len(found) > 1 else 2

    def _scaled(self, value: float) -> float:
        return math.log(value) if self.log else value


def pareto(shown: Sequence[PageRow], width: int) -> Marks | None:
    """Median latency against Dice, with the interval of the Dice and the span from lower quartile to p90.

    Labels are in a column at the right, in the order of their points, so that none overlaps another.

    Args:
        shown: The rows of the page.
        width: Of the plot, in px.

    Returns:
        Coordinates in px; None where no row has both figures.
    """
    rows = [row for row in shown if valid_p50(row) is not None and row.dice is not None]
    if not rows:
        return None
    names = {row: _fitting(name, width) for row, name in _names(rows).items()}
    column = max(len(name) for name in names.values()) * CHARACTER_PX + LABEL_ROOM_PX
    height = max(0.62 * (width - column), LINE_PX * (len(rows) + 1) + 60, 240)
    left, right, top, bottom = 52.0, width - column, 14.0, height - 44.0
    x = _latency_axis(rows, left + 8, right - 8)
    y = _dice_axis(rows, bottom - 6, top + 6)
    points = [_point(row, names[id(row)], x, y) for row in rows]
    _spread_labels(points, top, bottom, right + 22)
    best = sorted((point["x"], point["y"]) for point, row in zip(points, rows, strict=True) if row.on_frontier)
    return {
        "width": width, "height": round(height), "left": left, "right": right, "top": top, "bottom": bottom,
        "log": x.log,
        "x_ticks": [(x(value), f"{value:g}") for value in x.ticks(6 if width > 500 else 4)],
        "y_ticks": [(y(value), f"{value:.{y.decimals(6)}f}") for value in y.ticks(6)],
        "points": points,
        "frontier": _stairs(best, right),
        "alt": "; ".join(point["description"] for point in points),
    }  # fmt: skip


def reliability(rows: Sequence[PageRow], side: int = 340) -> Marks:
    """Confidence against accuracy of at most two rows, a point a bin; its area is the number of slices."""
    left, right, top, bottom = 56.0, side - 10.0, 10.0, side - 40.0
    x, y = Axis(0.0, 1.0, left, right), Axis(0.0, 1.0, bottom, top)
    most = max(one.slices for row in rows for one in _bins(row))
    series = []
    for row in rows:
        filled = [one for one in _bins(row) if one.slices]
        series.append(
            [
                {
                    "x": x(one.confidence or 0.0),
                    "y": y(one.accuracy or 0.0),
                    "r": round(2.0 + 7.0 * math.sqrt(one.slices / most), 1),
                }
                for one in filled
            ]
        )
    ticks = [0.0, 0.25, 0.5, 0.75, 1.0]
    return {
        "side": side, "left": left, "right": right, "top": top, "bottom": bottom, "series": series,
        "x_ticks": [(x(value), f"{value:g}") for value in ticks],
        "y_ticks": [(y(value), f"{value:g}") for value in ticks],
    }  # fmt: skip


def forest(comparisons: Sequence[Comparison]) -> list[Marks | None]:
    """For each comparison the interval, the drop and the margin on one axis in points; None where it is not judged."""
    axis = Axis(*forest_ends(comparisons), 6.0, FOREST_PX - 6.0)
    return [_interval(one, axis) if one.margin is not None else None for one in comparisons]


def forest_ends(comparisons: Sequence[Comparison]) -> tuple[float, float]:
    """Both ends of the axis of `forest`, fractions of 1."""
    largest = max((one.margin for one in comparisons if one.margin), default=0.01)
    return FOREST_MARGINS[0] * largest, FOREST_MARGINS[1] * largest


def confusion_png(matrix: Sequence[Sequence[int]], classes: Sequence[str], title: str) -> bytes:
    """Draw a confusion matrix as PNG: counts in the cells, colour by the share of the true class.

    Args:
        matrix: (classes, classes) counts, rows true, columns predicted.
        classes: Names, in the order of the rows.
        title: Above the matrix.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    with importing("matplotlib", "train", "the confusion matrix's picture"):
        from matplotlib.figure import Figure
    names = [name.replace("_", " ") for name in classes]
    shares = [[cell / max(1, sum(row)) for cell in row] for row in matrix]
    figure = Figure(figsize=(5.6, 4.8), layout="constrained")
    axes = figure.subplots()
    picture = axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    axes.set(xticks=range(len(names)), xticklabels=names, yticks=range(len(names)), yticklabels=names)
    axes.set(xlabel="predicted", ylabel="true", title=title)
    for y, row in enumerate(matrix):
        for x, cell in enumerate(row):
            axes.text(x, y, str(cell), ha="center", va="center", color="white" if shares[y][x] > 0.5 else "black")
    figure.colorbar(picture, label="share of the true class")
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=110)
    return content.getvalue()


def _interval(one: Comparison, axis: Axis) -> Marks:
    # An end that is not known may be anywhere.
    low, high = (-math.inf if one.low is None else one.low, math.inf if one.high is None else one.high)
    return {
        "low": axis(low), "high": axis(high), "margin": axis(one.margin or 0.0), "zero": axis(0.0),
        "drop": axis(one.drop) if axis.low <= one.drop <= axis.high else None,
        "beyond": [axis.start if low < axis.low else None, axis.end if high > axis.high else None],
    }  # fmt: skip


def _names(rows: Sequence[PageRow]) -> dict[int, str]:
    """A label for each row, by identity: the bundle without the run's name, and the threads where they differ."""
    prefix = shared_prefix([row.bundle for row in rows])
    several = len({row.threads for row in rows}) > 1
    return {id(row): row.bundle.removeprefix(prefix) + (f", {row.threads} thr" if several else "") for row in rows}


def _fitting(name: str, width: float) -> str:
    """A label that leaves half of the width to the plot; three dots replace what is cut out of the middle."""
    most = int((width / 2 - LABEL_ROOM_PX) / CHARACTER_PX)
    return name if len(name) <= most else f"{name[: most // 3]}...{name[len(name) - (most - most // 3 - 3) :]}"


def _latency_axis(rows: Sequence[PageRow], start: float, end: float) -> Axis:
    values = [value for row in rows for key in ("p25", "p50", "p90") if (value := getattr(row.latency_ms, key))]
    low, high = min(values), max(values)
    return Axis(low / 1.15, high * 1.15, start, end, log=high / low >= LOG_FROM)


def _dice_axis(rows: Sequence[PageRow], start: float, end: float) -> Axis:
    values = [
        value for row in rows for key in ("dice_low", "dice", "dice_high") if (value := getattr(row, key)) is not None
    ]
    room = max(0.01, 0.05 * (max(values) - min(values)))
    return Axis(max(0.0, min(values) - room), min(1.0, max(values) + room), start, end)


def _point(row: PageRow, name: str, x: Axis, y: Axis) -> Marks:
    latency, dice, p50 = row.latency_ms, row.dice or 0.0, row.latency_ms.p50 or 0.0
    span = [p50 if end is None else end for end in (latency.p25, latency.p90)]
    ends = [dice if end is None else end for end in (row.dice_low, row.dice_high)]
    return {
        "label": name,
        "description": f"{row.bundle}: {milliseconds(p50)} ms, Dice {dice:.4f}",
        "x": x(p50),
        "y": y(dice),
        "span": [x(value) for value in span],
        "ends": [y(value) for value in ends],
        "int8": row.precision in INT8,
        "on_frontier": row.on_frontier,
    }


def _spread_labels(points: list[Marks], top: float, bottom: float, left: float) -> None:
    """Give each point the coordinates of its label: as near to its height as the lines allow, top to bottom."""
    ordered = sorted(points, key=lambda point: (point["y"], -point["x"]))
    floor = top + LINE_PX / 2
    for index, point in enumerate(ordered):
        # Room for the labels that are still to come.
        latest = bottom - LINE_PX * (len(ordered) - index - 1)
        floor = max(floor, min(point["y"], latest))
        point["label_x"], point["label_y"] = left, round(floor, 1)
        floor += LINE_PX


def _stairs(points: Sequence[tuple[float, float]], right: float) -> str:
    """The frontier as an SVG path: a step at each row on it."""
    if not points:
        return ""
    path = f"M{points[0][0]} {points[0][1]}"
    for (_, y), (x, higher) in pairwise(points):
        path += f"L{x} {y}L{x} {higher}"
    return f"{path}L{right} {points[-1][1]}"


def _straight_ticks(low: float, high: float, most: int) -> list[float]:
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    first = math.ceil(low / step)
    return [round(index * step, 10) for index in range(first, math.floor(high / step) + 1)]


def _log_ticks(low: float, high: float, most: int) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 2, 5), (1, 3), (1,)):
        found = [factor * 10.0**power for power in powers for factor in factors if low <= factor * 10.0**power <= high]
        if len(found) <= most:
            return found
    return found[:: -(-len(found) // most)]


def _bins(row: PageRow) -> tuple[Bin, ...]:
    return () if row.reliability is None else row.reliability.bins
