"""Which row a page is about, and which rows no other row beats in both latency and Dice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgebrain.benchmarking.judge import NOT_JUDGED, REFERENCE
from edgebrain.evaluation.verdict import FAIL, INCONCLUSIVE, PASS

Row = Mapping[str, Any]
RULE = "of the int8 bundles (else of all) the one with the best verdict; of equals the fastest by median"
# Best first.
OUTCOMES = (PASS, INCONCLUSIVE, FAIL, NOT_JUDGED, REFERENCE)
INT8 = ("int8", "mixed")


def headline(rows: Sequence[Row]) -> int:
    """Place of the row that the page is about, by RULE."""
    return min(range(len(rows)), key=lambda place: _rank(rows[place]))


def frontier(rows: Sequence[Row]) -> list[int]:
    """Places of the rows that none beats: another is slower, or has a lower Dice. From the fastest to the best."""
    known = [place for place, row in enumerate(rows) if valid_p50(row) is not None and row["dice"] is not None]
    best, found = float("-inf"), []
    for place in sorted(known, key=lambda one: (valid_p50(rows[one]), -rows[one]["dice"])):
        if rows[place]["dice"] > best:
            best = rows[place]["dice"]
            found.append(place)
    return found


def valid_p50(row: Row) -> float | None:
    """The median latency in ms; None with too few queries, and where the row's durations do not count."""
    p50: float | None = row["latency_ms"]["p50"]
    return None if row.get("invalid") else p50


def parent_of(row: Row, rows: Sequence[Row]) -> int | None:
    """Place of the float root that a row is compared with; None for a root, and where it is not here.

    Two runs may have given their roots the same name; then it is not known which one is meant.
    """
    named = {
        one["path"]: place for place, one in reversed(list(enumerate(rows))) if one["bundle"] == row["float_parent"]
    }
    return next(iter(named.values())) if len(named) == 1 and row["path"] not in named else None


def _rank(row: Row) -> tuple[bool, int, float]:
    outcome = OUTCOMES.index(row["verdict"]["outcome"])
    p50 = valid_p50(row)
    return row["precision"] not in INT8, outcome, float("inf") if p50 is None else p50
