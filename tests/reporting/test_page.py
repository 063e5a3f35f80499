from __future__ import annotations

import copy
import re
import sys
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import html5lib
import pytest

from edgebrain.benchmarking.report_row import NOT_JUDGED, REFERENCE
from edgebrain.errors import MissingExtra
from edgebrain.evaluation.verdict import FAIL, INCONCLUSIVE, PASS
from edgebrain.reporting.build import build_page
from edgebrain.reporting.html import as_html
from edgebrain.reporting.inputs import read_sources
from edgebrain.reporting.page import Page
from tests.reporting.conftest import Measured, json_of, typed

SECTIONS = ("strata", "worst", "confusion", "reliability", "layers", "data", "environment")
LEADING_OUT = re.compile(r"https?:|//|@import|url\(")


@pytest.fixture(scope="module")
def html(measured: Measured) -> str:
    return as_html(measured.page)


def parsed(html: str) -> Element:
    """The page as a browser reads it. Raises ParseError: it is no valid HTML."""
    tree: Element = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(html)
    return tree


def words(element: Element) -> str:
    return " ".join("".join(element.itertext()).split())


def by_id(html: str, name: str) -> str:
    return words(next(one for one in parsed(html).iter() if one.get("id") == name))


def test_the_page_is_valid_html_below_3_mb_with_every_section(html: str) -> None:
    ids = {one.get("id") for one in parsed(html).iter()}
    assert {"verdict-1", "bundles", "pareto", *(f"{name}-1" for name in SECTIONS)} <= ids
    assert len(html.encode()) < 3e6


def test_nothing_in_the_page_leads_out_of_it(html: str) -> None:
    tree = parsed(html)
    for element in tree.iter():
        assert element.tag not in ("script", "link", "iframe", "object", "embed"), element.tag
        for name, value in element.attrib.items():
            if str(name).split("}")[-1] in ("src", "href", "srcset", "action", "data"):
                assert value.startswith(("#", "data:image/jpeg;base64,")), value[:80]
    (style,) = tree.iter("style")
    assert not LEADING_OUT.search(style.text or "")


def test_the_verdict_stands_on_top_with_the_machine(html: str, measured: Measured) -> None:
    head = words(next(parsed(html).iter("h1")))
    assert head.startswith("INCONCLUSIVE: tflite-int8")
    assert measured.page.reports[0].machine in head


def test_no_latency_stands_without_its_machine(html: str, measured: Measured) -> None:
    machine = measured.page.reports[0].machine
    for part in ("verdict-1", "bundles", "pareto"):
        assert machine in by_id(html, part)


def test_figures_are_shown_as_measured(html: str, measured: Measured) -> None:
    told = by_id(html, "bundles")
    for row in measured.page.reports[0].rows:
        assert f"{row.dice:.4f}" in told and f"{row.latency_ms.p50:.2f}" in told


def test_every_picture_has_its_outlines_and_says_so(html: str) -> None:
    pictures = [one for one in parsed(html).iter() if one.get("class") == "slice"]
    assert len(pictures) == 20
    for picture in pictures:
        assert "with the outlines of truth, float and tflite-int8" in picture.attrib["aria-label"]
    assert {"truth", "float", "int8"} <= {one.get("class") for one in parsed(html).iter()}


def test_every_table_has_heads_and_every_plot_a_text(html: str) -> None:
    tree = parsed(html)
    for table in tree.iter("table"):
        assert list(table.iter("th"))
    for element in tree.iter():
        if str(element.tag).endswith("svg"):
            assert element.get("aria-label") or element.get("aria-hidden") == "true"


def changed(measured: Measured, **row: Any) -> Page:
    """The page with its headline row changed."""
    page = json_of(measured.page)
    report = page["reports"][0]
    report["rows"][report["headline"]["row"]].update(row)
    return typed(page)


@pytest.mark.parametrize("outcome", [PASS, FAIL, INCONCLUSIVE, REFERENCE, NOT_JUDGED])
def test_each_outcome_is_told_in_words(outcome: str, measured: Measured) -> None:
    verdict = {"outcome": outcome, "reason": None if outcome in (PASS, FAIL) else "why", "comparisons": []}
    html = as_html(changed(measured, verdict=verdict))
    assert words(next(parsed(html).iter("h1"))).startswith(f"{outcome}: ")


def test_a_name_cannot_become_markup(measured: Measured) -> None:
    html = as_html(changed(measured, bundle="<script>alert(1)</script>"))
    assert "<script" not in html and "&lt;script&gt;" in html


