"""Numbers and names into text, the same everywhere. The only place that rounds."""

from __future__ import annotations

from collections.abc import Sequence

UNKNOWN = "-"


def milliseconds(value: float | None) -> str:
    """A duration in ms, three figures."""
    return UNKNOWN if value is None else f"{value:.2f}" if value < 100 else f"{value:.0f}"


def per_second(value: float) -> str:
    """A rate: three figures, or all before the point."""
    return f"{value:.3g}" if value < 100 else f"{value:,.0f}"


def mebibytes(size_bytes: float | None) -> str:
    """A size in MiB, two decimals."""
    return UNKNOWN if size_bytes is None else f"{size_bytes / 2**20:.2f}"


def score(value: float | None) -> str:
    """A figure between 0 and 1, four decimals."""
    return UNKNOWN if value is None else f"{value:.4f}"


def points(value: float | None) -> str:
    """A drop of a score in [0, 1], in percentage points: 0.012 is 1.20."""
    # Adding zero turns the minus zero of a tiny gain into zero.
    return UNKNOWN if value is None else f"{round(100 * value, 2) + 0.0:.2f}"


def percent(value: float | None) -> str:
    """A share in percent, one decimal."""
    return UNKNOWN if value is None else f"{100 * value:.1f}"


def one_decimal(value: float | None) -> str:
    """A number with one decimal."""
    return UNKNOWN if value is None else f"{value:.1f}"


def whole(value: float | None) -> str:
    """A number without decimals."""
    return UNKNOWN if value is None else f"{value:.0f}"


def short_precision(precision: str) -> str:
    """A number format as narrow columns show it: f32 for float32."""
    return precision.replace("float", "f")


def shared_prefix(names: Sequence[str]) -> str:
    """What all names begin with, up to a hyphen: a run's name, which would fill the column; empty for a single name."""
    parts = names[0].split("-") if len(set(names)) > 1 else []
    prefixes = ("-".join(parts[:count]) + "-" for count in range(len(parts) - 1, 0, -1))
    return next((prefix for prefix in prefixes if all(name.startswith(prefix) for name in names)), "")


def markdown_lines(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table, a line each; pipe characters inside cells are escaped."""
    lines = (heads, ["---"] * len(heads), *rows)
    return ["| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines]
