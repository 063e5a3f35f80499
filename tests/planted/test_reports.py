"""Reports that were edited: refused when they are read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgebrain.benchmarking.report import read_report
from edgebrain.cli import main
from edgebrain.errors import BadReport
from edgebrain.evaluation.verdict import Margins, Sampling, judge_bundle
from tests.benchmarking.factories import report, row, scores

BEFORE, AFTER = scores(dice=0.9), scores(dice=0.85, wrong=3)


def whole() -> dict[str, Any]:
    """A report of a root and of a bundle that loses 5 points of Dice and FAILs."""
    verdict = {**judge_bundle(BEFORE, AFTER, Margins(), Sampling()).as_json(), "reason": None}
    assert verdict["outcome"] == "FAIL"
    drop = {"dice": 0.9 - 0.85, "accuracy": 0.06}
    rows = [
        row(BEFORE, bundle="root", path="root"),
        row(AFTER, bundle="small", path="small", images=1, drop=drop, verdict=verdict),
    ]
    return report(*rows, scored=[BEFORE, AFTER])


def better_mean(found: dict[str, Any]) -> None:
    found["results"][1]["dice"] = 0.9


def better_image(found: dict[str, Any]) -> None:
    found["images"][1]["scores"][0]["dice"] = 0.99


def left_out_image(found: dict[str, Any]) -> None:
    del found["images"][1]["scores"][-1]


def smaller_drop(found: dict[str, Any]) -> None:
    found["results"][1]["drop"]["dice"] = 0.001


def wider_margin(found: dict[str, Any]) -> None:
    found["suite"]["margins"]["dice"] = 0.4


def wider_margin_in_the_verdict(found: dict[str, Any]) -> None:
    found["results"][1]["verdict"]["comparisons"][0].update(margin=0.4, outcome="PASS")


def better_outcome(found: dict[str, Any]) -> None:
    found["results"][1]["verdict"]["comparisons"][0]["outcome"] = "PASS"


def better_verdict(found: dict[str, Any]) -> None:
    found["results"][1]["verdict"]["outcome"] = "PASS"


PLANTED: list[tuple[Callable[[dict[str, Any]], None], str]] = [
    (better_mean, r"results\[1\] \(small\)\.dice is 0\.9, but its scores give 0\.85"),
    (better_image, r"results\[1\] \(small\)\.dice is 0\.85, but its scores give 0\.85466"),
    (left_out_image, r"results\[1\] \(small\)\.accuracy is 0\.94, but its scores give"),
    (smaller_drop, r"results\[1\] \(small\)\.drop\.dice is 0\.001"),
    (wider_margin, r"suite 'default' was edited after measuring: it does not match its hash"),
    (wider_margin_in_the_verdict, r"verdict: dice: the margin is 0\.4, the suite's 0\.005"),
    (better_outcome, r"verdict: dice is PASS, but its interval gives FAIL"),
    (better_verdict, r"verdict is PASS, but its comparisons give FAIL"),
]


@pytest.mark.parametrize(("change", "mistake"), PLANTED, ids=lambda one: getattr(one, "__name__", ""))
def test_an_edited_report_is_refused_by_what_does_not_follow(
    change: Callable[[dict[str, Any]], None], mistake: str, tmp_path: Path
) -> None:
    found = whole()
    change(found)
    path = tmp_path / "planted.json"
    path.write_text(json.dumps(found))
    with pytest.raises(BadReport, match=rf"planted\.json: .*{mistake}") as caught:
        read_report(path)
    assert "measure again" in caught.value.hint


def test_the_command_line_refuses_it_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    honest, planted = tmp_path / "honest.json", tmp_path / "planted.json"
    honest.write_text(json.dumps(whole()))
    found = whole()
    better_mean(found)
    planted.write_text(json.dumps(found))
    with pytest.raises(SystemExit) as ended:
        main(["compare", str(honest), str(planted)])
    assert ended.value.code == 1
    assert f"{planted}: results[1] (small).dice is 0.9, but its scores give 0.85" in capsys.readouterr().err


def test_an_honest_report_is_read(tmp_path: Path) -> None:
    path = tmp_path / "honest.json"
    path.write_text(json.dumps(whole()))
    assert read_report(path).results[1].verdict.outcome == "FAIL"
