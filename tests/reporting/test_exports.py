from __future__ import annotations

from typing import Any

import pytest
import yaml
from junitparser import JUnitXml, Skipped

from edgebrain.reporting.exports import as_model_card
from edgebrain.reporting.junit import as_junit
from edgebrain.reporting.markdown import as_markdown
from edgebrain.reporting.mlperf import as_text, single_stream
from edgebrain.reporting.page import Mlperf, Page
from edgebrain.runtime.latency import summary_ms
from tests.benchmarking.factories import block, typed_rows
from tests.benchmarking.factories import row as factories_row
from tests.reporting.conftest import Measured, json_of, typed


def cases(page: Page) -> dict[tuple[str, str], Any]:
    """The test cases by suite and name."""
    suites = JUnitXml.fromstring(as_junit(page).encode())
    return {(suite.name, case.name): case for suite in suites for case in suite}


def test_each_bundle_is_a_suite_and_each_judged_question_a_case(measured: Measured) -> None:
    found = cases(measured.page)
    asked = 0
    for row in measured.page.reports[0].rows:
        suite = f"{row.bundle} on cpu, 1 threads, {measured.page.reports[0].machine}"
        for one in row.verdict.comparisons:
            name = "Dice" if (one.measure, one.stratum) == ("dice", "") else None
            if name:
                results = found[suite, name].result
                assert bool(results) == (one.outcome != "PASS")
            asked += one.outcome is not None
    assert len(found) == asked


def test_fail_is_a_failure_and_inconclusive_is_skipped_with_the_groups_needed(measured: Measured) -> None:
    page = json_of(measured.page)
    report = page["reports"][0]
    row = report["rows"][report["headline"]["row"]]
    dice, accuracy = row["verdict"]["comparisons"][:2]
    dice.update(outcome="FAIL", drop=0.2, low=0.1, high=0.3, margin=0.005)
    accuracy.update(outcome="INCONCLUSIVE", groups_enough=1234, groups=40)
    suite = f"{row['bundle']} on cpu, 1 threads, {report['machine']}"
    found = cases(typed(page))
    (failure,) = found[suite, "Dice"].result
    assert failure._tag == "failure" and failure.message == "FAIL: 20.00 lost (10.00 to 30.00), 0.50 allowed"
    (skipped,) = found[suite, "accuracy"].result
    assert isinstance(skipped, Skipped) and "1,234 groups would do), 40 here" in skipped.message


def test_the_counts_of_a_suite_are_those_of_its_cases(measured: Measured) -> None:
    whole = JUnitXml.fromstring(as_junit(measured.page).encode())
    for suite in whole:
        skipped = sum(any(isinstance(one, Skipped) for one in case.result) for case in suite)
        assert (suite.tests, suite.skipped) == (len(list(suite)), skipped)
    assert whole.tests == sum(suite.tests for suite in whole)


def test_a_bundle_without_its_root_is_skipped_with_the_reason(measured: Measured) -> None:
    page = json_of(measured.page)
    row = page["reports"][0]["rows"][-1]
    row["verdict"] = {"outcome": "NOT JUDGED", "reason": "its float parent is not here", "comparisons": []}
    row["bundle"] = "<b>\x00"
    found = {name: case for (suite, name), case in cases(typed(page)).items() if suite.startswith("<b> on")}
    assert [one.message for one in found["verdict"].result] == ["NOT JUDGED: its float parent is not here"]


def fields_of(durations: list[int]) -> Mlperf:
    (found,) = typed_rows(factories_row(bundle="b", blocks=[block(durations)]))
    return single_stream(found, "here")


def test_mlperf_takes_its_percentiles_at_the_place_that_loadgen_takes() -> None:
    fields = fields_of(list(range(1000, 0, -1)))
    # loadgen: sorted latencies at place count * p, counted from 0.
    assert fields.percentiles_ns == {
        "50.00": 501, "90.00": 901, "95.00": 951, "97.00": 971, "99.00": 991, "99.90": 1000
    }  # fmt: skip
    assert (fields.min_ns, fields.max_ns, fields.mean_ns) == (1, 1000, 500.5)
    assert fields.qps_without_loadgen_overhead == pytest.approx(1e9 / 500.5)


def test_mlperf_estimates_are_those_of_the_bench() -> None:
    durations = [1_000_000 + 37 * n for n in range(700)]
    fields, in_ms = fields_of(durations), summary_ms(durations)
    assert fields.early_stopping_90_ns == pytest.approx(1e6 * (in_ms["p90"] or 0))
    assert fields.early_stopping_99_ns == pytest.approx(1e6 * (in_ms["p99"] or 0))


