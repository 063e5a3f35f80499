"""What an earlier report holds is found by kind and target, never by the text of a note."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgebrain.benchmarking.report import Report, parse_report, read_report
from edgebrain.benchmarking.resume import BenchRequest, restore
from edgebrain.benchmarking.run import run_bench
from edgebrain.bundle import Bundle
from edgebrain.errors import BadReport
from tests.benchmarking.factories import labelled
from tests.runtime.tiny import tiny_bundle

OLD = Path(__file__).with_name("reports") / "schema-2.json"
NOTES = [
    {"kind": "not-measured", "target": "cpu", "text": "x"},
    {"kind": "no-throughput", "target": "cpu", "text": "x"},
    {"kind": "resumed", "target": "cpu", "text": "x"},
    {"kind": "lost", "target": "cpu", "text": "cpu: went on after, not measured on cpu,"},
    {"kind": "noisy", "text": "x"},
    {"kind": "resumed", "target": "pi", "text": "cpu: went on after"},
]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return tiny_bundle(tmp_path_factory.mktemp("bundle") / "b")


@pytest.fixture(scope="module")
def report(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A bench of one bundle, with notes on two targets."""
    from edgebrain.benchmarking.report import as_json

    found = as_json(run_bench([bundle.path], labelled(tmp_path_factory.mktemp("data"), 2, 1), [1], 7))
    return {**found, "notes": NOTES}


def typed(report: dict[str, Any], **changes: Any) -> Report:
    return parse_report(json.loads(json.dumps({**report, **changes})))


def test_of_a_target_that_was_done_the_notes_on_its_measurement_are_kept(report: Any, bundle: Bundle) -> None:
    earlier = restore("cpu", typed(report), [bundle])
    assert earlier.done and [note.kind for note in earlier.notes] == ["not-measured", "no-throughput", "resumed"]
    assert earlier.measurements[0].queries == 7 and len(earlier.measurements[0].scores) == 3


def test_of_a_target_that_was_lost_only_that_it_was_resumed_before(report: Any, bundle: Bundle) -> None:
    failure = {"target": "cpu", "message": "m", "hint": "", "rows": 1}
    earlier = restore("cpu", typed(report, failures=[failure]), [bundle])
    assert not earlier.done and [note.kind for note in earlier.notes] == ["resumed"]


def test_sentences_of_schema_2_are_left_out_whatever_they_say_and_that_is_noted(report: Any, bundle: Bundle) -> None:
    sentence = {"kind": "unclassified", "text": "cpu: went on after round 3, so its durations are of two sittings"}
    (note,) = restore("cpu", typed(report, notes=[sentence]), [bundle]).notes
    assert (note.kind, note.target) == ("resumed", "cpu") and "of schema 2" in note.text


def test_a_target_that_the_report_does_not_have_begins_anew(report: Any, bundle: Bundle) -> None:
    assert restore("pi", typed(report), [bundle]).measurements == ()
    assert restore("cpu", None, [bundle]).measurements == ()


def test_a_report_of_schema_2_asks_for_what_it_asked_for_and_says_that_its_notes_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = read_report(OLD)
    with pytest.raises(BadReport, match="is not here"):
        BenchRequest.from_report(old, "old.json")
    monkeypatch.chdir(tmp_path)
    for path in old.request.bundles if old.request else ():
        Path(path).mkdir(parents=True)
    request = BenchRequest.from_report(old, "old.json")
    assert (request.targets, request.queries, request.slices) == (["cpu", "coral"], 70, 12)
    assert request.suite.margins.dice == 0.005 and request.suite.sampling.resamples == 1000