def test_a_row_that_does_not_count_says_so_and_is_not_plotted(measured: Measured) -> None:
    html = as_html(changed(measured, invalid="the board was held back"))
    assert "does not count: the board was held back" in by_id(html, "verdict-1")
    assert "tflite-int8" not in by_id(html, "pareto")


def test_what_is_not_here_is_told_with_the_line_that_makes_it(html: str, measured: Measured) -> None:
    assert "To have it: edgebrain explain " in by_id(html, "layers-1")
    assert f"To have it: edgebrain data audit {measured.phantoms} --json " in by_id(html, "data-1")
    page = json_of(measured.page)
    report = page["reports"][0]
    report["training"] = {"missing": {"what": "the run is not here", "way_out": "edgebrain report RUN"}}
    report["worst"]["missing"] = {"what": "no data", "way_out": "edgebrain report RUN --data FOLDER"}
    for row in report["rows"]:
        row["verdict"]["comparisons"] = []
        row["latency_ms"]["p50"] = None
        row["reliability"] = None
    html = as_html(typed(page))
    assert "To have it: edgebrain report RUN" in by_id(html, "data-1")
    assert "To have it: edgebrain report RUN --data FOLDER" in by_id(html, "worst-1")
    assert "no bundle was compared with its float parent" in by_id(html, "strata-1")
    assert "no row has both a median latency and a Dice" in by_id(html, "pareto")
    assert "no slice was scored" in by_id(html, "reliability-1")


def test_reports_of_two_machines_are_kept_apart_and_what_was_left_out_is_told(measured: Measured) -> None:
    page = json_of(measured.page)
    other = copy.deepcopy(page["reports"][0])
    other["machine"] = "Another Board, 4 cores"
    page["reports"].append(other)
    page["left_out"] = [{"name": "old.json", "message": "old.json: schema 1 is older", "hint": "measure again"}]
    html = as_html(typed(page))
    heads = [words(one) for one in parsed(html).iter("h1")]
    assert [head.endswith("Another Board, 4 cores") for head in heads] == [False, True]
    assert {f"{name}-2" for name in SECTIONS} <= {one.get("id") for one in parsed(html).iter()}
    assert "old.json: schema 1 is older. To have it: measure again" in by_id(html, "left-out")


def test_without_jinja_the_line_that_installs_it_is_told(measured: Measured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingExtra) as caught:
        as_html(measured.page)
    assert caught.value.hint == "pip install 'edgebrain[bench]'"


def test_layers_and_audit_are_shown_where_they_are(measured: Measured) -> None:
    page = json_of(measured.page)
    layer = {"layer": "dec1_up", "precision": "int8", "sqnr_db": 30.54, "drift_db": None, "dice_recovered": 0.0012}
    layer |= {"dice_low": -0.001, "dice_high": None, "ms": None, "macs": 2_000_000, "bytes": 2048}
    page["reports"][0]["layers"] = {
        "bundle": "tflite-int8", "missing": None, "machine": "A Board", "parent": "float", "data": None, "dice": None,
        "whole_ms": 1.5, "layers": [layer], "notes": ["one note"],
    }  # fmt: skip
    finding = {"level": "leak", "title": "mirrored copies", "count": 337, "unit": "pairs", "advice": "deal by groups"}
    page["reports"][0]["audit"] = {
        "missing": None, "root": "/data", "slices": 9, "readable": 8, "sides": {}, "classes": {}, "groups": 3,
        "findings": [finding], "copy_baselines": [
            {"part": "all", "slices": 9, "accuracy": 0.5, "masks": 8, "dice": None}
        ], "shortcuts": [], "notes": [],
    }  # fmt: skip
    html = as_html(typed(page))
    told = by_id(html, "layers-1")
    assert "1.50 ms on A Board" in told
    assert "dec1_up int8 30.5 - 0.12 -0.10 to - - 2.00 2.0" in told
    assert "leak mirrored copies 337 pairs deal by groups" in by_id(html, "data-1")


def test_a_bench_of_a_root_alone_gives_a_page(measured: Measured, tmp_path: Path) -> None:
    from edgebrain.files import write_json

    alone = {**measured.bench, "results": measured.bench["results"][:1]}
    write_json(tmp_path / "root.json", alone)
    html = as_html(build_page(*read_sources([tmp_path / "root.json"])))
    assert words(next(parsed(html).iter("h1"))).startswith("REFERENCE: float")
    assert "with the outlines of truth and float" in html
