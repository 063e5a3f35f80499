"""What `edgebrain explain` found, as a table of 80 columns and in words."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

from edgebrain.reporting.table import UNKNOWN, WIDTH, milliseconds, points, print_table, score

Layer = Mapping[str, Any]
COLUMNS = ("layer", "ran as", "own\ndB", "drift\ndB", "Dice back\npoints", "[95 %]", "ms", "MAC\n%", "KiB")


def show(found: Mapping[str, Any]) -> None:
    """Print the table, one layer a row, and what it says in words."""
    total = sum(layer["macs"] for layer in found["layers"])
    print_table(f"Layers of {found['bundle']}", COLUMNS, [_row(layer, total) for layer in found["layers"]])
    for line in lines(found):
        print(textwrap.fill(line, WIDTH))


def lines(found: Mapping[str, Any]) -> list[str]:
    """The sentences below the table."""
    layers = found["layers"]
    dice, data = found["dice"], found["data"]
    parts = [
        f"Dice {score(dice['parent'])} in float, {score(dice['bundle'])} here, on {data['slices']} validation slices",
        *_worst(layers),
    ]
    counted = sum(layer["ms"] for layer in layers if layer["ms"] is not None)
    rest = (
        f"the layers take {milliseconds(counted)} ms by themselves, the whole network {milliseconds(found['whole_ms'])}"
    )
    together = "the intervals of the layers hold together at 95 % (Bonferroni)"
    return [*parts, rest, together, *found["notes"]]


def _worst(layers: list[Layer]) -> list[str]:
    """The layer with the most noise of its own, and what would be worth keeping in float."""
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
            f" ({interval(best)}); `edgebrain quantize --int8 --keep-float {best['layer']}`"
        )
    elif any(layer["dice_recovered"] is not None for layer in layers):
        found.append("no single layer gives Dice back for sure: each interval holds zero")
    return found


def interval(layer: Layer) -> str:
    """The interval of the Dice that comes back, such as `0.10 to 0.52`."""
    return " to ".join("?" if layer[end] is None else points(layer[end]) for end in ("dice_low", "dice_high"))


def _row(layer: Layer, total: int) -> list[str]:
    return [
        layer["layer"],
        layer["precision"].replace("float", "f"),
        *(UNKNOWN if layer[key] is None else f"{layer[key]:.1f}" for key in ("sqnr_db", "drift_db")),
        points(layer["dice_recovered"]),
        UNKNOWN if layer["dice_recovered"] is None else interval(layer),
        milliseconds(layer["ms"]),
        f"{100 * layer['macs'] / total:.1f}",
        f"{layer['bytes'] / 1024:.1f}",
    ]
