from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from edgebrain.benchmarking.schema import LATER, RESULT, as_markdown, check_report, read_report
from edgebrain.errors import BadReport
from tests.benchmarking.factories import report, row

DOCS = Path(__file__).parents[2] / "docs"


def test_a_whole_report_passes_and_unknown_fields_are_left_alone() -> None:
    whole = report(row())
    assert check_report({**whole, "more": 1})["more"] == 1


@pytest.mark.parametrize("name", sorted(set(RESULT) - set(LATER)))
def test_a_row_that_lacks_a_field_is_refused_by_name(name: str) -> None:
    short = report(row())
    del short["results"][0][name]
    with pytest.raises(BadReport) as caught:
        check_report(short)
    assert caught.value.message.endswith(f"results[0]: lacks {name}")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("schema",), "1"),
        (("results",), {}),
        (("results", 0, "threads"), 1.5),
        (("results", 0, "threads"), True),
        (("results", 0, "dice"), "0.9"),
        (("results", 0, "latency_ms"), {}),
        (("results", 0, "drop"), {"dice": None}),
        (("environment", "cores"), None),
        (("protocol", "queries"), None),
    ],
)
def test_a_field_of_another_type_is_refused(path: tuple[Any, ...], value: Any) -> None:
    wrong = deepcopy(report(row()))
    place: Any = wrong
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(BadReport):
        check_report(wrong)


@pytest.mark.parametrize(("schema", "words"), [(3, "schema 3 is newer than 2"), (1, "schema 1 is older than 2")])
def test_another_schema_is_refused_with_both_numbers(schema: int, words: str) -> None:
    with pytest.raises(BadReport, match=words):
        check_report({**report(), "schema": schema})


def test_a_file_that_is_no_report_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bench.json"
    for text in ("{", "[]", "{}"):
        path.write_text(text)
        with pytest.raises(BadReport, match=str(path)):
            read_report(path)
    path.write_text(json.dumps(report(row())))
    assert read_report(path)["results"][0]["bundle"] == "x"


def test_a_report_from_before_a_field_was_added_is_read() -> None:
    older = report(row())
    del older["results"][0]["invalid"], older["environment"]["throttled"]
    assert check_report(older) == older


def test_the_document_holds_the_tables_of_the_code() -> None:
    assert as_markdown().strip() in (DOCS / "bench-schema.md").read_text()
