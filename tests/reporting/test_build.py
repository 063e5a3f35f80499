from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgebrain.benchmarking.report_row import RowFigures
from edgebrain.benchmarking.schema import as_markdown
from edgebrain.errors import BadReport, BadRun
from edgebrain.files import write_json
from edgebrain.reporting.build import build_page
from edgebrain.reporting.exports import WRITERS
from edgebrain.reporting.inputs import read_sources
from edgebrain.reporting.page import ROW_TITLE, SECTIONS, PageRow
from tests.reporting.conftest import Measured, json_of, typed

DOCS = Path(__file__).parents[2] / "docs"
Copied = Callable[..., Path]


def page_of(*named: Path, data: Path | None = None) -> dict[str, Any]:
    return json_of(build_page(*read_sources(named), data))


def test_every_figure_of_the_bench_is_in_the_page_unchanged(measured: Measured) -> None:
    (report,) = json_of(measured.page)["reports"]
    for key in ("protocol", "suite", "data", "notes"):
        assert report[key] == measured.bench[key]
    assert report["environment"] == measured.bench["environments"]["cpu"]
    for shown, row in zip(report["rows"], measured.bench["results"], strict=True):
        for key in row.keys() - {"blocks"}:
            assert shown[key] == row[key], key


def test_the_page_is_read_back_as_it_was_written(measured: Measured) -> None:
    assert typed(json_of(measured.page)) == measured.page


def test_the_document_holds_what_the_dataclasses_say() -> None:
    document = (DOCS / "report-schema.md").read_text()
    assert as_markdown(SECTIONS).strip() in document
    assert as_markdown({ROW_TITLE: PageRow}, inherited=[RowFigures]).strip() in document


def test_the_same_inputs_give_the_same_page(measured: Measured) -> None:
    assert page_of(measured.run) == json_of(measured.page)


def test_the_interval_of_the_dice_holds_the_dice(measured: Measured) -> None:
    for row in json_of(measured.page)["reports"][0]["rows"]:
        low, high = (row["dice"] if row[end] is None else row[end] for end in ("dice_low", "dice_high"))
        assert low <= row["dice"] <= high and (low, high) != (row["dice"], row["dice"])


def test_the_worst_slices_are_predicted_again_and_drawn(measured: Measured) -> None:
    worst = json_of(measured.page)["reports"][0]["worst"]
    assert worst["missing"] is None and worst["parent"] == worst["parent_drawn"] == "float"
    assert len(worst["slices"]) == 20
    for one in worst["slices"]:
        assert one["not_shown"] is None
        picture = one["picture"]
        image = cv2.imdecode(np.frombuffer(base64.b64decode(picture["jpeg"]), np.uint8), cv2.IMREAD_GRAYSCALE)
        assert image.shape == (picture["height"], picture["width"])
        assert bool(picture["bundle"]) == (one["marked_share"] > 0)
        assert bool(picture["truth"]) == bool(one["true_share"])


def test_a_slice_that_is_answered_otherwise_is_not_shown(measured: Measured, copied: Copied) -> None:
    row = json_of(measured.page)["reports"][0]["headline"]["row"]
    worst = [one["name"] for one in json_of(measured.page)["reports"][0]["worst"]["slices"]]

    def other(bench: dict[str, Any]) -> None:
        for score in bench["images"][bench["results"][row]["images"]]["scores"]:
            if score["name"] == worst[0]:
                score["outputs_sha256"] = "0" * 64

    first, *rest = page_of(copied(other))["reports"][0]["worst"]["slices"]
    assert first["name"] == worst[0] and first["picture"] is None
    assert first["not_shown"] == "tflite-int8 answers other than when it was measured"
    assert all(one["picture"] for one in rest)


def test_a_picture_that_is_gone_is_named(measured: Measured, copied: Copied, tmp_path: Path) -> None:
    fewer = tmp_path / "fewer"
    shutil.copytree(measured.phantoms, fewer)
    name = json_of(measured.page)["reports"][0]["worst"]["slices"][0]["name"]
    for file in [*fewer.rglob(name)]:
        file.unlink()
    first = page_of(copied(), data=fewer)["reports"][0]["worst"]["slices"][0]
    assert (first["name"], first["not_shown"]) == (name, "is not in the data folder")


def test_without_the_data_the_page_says_how_to_have_the_pictures(copied: Copied) -> None:
    def moved(bench: dict[str, Any]) -> None:
        bench["data"]["path"] = "/nowhere"

    run = copied(moved)
    worst = page_of(run)["reports"][0]["worst"]
    assert "/nowhere" in worst["missing"]["what"]
    assert worst["missing"]["way_out"] == f"edgebrain report {run} --data FOLDER"
    assert len(worst["slices"]) == 20 and not any(one["picture"] for one in worst["slices"])


def test_a_report_alone_is_shown_without_what_the_run_knows(measured: Measured, tmp_path: Path) -> None:
    alone = tmp_path / "kept.json"
    bench = json.loads((measured.run / "bench.json").read_text())
    for row in bench["results"]:
        row["path"] = f"elsewhere/{row['bundle']}"
    write_json(alone, bench)
    report = page_of(alone)["reports"][0]
    assert report["worst"]["missing"]["what"] == "tflite-int8: the bundle that was measured is not here"
    assert report["training"]["missing"]["what"] == "the run is not here"
    assert not any(entry["here"] for entry in report["lineage"])


