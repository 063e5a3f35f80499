"""The summary of a data set for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from edgebrain.bundle import CLASSES
from edgebrain.data.sample import PLANES
from edgebrain.data.summary import Summary

SIZES_SHOWN = 6


def print_summary(found: Summary) -> None:
    """Print a summary on stdout, within 80 columns."""
    screen = Console(width=80)
    screen.print(f"{found.root}: {found.slices} slices, laid out as {found.kind}", markup=False, highlight=False)
    table = Table(box=SIMPLE_HEAD)
    for head in ("side", "class", *PLANES, "sum"):
        table.add_column(head, justify="left" if head in ("side", "class") else "right")
    for folder in found.folders:
        for label in CLASSES:
            numbers = [found.count(folder, label, plane) for plane in PLANES]
            table.add_row(folder, label, *map(str, numbers), str(sum(numbers)))
        numbers = [found.count(folder, plane=plane) for plane in PLANES]
        table.add_row(folder, "sum", *map(str, numbers), str(sum(numbers)))
        table.add_section()
    screen.print(table)
    for line in _lines(found):
        print(line)


def _lines(found: Summary) -> list[str]:
    shown = list(found.sizes.items())[:SIZES_SHOWN]
    rest = len(found.sizes) - len(shown)
    sizes = ", ".join(f"{size} ({count})" for size, count in shown) + (f", and {rest} others" if rest > 0 else "")
    return [
        f"sizes: {sizes or 'none could be read'}",
        f"masks: {found.masks} tumour slices with one, {len(found.missing_masks)} without",
        found.encoding.describe(),
        *(f"  no mask: {name}" for name in found.missing_masks),
        f"unreadable: {len(found.unreadable)}",
        *(f"  {file}: {reason}" for file, reason in found.unreadable),
        *_named("masks that contradict the label", [f"{file}: {reason}" for file, reason in found.contradictions]),
        *_named("names that tell no class", found.strays),
        *_named("files that look like masks and belong to no picture", found.lone_masks),
        *([f"{len(found.rejected)} of {found.slices} slices are left out by every command"] if found.rejected else []),
    ]


def _named(title: str, lines: Sequence[str]) -> list[str]:
    """A title with a count, and the lines below it; nothing where there are none."""
    return [f"{title}: {len(lines)}", *(f"  {line}" for line in lines)] if lines else []
