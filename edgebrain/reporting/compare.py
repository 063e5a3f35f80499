"""The sentences of `edgebrain compare`: for each pair of rows, what changed and what would have been noise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgebrain.reporting.table import milliseconds

# Above this the promise to find 5 % does not hold, and that is said.
LOUD = 0.05


def compare_text(found: Mapping[str, Any]) -> str:
    """The result of `bench.compare.compare_reports` as lines of text."""
    lines = [_line(row) for row in found["rows"]]
    lines += [f"{name}: {one} -> {other}" for name, (one, other) in found["changed"].items()]
    lines += [f"only in {found['reports'][0]}: {name}" for name in found["only_in_first"]]
    lines += [f"only in {found['reports'][1]}: {name}" for name in found["only_in_second"]]
    lines += _loud(found)
    return "\n".join(lines)


def _line(row: Mapping[str, Any]) -> str:
    """One row: the finding first, so that it can be searched."""
    who = f"{row['bundle']} on {row['target']}, {row['threads']} threads"
    times = " -> ".join(f"{milliseconds(value)}" for value in row["p50_ms"])
    against = f", beside {row['partner']}" if row["partner"] else ""
    other = "" if row["same_bundle"] else "; another bundle of that name"
    ends = f"{_percent(row['low'])} to {_percent(row['high'])}"
    size = f"{_percent(row['change'])} ({ends}; noise {100 * row['noise']:.1f} %)"
    return f"{row['finding']}: {who}: {size}{against}; p50 {times} ms{other}"


def _loud(found: Mapping[str, Any]) -> list[str]:
    loudest = max(row["noise"] for row in found["rows"])
    if loudest <= LOUD:
        return []
    return [f"a difference of 5 % would not be seen in a noise of {100 * loudest:.0f} %: measure on a quiet machine"]


def _percent(value: float) -> str:
    return f"{100 * value:+.1f} %"
