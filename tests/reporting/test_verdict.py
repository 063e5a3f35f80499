from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from edgebrain.benchmarking.report import parse_report
from edgebrain.evaluation.verdict import Comparison, Margins, Sampling, judge_bundle
from edgebrain.reporting.bench_tables import as_markdown
from edgebrain.reporting.terminal import show_report
from edgebrain.reporting.verdict import answer, interval, reason, verdict_lines
from tests.benchmarking.factories import report, row, scores, typed_rows, verdict


def judged(name: str, **changes: Any) -> dict[str, Any]:
    """A row with a verdict: the loss is that of scores(**changes) against scores()."""
    after = scores(**changes)
    judged_ = {**judge_bundle(scores(), after, Margins(), Sampling(resamples=1000)).as_json(), "reason": None}
    return row(after, bundle=name, path=name, target="cpu", verdict=judged_)


def compared(**changes: Any) -> Comparison:
    """A comparison of the mean Dice."""
    one = Comparison("dice", "", 50, 50, 0.0, 0.0, 0.0, 0.95, 0.005, "PASS")
    return replace(one, **changes)


def whole() -> dict[str, Any]:
    rows = [row(bundle="run-1-float", path="f", target="cpu"), judged("run-1-good"), judged("run-1-bad", dice=0.7)]
    for place, one in enumerate(rows):
        one["images"] = place
    return report(*rows, scored=[(), (), ()])


def markdown(value: dict[str, Any]) -> str:
    return as_markdown(parse_report(value))


def shown(value: dict[str, Any]) -> str:
    screen = io.StringIO()
    show_report(parse_report(value), Console(file=screen, width=80))
    return screen.getvalue()


def test_each_bundle_ends_with_its_outcome_and_the_reason() -> None:
    lines = verdict_lines(parse_report(whole()).results)
    assert lines[0] == "REFERENCE: run-1-float on cpu (the float root)"
    assert lines[1].startswith("INCONCLUSIVE: run-1-good on cpu (accuracy: 765 groups would do, 50 here; ")
    assert lines[2].startswith("FAIL: run-1-bad on cpu (Dice loses 20.00 (20.00 to 20.00), 0.50 allowed; ")


def test_the_verdicts_are_the_last_lines_on_the_screen_and_the_first_in_markdown() -> None:
    text = shown(whole())
    assert text.rstrip().rsplit("\nFAIL: ", 1)[1].startswith("run-1-bad on cpu")
    assert "## " not in markdown(whole()).split("- FAIL: run-1-bad")[0]


def test_the_screen_has_a_row_a_bundle_and_markdown_every_stratum() -> None:
    assert "20.00 FAIL" in shown(whole()) and "0.00 ?" in shown(whole())
    text = markdown(whole())
    assert "| run-1-bad | Dice, class glioma | 30 | 20.00 | 20.00 to 20.00 | 2.00 | FAIL |" in text
    assert "| run-1-good | healthy marked, healthy | 20 |" in text
    assert "INCONCLUSIVE (765 groups would do)" in text


def test_the_table_fits_80_columns() -> None:
    found = whole()
    found["results"][2]["bundle"] = "brisc-unet128-s-2-tflite-int8-perchannel-pruned50"
    table = shown(found).split("AMD")[0].split("queries of")[0]
    assert max(map(len, table.splitlines())) <= 80


def test_that_the_margins_and_the_correction_are_said() -> None:
    for text in (shown(whole()), markdown(whole())):
        flat = " ".join(text.split())
        assert "Suite default (built in): intervals hold at 95 %, those of the strata together (Bonferroni)" in flat


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"outcome": "PASS"}, "PASS"),
        ({"outcome": "INCONCLUSIVE", "groups_enough": 1234}, "INCONCLUSIVE (1,234 groups would do)"),
        ({"outcome": "INCONCLUSIVE", "groups_enough": None}, "INCONCLUSIVE (too close to call)"),
        ({"outcome": None}, ""),
    ],
)
def test_an_answer_is_told_with_what_would_do(changes: dict[str, Any], words: str) -> None:
    assert answer(compared(**changes)) == words


def test_an_end_that_is_not_known_is_a_question_mark_and_pixels_are_no_points() -> None:
    assert interval(compared(low=None, high=0.0123)) == "? to 1.23"
    assert interval(compared(measure="hd95_px", low=-0.5, high=2.25)) == "-0.50 to 2.25"


def test_a_bundle_that_was_not_judged_says_why() -> None:
    found = row(bundle="a", target="cpu", verdict=verdict("NOT JUDGED", "its float parent is not here"))
    (line,) = verdict_lines(typed_rows(found))
    assert line == "NOT JUDGED: a on cpu (its float parent is not here)"
    assert "Verdict" not in shown(report(found)).split("Quality")[0]


@pytest.mark.parametrize(("same", "told"), [(50, True), (49, False), (0, False), (None, False)])
def test_the_same_answers_on_every_slice_are_told_beside_the_verdict(same: int | None, told: bool) -> None:
    found = whole()
    good = found["results"][1]
    good["verdict"]["same_answers"] = same
    typed = parse_report(found).results[1]
    assert ("(the same answers on all 50 slices; " in verdict_lines([typed])[0]) is told
    assert reason(typed).endswith("It gives the same answers on all 50 slices as its float model.") is told
    for text in (" ".join(shown(found).split()), markdown(found)):
        assert ("the same answers on all 50 slices" in text) is told


def test_what_was_left_out_is_told_with_the_tables() -> None:
    found = whole()
    found["data"]["left_out"] = "2 of 52 slices left out: a.png: is empty"
    assert "2 of 52 slices left out: a.png: is empty" in " ".join(shown(found).split())
    assert "2 of 52 slices left out: a.png: is empty" in markdown(found)
