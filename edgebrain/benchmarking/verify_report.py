"""Do a report's figures follow from its own scores? `read_report` always asks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from edgebrain.benchmarking.report import Report, ScoredBundle
from edgebrain.benchmarking.report_row import Row, RowVerdict
from edgebrain.benchmarking.suite import suite_sha256
from edgebrain.errors import BadData, BadReport
from edgebrain.evaluation.scores import FIGURES, group_means, summarise
from edgebrain.evaluation.verdict import Comparison, Margins, outcome_of, worst_of

# Sums are made without rounding, so that only the text of a number may differ.
TOLERANCE = 1e-9
HINT = "the report was edited or cut short: measure again with `edgebrain bench --json FILE`"
# The suite's name for the margin of a question within strata, where it is not the measure's own.
STRATUM_MARGINS = {"dice": "stratum", "accuracy": "class_accuracy"}


def check_figures(report: Report, name: str = "report") -> None:
    """Compute every mean, share and drop again, and each outcome from its interval and margin.

    Args:
        report: The report.
        name: Its file, as messages name it.

    Raises:
        BadReport: One differs, a row's scores are missing, or the suite is not the one that was declared.
    """
    if report.suite.sha256 != suite_sha256(report.suite):
        raise BadReport(
            f"{name}: suite {report.suite.name!r} was edited after measuring: it does not match its hash", HINT
        )
    computed = [_computed(entry, f"{name}: images[{index}]") for index, entry in enumerate(report.images)]
    for index, row in enumerate(report.results):
        where = f"{name}: results[{index}] ({row.bundle})"
        if not 0 <= row.images < len(computed):
            raise BadReport(f"{where}: its scores are not in the report", HINT)
        _check_figures(row, computed[row.images], where)
        _check_throughput(row, where)
        _check_drop(row, report.results, where)
        _check_outcome(row.verdict, report.suite.margins, where)


def _computed(entry: ScoredBundle, where: str) -> dict[str, Any]:
    try:
        scores = entry.image_scores()
        classes = sorted({label for score in scores for label in (score.label, score.predicted)})
        return {**group_means(scores), "slice_means": summarise(scores, classes)}
    except (BadData, TypeError) as problem:
        raise BadReport(f"{where}: a score is malformed ({problem})", HINT) from problem


def _check_figures(row: Row, computed: Mapping[str, Any], where: str) -> None:
    for key in FIGURES:
        _same(getattr(row, key), computed[key], f"{where}.{key}")
        _same(row.slice_means.get(key), computed["slice_means"][key], f"{where}.slice_means.{key}")


def _check_throughput(row: Row, where: str) -> None:
    for index, entry in enumerate(row.throughput):
        rate = 1e9 * entry.slices / (sum(entry.call_ns) or math.nan)
        _same(entry.slices_per_s, rate, f"{where}.throughput[{index}].slices_per_s", "durations")


def _check_outcome(verdict: RowVerdict, margins: Margins, where: str) -> None:
    """Each margin is the suite's, each outcome follows from interval and margin, and the verdict is the worst."""
    judged = [one for one in verdict.comparisons if one.margin is not None]
    for one in judged:
        asked = f"{where}.verdict: {one.measure} {one.stratum}".rstrip()
        declared = getattr(margins, _margin_of(one), None)
        if one.margin != declared or one.margin is None:
            raise BadReport(f"{asked}: the margin is {one.margin}, the suite's {declared}", HINT)
        follows = outcome_of(one.low, one.high, one.margin)
        if one.outcome != follows:
            raise BadReport(f"{asked} is {one.outcome}, but its interval gives {follows}", HINT)
    worst = worst_of(one.outcome for one in judged)
    # A verdict with a reason of its own (one and the same answer) overrides its comparisons.
    if judged and not verdict.reason and verdict.outcome != worst:
        raise BadReport(f"{where}.verdict is {verdict.outcome}, but its comparisons give {worst}", HINT)


def _margin_of(comparison: Comparison) -> str:
    """The suite's name for a question's margin."""
    return STRATUM_MARGINS.get(comparison.measure, comparison.measure) if comparison.stratum else comparison.measure


def _check_drop(row: Row, rows: Sequence[Row], where: str) -> None:
    """The drop is the root's figure minus the row's; and the verdict is about that drop."""
    drop = {"dice": row.drop.dice, "accuracy": row.drop.accuracy}
    named = {one.path: one for one in reversed(rows) if one.bundle == row.float_parent}
    # Two runs may have given their roots the same name; then it is not known which one is meant.
    for root in named.values() if len(named) == 1 and row.path not in named else ():
        for key, stated in drop.items():
            before, after = getattr(root, key), getattr(row, key)
            known = before is not None and after is not None
            _same(stated, before - after if known else None, f"{where}.drop.{key}")
    for comparison in row.verdict.comparisons:
        if not comparison.stratum and comparison.measure in drop:
            measure = comparison.measure
            _same(comparison.drop, drop[measure], f"{where}.verdict: drop of {measure}")


def _same(stated: float | None, computed: float | None, where: str, by: str = "scores") -> None:
    if stated is None or computed is None:
        equal = stated is computed
    else:
        equal = math.isclose(stated, computed, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    if not equal:
        raise BadReport(f"{where} is {stated}, but its {by} give {computed}", HINT)
