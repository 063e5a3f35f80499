"""The verdict on each row of a bench, and the sentences that tell it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgebrain.benchmarking.measurement import Lane
from edgebrain.benchmarking.suite import Suite
from edgebrain.evaluation.verdict import FAIL, judge_bundle

REFERENCE, NOT_JUDGED = "REFERENCE", "NOT JUDGED"


def verdict_of(lane: Lane, root: Lane | None, suite: Suite) -> dict[str, Any]:
    """outcome (PASS, FAIL, INCONCLUSIVE, REFERENCE or NOT JUDGED), reason (text or None), comparisons, same_answers
    (slices with the root's mask and class, or None).

    root: the float root's lane; the lane itself where it is the root; None where the root is not here.
    """
    if root is None:
        return {
            "outcome": NOT_JUDGED,
            "reason": "its float parent is not here",
            "comparisons": [],
            "same_answers": None,
        }
    if root is lane:
        return {"outcome": REFERENCE, "reason": "the float root", "comparisons": [], "same_answers": None}
    found = judge_bundle(root.scores, lane.scores, suite.margins, suite.sampling).as_json()
    found["same_answers"] = lane.answers_as(root)
    if lane.answers_alike:
        # A broken model can keep within a margin where its root is as poor.
        return {**found, "outcome": FAIL, "reason": "one and the same answer to every slice"}
    return {**found, "reason": None}


def failed(report: Mapping[str, Any]) -> bool:
    """Whether any row of a report fails."""
    return any(row["verdict"]["outcome"] == FAIL for row in report["results"])


def unjudged(report: Mapping[str, Any]) -> list[str]:
    """The rows whose float parent is not here, so that no margin could be tested."""
    return [str(row["bundle"]) for row in report["results"] if row["verdict"]["outcome"] == NOT_JUDGED]
