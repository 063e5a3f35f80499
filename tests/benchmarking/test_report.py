from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest

from edgebrain.benchmarking.report import SECTIONS, Report, as_json, parse_report, read_report
from edgebrain.benchmarking.report_row import Row
from edgebrain.benchmarking.schema import as_markdown, json_schema
from edgebrain.errors import BadReport
from edgebrain.files import canonical_json
from tests.benchmarking.factories import report, row

DOCS = Path(__file__).parents[2] / "docs"
OLD = Path(__file__).with_name("reports") / "schema-2.json"
REQUIRED = sorted(field.name for field in fields(Row) if field.default is MISSING)


def test_a_whole_report_passes_and_unknown_fields_are_dropped() -> None:
    whole = as_json(parse_report(report(row())))
    assert as_json(parse_report({**whole, "more": 1})) == whole


@pytest.mark.parametrize("name", REQUIRED)
def test_a_row_that_lacks_a_field_is_refused_by_name(name: str) -> None:
    short = report(row())
    del short["results"][0][name]
    with pytest.raises(BadReport) as caught:
        parse_report(short, "bench.json")
    assert caught.value.message == f"bench.json: key 'results[0].{name}' is missing"
    assert "measure again" in caught.value.hint


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("schema",), "1"),
        (("schema",), True),
        (("results",), {}),
        (("results", 0, "threads"), 1.5),
        (("results", 0, "threads"), True),
        (("results", 0, "dice"), "0.9"),
        (("results", 0, "latency_ms"), {}),
        (("results", 0, "drop"), {"dice": None}),
        (("environments", "cpu", "cores"), None),
        (("protocol", "queries"), None),
        (("notes",), ["a sentence"]),
        (("notes",), [{"kind": "anything", "text": "a sentence"}]),
    ],
)
def test_a_field_of_another_type_is_refused(path: tuple[Any, ...], value: Any) -> None:
    wrong = deepcopy(report(row()))
    place: Any = wrong
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(BadReport):
        parse_report(wrong)


@pytest.mark.parametrize(("schema", "words"), [(4, "schema 4 is newer than 3"), (1, "schema 1 is older than 2")])
def test_another_schema_is_refused_with_both_numbers(schema: int, words: str) -> None:
    with pytest.raises(BadReport, match=words):
        parse_report({**report(), "schema": schema})


def test_a_file_that_is_no_report_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bench.json"
    for text in ("{", "[]", "{}"):
        path.write_text(text)
        with pytest.raises(BadReport, match=str(path)):
            read_report(path)
    path.write_text(json.dumps(report(row())))
    assert read_report(path).results[0].bundle == "x"


def test_a_report_from_before_a_field_was_added_is_read() -> None:
    older = report(row())
    del older["results"][0]["invalid"], older["environments"]["cpu"]["throttled"]
    assert parse_report(older).results[0].invalid is None


def test_a_stored_report_of_schema_2_is_read_with_the_figures_that_it_holds() -> None:
    stored, found = json.loads(OLD.read_text()), read_report(OLD)
    assert found.schema == 3 and list(found.environments) == ["cpu"]
    assert found.environments["cpu"].cpu == stored["environment"]["cpu"]
    assert found.request is not None and list(found.request.targets) == stored["asked"]["targets"] == ["cpu", "coral"]
    assert [(note.kind, note.text) for note in found.notes] == [("unclassified", text) for text in stored["notes"]]
    assert [one.message for one in found.failures] == [one["message"] for one in stored["failures"]]
    for before, after in zip(stored["results"], as_json(found)["results"], strict=True):
        # `throughput` was null where there was none.
        assert after == {**before, "throughput": []}
    assert [len(one.scores) for one in found.images] == [12, 12]
    assert as_json(parse_report(json.loads(canonical_json(as_json(found))))) == as_json(found)


def test_a_report_of_schema_2_that_was_edited_is_refused_as_before(tmp_path: Path) -> None:
    stored = json.loads(OLD.read_text())
    stored["suite"]["margins"]["dice"] = 0.4
    (tmp_path / "edited.json").write_text(json.dumps(stored))
    with pytest.raises(BadReport, match="was edited after measuring"):
        read_report(tmp_path / "edited.json")


def test_a_margin_that_schema_2_holds_as_a_whole_number_keeps_its_hash(tmp_path: Path) -> None:
    from edgebrain.files import sha256_json

    stored = json.loads(OLD.read_text())
    suite = stored["suite"]
    suite["margins"]["healthy_marked"] = 0
    suite["sha256"] = sha256_json({key: suite[key] for key in ("name", "margins", "sampling")})
    for one in stored["results"]:
        one["verdict"]["comparisons"] = [c for c in one["verdict"]["comparisons"] if c["measure"] != "healthy_marked"]
    (tmp_path / "whole.json").write_text(json.dumps(stored))
    assert read_report(tmp_path / "whole.json").suite.margins.healthy_marked == 0.0


@pytest.mark.parametrize("key", ["results", "environment", "suite", "data", "protocol", "images"])
def test_a_report_of_schema_2_that_lacks_a_part_is_refused(key: str, tmp_path: Path) -> None:
    stored = json.loads(OLD.read_text())
    del stored[key]
    if key == "environment":
        del stored["environments"]
    with pytest.raises(BadReport, match=r"results|environments|suite|data|protocol|images"):
        parse_report(stored)


def test_the_documents_hold_what_the_dataclasses_say() -> None:
    assert as_markdown(SECTIONS).strip() in (DOCS / "bench-schema.md").read_text()
    assert canonical_json(json_schema(Report)) == (DOCS / "bench-schema.json").read_text()