def explained(run: Path, **changes: Any) -> dict[str, Any]:
    """What is shown of RUN/explain/tflite-int8.json with these keys changed."""
    row = json.loads((run / "bench.json").read_text())["results"][3]
    layer = {"layer": "enc1_conv", "precision": "int8", "sqnr_db": 31.5, "drift_db": None, "dice_recovered": 0.002}
    layer |= {"ms": 0.25, "macs": 2560, "bytes": 34}
    found = {"schema": 1, "bundle": "tflite-int8", "manifest_sha256": row["manifest_sha256"], "layers": [layer]}
    found |= {"data": {"path": "x", "split": "val", "slices": 8}, "whole_ms": 1.5, "notes": ["a note"]}
    write_json(run / "explain" / "tflite-int8.json", found | changes)
    return page_of(run)["reports"][0]["layers"]


def test_layers_are_taken_from_the_run_where_they_are_of_this_very_bundle(measured: Measured, copied: Copied) -> None:
    run = copied()
    report = json_of(measured.page)["reports"][0]
    assert report["rows"][report["headline"]["row"]]["bundle"] == "tflite-int8"
    assert report["layers"]["missing"]["way_out"].startswith("edgebrain explain ")
    assert explained(run)["layers"][0]["layer"] == "enc1_conv"
    assert "is of another bundle" in explained(run, manifest_sha256="0" * 64)["missing"]["what"]
    assert "not of schema 1" in explained(run, schema=2)["missing"]["what"]
    assert (
        "key 'layers[0].sqnr_db' is missing"
        in explained(run, layers=[{"layer": "x", "precision": "int8"}])["missing"]["what"]
    )


def test_the_audit_is_taken_from_the_run_where_it_is_of_the_same_data(measured: Measured, copied: Copied) -> None:
    from edgebrain.auditing.run import audit

    run = copied()
    line = page_of(run)["reports"][0]["audit"]["missing"]["way_out"]
    assert line == f"edgebrain data audit {measured.phantoms} --json {run / 'audit.json'}"
    found = audit(measured.phantoms).as_json()
    write_json(run / "audit.json", found)
    shown = page_of(run)["reports"][0]["audit"]
    assert shown["missing"] is None and shown["slices"] == 40
    assert [one["title"] for one in shown["findings"]] == [one["title"] for one in found["findings"]]
    write_json(run / "audit.json", {**found, "root": "/other"})
    assert "is of /other" in page_of(run)["reports"][0]["audit"]["missing"]["what"]


def test_what_training_recorded_is_shown(copied: Copied) -> None:
    run = copied()
    entry = {"data": {"path": "d", "kind": "phantom", "groups": None, "sha256": "a", "slices": 40, "rejected": []}}
    write_json(run / "run.json", {**entry, "split": {"sha256": "b", "slices": {"train": 30, "test": 10}}})
    told = {"copying": {"dice": 0.2, "accuracy": 0.6}, "side": "val", "summary": {"dice": 0.5, "accuracy": 0.7}}
    write_json(run / "float" / "scores.json", told)
    shown = page_of(run)["reports"][0]["training"]
    assert (shown["split"]["slices"], shown["copying"]["dice"], shown["validation"]["dice"]) == (
        {"train": 30, "test": 10},
        0.2,
        0.5,
    )


def test_a_run_file_that_is_garbled_leaves_the_rest_standing(copied: Copied) -> None:
    run = copied()
    (run / "run.json").write_text("[]")
    report = page_of(run)["reports"][0]
    assert report["training"]["missing"]["way_out"] == "copy the run folder again"
    assert report["worst"]["missing"] is None


def test_a_report_that_lies_in_another_run_is_shown_with_the_run_of_its_bundles(
    measured: Measured, tmp_path: Path
) -> None:
    (tmp_path / "run.json").write_text('{"data": {"path": "elsewhere"}}')
    write_json(tmp_path / "kept.json", measured.bench)
    assert page_of(tmp_path / "kept.json")["reports"][0]["training"]["run"] == str(measured.run)


def test_a_bench_that_does_not_say_where_its_slices_lie_is_shown_without_pictures(
    measured: Measured, tmp_path: Path
) -> None:
    write_json(tmp_path / "kept.json", {**measured.bench, "data": {"slices": 40}})
    page = build_page(*read_sources([tmp_path / "kept.json"]))
    assert page.reports[0].worst.missing is not None
    assert "does not name the folder of its slices" in page.reports[0].worst.missing.what
    for write in WRITERS.values():
        assert write(page)


def test_a_run_without_a_bench_is_refused_with_the_line_that_makes_one(copied: Copied) -> None:
    run = copied()
    (run / "bench.json").unlink()
    with pytest.raises(BadRun, match=r"holds no bench\.json") as caught:
        read_sources([run])
    assert caught.value.hint == f"edgebrain bench {run}"


def test_what_cannot_be_used_is_left_out_and_the_rest_is_done(measured: Measured, tmp_path: Path) -> None:
    older = tmp_path / "older.json"
    write_json(older, {**measured.bench, "schema": 1})
    nonsense = tmp_path / "nonsense.json"
    write_json(nonsense, [])
    page = page_of(measured.run, older, nonsense, tmp_path / "gone.json")
    assert len(page["reports"]) == 1
    assert [one["name"] for one in page["left_out"]] == [str(older), str(nonsense), str(tmp_path / "gone.json")]
    assert "schema 1 is older than 2" in page["left_out"][0]["message"]
    assert "measure again" in page["left_out"][0]["hint"]


def test_a_report_whose_scores_do_not_give_its_means_is_refused_by_name(copied: Copied) -> None:
    def better(bench: dict[str, Any]) -> None:
        bench["results"][3]["dice"] += 0.1

    with pytest.raises(BadReport, match=r"\(tflite-int8\)\.dice is .*, but its scores give"):
        read_sources([copied(better)])


def test_a_run_and_its_own_report_are_one(measured: Measured) -> None:
    sources, left_out = read_sources([measured.run, measured.run / "bench.json"])
    assert len(sources) == 1 and not left_out
