"""What a table of the page is: heads and cells as text, and which columns hold words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgebrain.reporting.table import UNKNOWN

Row = Mapping[str, Any]
Report = Mapping[str, Any]
Column = tuple[str, Callable[[Any], str]]


@dataclass(frozen=True)
class Table:
    """caption: sentences, may be empty. words: places of the columns that hold words; the others hold numbers.
    chosen: place of the headline's row, if it is in it."""

    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: tuple[int, ...] = (0,)
    chosen: int | None = None


def make_table(caption: str, columns: Sequence[Column], rows: Iterable[Any], words: Sequence[int] = (0,)) -> Table:
    """A row of cells for each of `rows`. words: as in Table."""
    cells = tuple(tuple(cell(row) for _, cell in columns) for row in rows)
    return Table(caption, tuple(head for head, _ in columns), cells, tuple(words))


def whole(value: float | None) -> str:
    """A number without decimals."""
    return UNKNOWN if value is None else f"{value:.0f}"
