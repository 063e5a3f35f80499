from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from edgebrain.benchmarking.report import as_json, parse_report, read_report
from edgebrain.benchmarking.verify_report import check_figures
from edgebrain.errors import BadReport
from edgebrain.evaluation.verdict import Margins, Sampling, judge_bundle
from tests.benchmarking.factories import report, row, scores

BEFORE, AFTER = scores(dice=0.9), scores(dice=0.85, wrong=3)


def whole() -> dict[str, Any]:
    """A report of a root and a bundle that loses 5 points of Dice."""
    verdict = {**judge_bundle(BEFORE, AFTER, Margins(), Sampling(resamples=1000)).as_json(), "reason": None}
    rows = [
        row(BEFORE, bundle="root", path="root"),
        row(
            AFTER, bundle="small", path="small", images=1, drop={"dice": 0.9 - 0.85, "accuracy": 0.06}, verdict=verdict
        ),
    ]
    return report(*rows, scored=[BEFORE, AFTER])


def test_a_report_whose_figures_follow_from_its_scores_is_read(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text(json.dumps(whole()))
    assert as_json(read_report(path)) == as_json(parse_report(whole()))


def better_dice(found: dict[str, Any]) -> None:
    found["results"][1]["dice"] = 0.9


def better_accuracy(found: dict[str, Any]) -> None:
    found["results"][1]["accuracy"] += 1e-6


def better_slice_mean(found: dict[str, Any]) -> None:
    found["results"][1]["slice_means"]["dice"] = 0.9


def fewer_missed(found: dict[str, Any]) -> None:
    found["results"][0]["missed_tumours"] = None


def smaller_drop(found: dict[str, Any]) -> None:
    found["results"][1]["drop"]["dice"] = 0.001


def verdict_of_another_drop(found: dict[str, Any]) -> None:
    found["results"][1]["verdict"]["comparisons"][0]["drop"] = 0.001


def worst_slice_left_out(found: dict[str, Any]) -> None:
    del found["images"][1]["scores"][0]


def other_bundles_scores(found: dict[str, Any]) -> None:
    found["results"][1]["images"] = 0


def no_scores(found: dict[str, Any]) -> None:
    found["images"] = []


def score_without_dice(found: dict[str, Any]) -> None:
    del found["images"][0]["scores"][3]["dice"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (better_dice, r"results\[1\] \(small\)\.dice is 0\.9, but its scores give 0\.85"),
        (better_accuracy, r"\(small\)\.accuracy is"),
        (better_slice_mean, r"slice_means\.dice is 0\.9"),
        (fewer_missed, r"\(root\)\.missed_tumours is None"),
        (smaller_drop, r"drop\.dice is 0\.001"),
        (verdict_of_another_drop, "verdict: drop of dice is 0.001"),
        (worst_slice_left_out, r"results\[1\] \(small\)\.accuracy"),
        (other_bundles_scores, r"\(small\)\.dice is 0\.85"),
        (no_scores, "its scores are not in the report"),
        (score_without_dice, r"key 'images\[0\]\.scores\[3\]\.dice' is missing"),
    ],
)
def test_a_report_that_does_not_hold_together_is_refused_by_name(
    change: Callable[[dict[str, Any]], None], words: str
) -> None:
    found = deepcopy(whole())
    check_figures(parse_report(found))
    change(found)
    with pytest.raises(BadReport, match=words):
        check_figures(parse_report(found))
