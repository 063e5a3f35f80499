"""Do a report's figures follow from its own scores? Whoever reads a report can ask; `read_report` always does."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from edgebrain.errors import BadData, BadReport
from edgebrain.evaluation.scores import FIGURES, ImageScore, group_means, summarise
from edgebrain.evaluation.verdict import outcome_of, worst_of
from edgebrain.files import sha256_json

# Sums are made without rounding, so that only the text of a number may differ.
TOLERANCE = 1e-9
HINT = "the report was edited or cut short: measure again with `edgebrain bench --json FILE`"


def check_figures(report: Mapping[str, Any], name: str = "report") -> None:
    """Compute every mean, share and drop again, and each outcome from its interval and margin.

    Raises BadReport: one differs, a row's scores are not there, or the suite is not the one that was declared.
    """
    _check_suite(report["suite"], name)
    computed = [_computed(entry, f"{name}: images[{place}]") for place, entry in enumerate(report["images"])]
    for place, row in enumerate(report["results"]):
        where = f"{name}: results[{place}] ({row['bundle']})"
        if not 0 <= row["images"] < len(computed):
            raise BadReport(f"{where}: its scores are not in the report", HINT)
        found = computed[row["images"]]
        for key in FIGURES:
            _same(row[key], found[key], f"{where}.{key}")
            _same(row["slice_means"].get(key), found["slice_means"][key], f"{where}.slice_means.{key}")
        for number, entry in enumerate(row.get("throughput") or ()):
            rate = 1e9 * entry["slices"] / (sum(entry["call_ns"]) or math.nan)
            _same(entry["slices_per_s"], rate, f"{where}.throughput[{number}].slices_per_s", "durations")
        _check_drop(row, report["results"], where)
        _check_outcome(row["verdict"], report["suite"]["margins"], where)


def _computed(entry: Mapping[str, Any], where: str) -> dict[str, Any]:
    try:
        scores = [ImageScore.from_json(score) for score in entry["scores"]]
        classes = sorted({label for score in scores for label in (score.label, score.predicted)})
        return {**group_means(scores), "slice_means": summarise(scores, classes)}
    except (BadData, KeyError, TypeError) as problem:
        raise BadReport(f"{where}: lacks or garbles a score ({problem})", HINT) from problem


def _check_suite(suite: Mapping[str, Any], name: str) -> None:
    if suite["sha256"] != sha256_json({key: suite[key] for key in ("name", "margins", "sampling")}):
        raise BadReport(f"{name}: suite {suite['name']!r} was edited after measuring: it does not match its hash", HINT)


def _check_outcome(verdict: Mapping[str, Any], margins: Mapping[str, float], where: str) -> None:
    """Each margin is the suite's, each outcome follows from interval and margin, and the verdict is the worst."""
    judged = [one for one in verdict["comparisons"] if one["margin"] is not None]
    for one in judged:
        asked = f"{where}.verdict: {one['measure']} {one['stratum']}".rstrip()
        declared = margins.get(_margin_of(one))
        if one["margin"] != declared:
            raise BadReport(f"{asked}: the margin is {one['margin']}, the suite's {declared}", HINT)
        follows = outcome_of(one["low"], one["high"], one["margin"])
        if one["outcome"] != follows:
            raise BadReport(f"{asked} is {one['outcome']}, but its interval gives {follows}", HINT)
    worst = worst_of(one["outcome"] for one in judged)
    # A verdict with a reason of its own (one and the same answer) stands above its comparisons.
    if judged and not verdict["reason"] and verdict["outcome"] != worst:
        raise BadReport(f"{where}.verdict is {verdict['outcome']}, but its comparisons give {worst}", HINT)


def _margin_of(comparison: Mapping[str, Any]) -> str:
    """The suite's name for a question's margin."""
    if not comparison["stratum"]:
        return str(comparison["measure"])
    return {"dice": "stratum", "accuracy": "class_accuracy"}.get(comparison["measure"], str(comparison["measure"]))


def _check_drop(row: Mapping[str, Any], rows: list[Mapping[str, Any]], where: str) -> None:
    """The drop is the root's figure minus the row's; and the verdict speaks of that drop."""
    named = {one["path"]: one for one in reversed(rows) if one["bundle"] == row["float_parent"]}
    # Two runs may have given their roots the same name; then it is not known which one is meant.
    for root in named.values() if len(named) == 1 and row["path"] not in named else ():
        for key, drop in row["drop"].items():
            known = root[key] is not None and row[key] is not None
            _same(drop, root[key] - row[key] if known else None, f"{where}.drop.{key}")
    for comparison in row["verdict"]["comparisons"]:
        if not comparison["stratum"] and comparison["measure"] in row["drop"]:
            measure = comparison["measure"]
            _same(comparison["drop"], row["drop"][measure], f"{where}.verdict: drop of {measure}")


def _same(stated: float | None, computed: float | None, where: str, by: str = "scores") -> None:
    if stated is None or computed is None:
        equal = stated is computed
    else:
        equal = math.isclose(stated, computed, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    if not equal:
        raise BadReport(f"{where} is {stated}, but its {by} give {computed}", HINT)
