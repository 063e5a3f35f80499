from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from edgebrain.bench.schema import RESULT, as_markdown, check_report, read_report
from edgebrain.bench.verdict import broken_limits
from edgebrain.errors import BadReport
from tests.bench.shelf import report, row

DOCS = Path(__file__).parents[2] / "docs"


def test_a_whole_report_passes_and_unknown_fields_are_left_alone() -> None:
    whole = report(row())
    assert check_report({**whole, "more": 1})["more"] == 1


@pytest.mark.parametrize("name", sorted(RESULT))
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


def test_a_newer_schema_is_refused_with_both_numbers() -> None:
    with pytest.raises(BadReport, match="schema 2 is newer than 1"):
        check_report({**report(), "schema": 2})


def test_a_file_that_is_no_report_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bench.json"
    for text in ("{", "[]", "{}"):
        path.write_text(text)
        with pytest.raises(BadReport, match=str(path)):
            read_report(path)
    path.write_text(json.dumps(report(row())))
    assert read_report(path)["results"][0]["bundle"] == "x"


def test_the_document_holds_the_tables_of_the_code() -> None:
    assert as_markdown().strip() in (DOCS / "bench-schema.md").read_text()


def test_only_rows_that_lose_more_than_allowed_break_the_limit() -> None:
    rows = [
        row(bundle=name, drop={"dice": drop, "accuracy": 0.0})
        for name, drop in zip("abcd", (0.0, 0.01, 0.011, -0.5), strict=True)
    ]
    assert broken_limits(report(*rows), 0.01) == ["c, 1 threads: Dice drop 0.0110 exceeds 0.01"]


def test_a_drop_that_is_not_known_does_not_pass() -> None:
    (sentence,) = broken_limits(report(row(drop={"dice": None, "accuracy": None})), 0.5)
    assert "is not known" in sentence
