"""Tables on the terminal, 80 columns wide: of a bench, and of a bundle's layers."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from edgebrain.benchmarking.report import Report, scored_rows
from edgebrain.reporting.bench_tables import Column, legend, overview_tables
from edgebrain.reporting.format import UNKNOWN, milliseconds, one_decimal, points, score, short_precision
from edgebrain.reporting.verdict import verdict_lines

WIDTH = 80
LAYER_COLUMNS = ("layer", "ran as", "own\ndB", "drift\ndB", "Dice back\npoints", "[95 %]", "ms", "MAC\n%", "KiB")

Layer = Mapping[str, Any]


def show_report(report: Report, console: Console | None = None) -> None:
    """Print a bench report: speed, quality, the verdict's table, the notes, and a line for each verdict at the end."""
    screen = console or Console(width=WIDTH)
    for table in overview_tables(report):
        if table.rows:
            screen.print(_rich(table.title, table.columns, table.rows))
    notes = [note.text for note in report.notes]
    for line in [*legend(report), *notes, "", *verdict_lines(scored_rows(report.results))]:
        screen.print(line, markup=False, highlight=False)


def print_table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table of texts."""
    columns: list[Column] = [(head, itemgetter(index)) for index, head in enumerate(heads)]
    Console(width=WIDTH).print(_rich(title, columns, rows))


def show_layers(found: Mapping[str, Any]) -> None:
    """Print what `edgebrain explain` found: a table with one layer a row, and sentences.

    Args:
        found: As `compression.sensitivity` gives it.
    """
    total = sum(layer["macs"] for layer in found["layers"])
    rows = [_layer_row(layer, total) for layer in found["layers"]]
    print_table(f"Layers of {found['bundle']}", LAYER_COLUMNS, rows)
    for line in layer_lines(found):
        print(textwrap.fill(line, WIDTH))


def layer_lines(found: Mapping[str, Any]) -> list[str]:
    """The sentences below the table of layers."""
    layers, dice = found["layers"], found["dice"]
    slices = found["data"]["slices"]
    counted = sum(layer["ms"] for layer in layers if layer["ms"] is not None)
    return [
        f"Dice {score(dice['parent'])} in float, {score(dice['bundle'])} here, on {slices} validation slices",
        *_worst_layers(layers),
        f"the layers take {milliseconds(counted)} ms by themselves, the whole network "
        f"{milliseconds(found['whole_ms'])}",
        "the intervals of the layers hold together at 95 % (Bonferroni)",
        *found["notes"],
    ]


def _rich(title: str, columns: Sequence[Column], rows: Sequence[Any]) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 0, 0, 1), pad_edge=False)
    for index, (head, _) in enumerate(columns):
        table.add_column(head, justify="left" if index == 0 else "right", overflow="fold", no_wrap=index > 0)
    for row in rows:
        table.add_row(*(cell(row) for _, cell in columns))
    return table


def _worst_layers(layers: Sequence[Layer]) -> list[str]:
    """The layer with the most noise of its own, and the one that is worth keeping in float."""
    noisy = [layer for layer in layers if layer["sqnr_db"] is not None]
    found = []
    if noisy:
        worst = min(noisy, key=lambda layer: float(layer["sqnr_db"]))
        found.append(f"most noise of its own: {worst['layer']}, {worst['sqnr_db']:.1f} dB")
    sure = [layer for layer in layers if layer["dice_low"] is not None and layer["dice_low"] > 0.0]
    if sure:
        best = max(sure, key=lambda layer: float(layer["dice_recovered"]))
        found.append(
            f"worth keeping in float: {best['layer']}, {points(best['dice_recovered'])} points of Dice"
            f" ({_interval(best)}); `edgebrain quantize --int8 --keep-float {best['layer']}`"
        )
    elif any(layer["dice_recovered"] is not None for layer in layers):
        found.append("no single layer gives Dice back for sure: each interval holds zero")
    return found


def _interval(layer: Layer) -> str:
    """The interval of the Dice that comes back, such as `0.10 to 0.52`."""
    return " to ".join("?" if layer[end] is None else points(layer[end]) for end in ("dice_low", "dice_high"))


def _layer_row(layer: Layer, total: int) -> list[str]:
    return [
        layer["layer"],
        short_precision(layer["precision"]),
        one_decimal(layer["sqnr_db"]),
        one_decimal(layer["drift_db"]),
        points(layer["dice_recovered"]),
        UNKNOWN if layer["dice_recovered"] is None else _interval(layer),
        milliseconds(layer["ms"]),
        f"{100 * layer['macs'] / total:.1f}",
        f"{layer['bytes'] / 1024:.1f}",
    ]
