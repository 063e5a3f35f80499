"""Which row a page is about, and which rows no other row beats in both latency and Dice."""

from __future__ import annotations

from collections.abc import Sequence

from edgebrain.benchmarking.report_row import NOT_JUDGED, REFERENCE, RowFigures
from edgebrain.evaluation.verdict import FAIL, INCONCLUSIVE, PASS

RULE = "of the int8 bundles (else of all) the one with the best verdict; of equals the fastest by median"
# Best first.
OUTCOMES = (PASS, INCONCLUSIVE, FAIL, NOT_JUDGED, REFERENCE)
INT8 = ("int8", "mixed")


def headline(rows: Sequence[RowFigures]) -> int:
    """Index of the row that the page is about, by RULE."""
    return min(range(len(rows)), key=lambda index: _rank(rows[index]))


def frontier(rows: Sequence[RowFigures]) -> list[int]:
    """Indices of the rows that no other row beats in both latency and Dice, from the fastest to the best."""
    known = [
        (p50, -row.dice, index)
        for index, row in enumerate(rows)
        if (p50 := valid_p50(row)) is not None and row.dice is not None
    ]
    best, found = float("inf"), []
    for _, lost, index in sorted(known):
        if lost < best:
            best = lost
            found.append(index)
    return found


def valid_p50(row: RowFigures) -> float | None:
    """The median latency in ms; None with too few queries, and where the row's durations do not count."""
    return None if row.invalid else row.latency_ms.p50


def parent_of(row: RowFigures, rows: Sequence[RowFigures]) -> int | None:
    """Index of the float root that a row is compared with; None for a root, and where it is not here.

    Two runs may have given their roots the same name; then it is not known which one is meant.
    """
    named = {one.path: index for index, one in reversed(list(enumerate(rows))) if one.bundle == row.float_parent}
    return next(iter(named.values())) if len(named) == 1 and row.path not in named else None


def _rank(row: RowFigures) -> tuple[bool, int, float]:
    outcome = OUTCOMES.index(row.verdict.outcome)
    p50 = valid_p50(row)
    return row.precision not in INT8, outcome, float("inf") if p50 is None else p50
