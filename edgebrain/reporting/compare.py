"""The sentences of `edgebrain compare`: for each pair of rows, what changed and what would have been noise."""

from __future__ import annotations

from edgebrain.benchmarking.compare import ReportChange, RowChange
from edgebrain.reporting.format import milliseconds

# Above this a slow-down of 5 % is not found reliably, and a line warns of it.
MOST_NOISE = 0.05


def compare_text(found: ReportChange) -> str:
    """What changed from one report to another, as lines of text."""
    lines = [_line(row) for row in found.rows]
    lines += [f"{name}: {one} -> {other}" for name, (one, other) in found.changed.items()]
    lines += [f"only in {found.reports[0]}: {name}" for name in found.only_in_first]
    lines += [f"only in {found.reports[1]}: {name}" for name in found.only_in_second]
    lines += _noise_warning(found)
    return "\n".join(lines)


def _line(row: RowChange) -> str:
    """One row: the finding first, so that it can be searched."""
    who = f"{row.bundle} on {row.target}, {row.threads} threads"
    times = " -> ".join(f"{milliseconds(value)}" for value in row.p50_ms)
    against = f", relative to {row.partner}" if row.partner else ""
    other = "" if row.same_bundle else "; another bundle of that name"
    ends = f"{_percent(row.low)} to {_percent(row.high)}"
    size = f"{_percent(row.change)} ({ends}; noise {100 * row.noise:.1f} %)"
    return f"{row.finding}: {who}: {size}{against}; p50 {times} ms{other}"


def _noise_warning(found: ReportChange) -> list[str]:
    noise = max(row.noise for row in found.rows)
    if noise <= MOST_NOISE:
        return []
    return [f"a difference of 5 % would not be seen in a noise of {100 * noise:.0f} %: measure on a quiet machine"]


def _percent(value: float) -> str:
    return f"{100 * value:+.1f} %"