@pytest.mark.parametrize(
    ("count", "each_ns", "satisfied", "valid"),
    [
        (63, 10**7, (False, False, False), False),
        (64, 10**7, (False, False, True), False),
        (100, 10**7, (False, True, True), False),
        (100, 6 * 10**9, (True, True, True), True),
    ],
)
def test_a_run_is_valid_only_where_it_did_what_mlperf_asks(
    count: int, each_ns: int, satisfied: tuple[bool, ...], valid: bool
) -> None:
    fields = fields_of([each_ns] * count)
    checks = fields.satisfied
    assert (checks.min_duration, checks.min_queries, checks.early_stopping) == satisfied
    assert fields.valid is valid


def test_mlperf_text_has_the_fields_of_a_summary_and_says_that_it_is_no_submission(measured: Measured) -> None:
    text = as_text(measured.page)
    rows = measured.page.reports[0].rows
    assert text.startswith("MLPerf's fields, as edgebrain report gives them; not an MLPerf submission.")
    for line in (
        "Scenario : SingleStream",
        "Mode     : PerformanceOnly",
        "Result is : INVALID",
        "  Min duration satisfied : NO",
        "  Early stopping satisfied: Yes",
        " * Processed at least 64 queries (70).",
        "QPS w/ loadgen overhead         : not measured (LoadGen was not used)",
        "min_duration (ms): 600000",
    ):
        assert text.count(f"{line}\n") == len(rows), line
    for row in rows:
        assert f"\n90.0th percentile latency (ns) : {row.mlperf.percentiles_ns['90.00']}\n" in text


def test_the_card_has_a_head_that_hugging_face_reads(measured: Measured) -> None:
    _, head, body = as_model_card(measured.page).split("---\n", 2)
    card = yaml.safe_load(head)
    row = measured.page.reports[0].headline_row
    assert (card["library_name"], card["pipeline_tag"]) == ("edgebrain", "image-segmentation")
    (model,) = card["model-index"]
    (result,) = model["results"]
    assert model["name"] == row.bundle and result["task"]["type"] == "image-segmentation"
    assert {one["type"]: one["value"] for one in result["metrics"]} == {
        "dice": row.dice, "mean_iou": row.iou, "accuracy": row.accuracy
    }  # fmt: skip
    assert "**not a medical device**" in body
    for title in ("Intended use", "Training data", "Evaluation", "Limits", "Lineage", "For a paper"):
        assert f"\n## {title}" in body


def test_what_nobody_said_stays_visibly_empty_in_the_card(measured: Measured) -> None:
    card = as_model_card(measured.page)
    for item in ("Licence of the data", "External validation |", "Ethics, funding, conflicts, registration |"):
        line = next(line for line in card.splitlines() if item in line)
        assert "*not stated*" in line
    assert "license: unknown" in card


def test_a_name_cannot_break_the_head_of_the_card(measured: Measured) -> None:
    page = json_of(measured.page)
    report = page["reports"][0]
    report["rows"][report["headline"]["row"]]["bundle"] = '"x: [<script>\n---'
    card = as_model_card(typed(page))
    assert yaml.safe_load(card.split("---\n", 2)[1])["model-index"][0]["name"] == '"x: [<script>\n---'
    assert "<script>" not in card


def test_markdown_holds_every_section_and_no_tag(measured: Measured) -> None:
    page = json_of(measured.page)
    page["reports"][0]["rows"][1]["bundle"] = "<script>|x"
    page["left_out"] = [{"name": "a", "message": "a: is no report", "hint": "measure again"}]
    text = as_markdown(typed(page))
    assert "\n# INCONCLUSIVE: tflite-int8 on " in text and "- left out: a: is no report (measure again)" in text
    for title in (
        "Speed and size",
        "Quality",
        "Latency against Dice",
        "Drop per stratum: tflite-int8",
        "Worst slices of tflite-int8",
        "Confusion matrix of float",
        "Class probabilities of float: ECE",
        "Layers of tflite-int8",
        "What the run recorded",
        "What the data audit found",
        "Environment",
        "Lineage",
    ):
        assert f"\n## {title}" in text, title
    assert "<script" not in text
    for row in page["reports"][0]["rows"]:
        assert f"{row['dice']:.4f}" in text
