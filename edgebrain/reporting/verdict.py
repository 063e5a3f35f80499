"""The verdicts of a bench in words: cells of tables, and one line for each bundle and target, with its reason."""

from __future__ import annotations

from collections.abc import Sequence

from edgebrain.benchmarking.report_row import RowFigures, RowVerdict
from edgebrain.evaluation.verdict import FAIL, INCONCLUSIVE, PASS, Comparison
from edgebrain.reporting.format import UNKNOWN

NAMES = {
    "dice": "Dice",
    "accuracy": "accuracy",
    "missed_tumours": "missed tumours",
    "healthy_marked": "healthy marked",
    "healthy_area": "healthy area",
    "hd95_px": "HD95",
    "surface_dice": "surface Dice",
}


def verdict_lines(rows: Sequence[RowFigures]) -> list[str]:
    """One line for each row: the outcome (first, so that it can be searched), bundle, target and reason."""
    return [f"{row.verdict.outcome}: {row.bundle} on {row.target}{because(row.verdict)}" for row in rows]


def judged(row: RowFigures) -> list[Comparison]:
    """The comparisons that are shown one by one: those of all slices that have a margin."""
    return [one for one in row.verdict.comparisons if one.margin is not None and not one.stratum]


def by_stratum(row: RowFigures) -> list[Comparison]:
    """The comparisons within strata."""
    return [one for one in row.verdict.comparisons if one.stratum]


def farthest(comparisons: Sequence[Comparison]) -> Comparison:
    """The one that is worst off: FAIL first, then INCONCLUSIVE, then the largest drop."""
    order = (PASS, INCONCLUSIVE, FAIL)
    return max(comparisons, key=lambda one: (order.index(one.outcome or PASS), one.drop))


def question(one: Comparison) -> str:
    """What is compared, such as `Dice, size under 1 %`."""
    name = NAMES.get(one.measure, one.measure)
    return f"{name}, {one.stratum}" if one.stratum else name


def drop(one: Comparison) -> str:
    """What is lost, in points, or in px."""
    return _number(one.drop, one)


def interval(one: Comparison) -> str:
    """The interval of the drop, such as `-0.12 to 0.30`; a question mark where an end is not known."""
    return " to ".join("?" if end is None else _number(end, one) for end in (one.low, one.high))


def margin(one: Comparison) -> str:
    """The margin in points; empty where the figure is not judged."""
    return "" if one.margin is None else _number(one.margin, one)


def answer(one: Comparison) -> str:
    """The outcome; for INCONCLUSIVE with the groups that would settle it."""
    return f"{one.outcome or ''}{answer_note(one)}"


def answer_note(one: Comparison) -> str:
    """What follows the outcome in a cell: for INCONCLUSIVE the groups that would settle it; else nothing."""
    return f" ({_enough(one)})" if one.outcome == INCONCLUSIVE else ""


def nth_judged(index: int, row: RowFigures) -> str:
    """The cell of a question of all slices, two lines: the drop with its outcome, and the interval."""
    one = judged(row)[index]
    return f"{drop(one)} {_mark(one)}\n{interval(one)}"


def worst_stratum(row: RowFigures) -> str:
    """Three lines: the worst stratum's drop with its outcome, what was measured, and in which stratum."""
    parts = by_stratum(row)
    if not parts:
        return UNKNOWN
    worst = farthest(parts)
    return f"{drop(worst)} {_mark(worst)}\n{NAMES[worst.measure]}\n{worst.stratum}"


def because(verdict: RowVerdict) -> str:
    """Why the outcome is what it is, in brackets with a space before; empty where there is nothing to add."""
    parts = [f"the {same}", *_reasons(verdict)] if (same := _same_answers(verdict)) else _reasons(verdict)
    # Two reasons fill a line; the table has the rest.
    more = f", and {len(parts) - 2} more" if len(parts) > 2 else ""
    return f" ({'; '.join(parts[:2])}{more})" if parts else ""


def reason(row: RowFigures) -> str:
    """The outcome of a row in sentences: what decided it, every question of all slices by name."""
    same = _same_answers(row.verdict)
    return f"{_outcome(row)} It gives the {same} as its float model." if same else _outcome(row)


def _same_answers(verdict: RowVerdict) -> str:
    """Where mask and class are the float root's on every slice, a phrase that says so; else empty."""
    slices = max((one.slices for one in verdict.comparisons), default=0)
    if not verdict.same_answers or verdict.same_answers != slices:
        return ""
    return "same answer on the only slice" if slices == 1 else f"same answers on all {slices} slices"


def _outcome(row: RowFigures) -> str:
    found = row.verdict
    if found.reason:
        return f"{found.reason[0].upper()}{found.reason[1:]}."
    if found.outcome == PASS:
        return "Every question was answered: what is lost against the float model stays inside its margin."
    decisive = [one for one in found.comparisons if one.outcome == found.outcome]
    within = sum(bool(one.stratum) for one in decisive)
    named = [
        f"{question(one)}: {drop(one)} points lost ({interval(one)}), {margin(one)} allowed"
        for one in decisive
        if not one.stratum
    ]
    strata = [f"{within} {'question' if within == 1 else 'questions'} within strata"] if within else []
    passed = [question(one) for one in judged(row) if one.outcome == PASS]
    start = "Outside the margin" if found.outcome == FAIL else "These data cannot tell"
    end = f" Inside its margin: {', '.join(passed)}." if passed else ""
    return f"{start}: {'; '.join([*named, *strata])}.{end}"


def _mark(one: Comparison) -> str:
    return "?" if one.outcome == INCONCLUSIVE else str(one.outcome)


def _reasons(verdict: RowVerdict) -> list[str]:
    """What decided an outcome, a clause each; the first ones are those of all slices."""
    if verdict.reason:
        return [verdict.reason]
    decisive = [one for one in verdict.comparisons if one.outcome == verdict.outcome != PASS]
    if verdict.outcome == FAIL:
        return [f"{question(one)} loses {drop(one)} ({interval(one)}), {margin(one)} allowed" for one in decisive]
    return [f"{question(one)}: {_enough(one)}, {one.groups} here" for one in decisive]


def _enough(one: Comparison) -> str:
    return "too close to call" if one.groups_enough is None else f"{one.groups_enough:,} groups would do"


def _number(value: float, one: Comparison) -> str:
    # Adding zero turns the minus zero of a tiny gain into zero.
    return f"{round(value if one.measure == 'hd95_px' else 100.0 * value, 2) + 0.0:.2f}"
