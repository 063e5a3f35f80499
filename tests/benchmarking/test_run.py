from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgebrain.benchmarking import lineage, measurement
from edgebrain.benchmarking.report import DataFacts, as_json, parse_report
from edgebrain.benchmarking.run import run_bench
from edgebrain.errors import AnswersDiffer, BadImage, EdgebrainError
from edgebrain.evaluation.scores import FIGURES, ImageScore, group_means, summarise
from tests.benchmarking.factories import labelled, records, run_folder, slices_of
from tests.runtime.tiny import tiny_bundle


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One bench of a run's bundles at one and two threads."""
    folder = tmp_path_factory.mktemp("bench")
    _, _, children = run_folder(folder)
    facts = DataFacts(path=str(folder), split="test", slices=6)
    return as_json(run_bench([child.path for child in children], labelled(folder / "data"), [1, 2], 70, data=facts))


def test_a_report_keeps_to_its_schema_and_is_json(measured: dict[str, Any]) -> None:
    assert as_json(parse_report(json.loads(json.dumps(measured, allow_nan=False)))) == measured


def test_there_is_a_row_for_each_bundle_and_thread_count_with_the_float_root_first(measured: dict[str, Any]) -> None:
    rows = [(row["bundle"], row["threads"]) for row in measured["results"]]
    assert rows == [
        (name, n) for name in ("float", "tflite-float32", "tflite-int8", "openvino-float32") for n in (1, 2)
    ]
    assert {row["float_parent"] for row in measured["results"]} == {"float"}


def test_every_figure_can_be_computed_again_from_the_images(measured: dict[str, Any]) -> None:
    images = {entry["bundle"]: entry["scores"] for entry in measured["images"]}
    for row in measured["results"]:
        scores = [ImageScore.from_json(image) for image in images[row["bundle"]]]
        assert {key: row[key] for key in FIGURES} == group_means(scores)
        assert row["slice_means"] == {key: summarise(scores)[key] for key in FIGURES}
        assert row["counts"]["slices"] == 6


def test_the_drop_is_the_roots_figure_minus_the_rows(measured: dict[str, Any]) -> None:
    root = measured["results"][0]
    assert root["drop"] == {"dice": 0.0, "accuracy": 0.0}
    for row in measured["results"]:
        assert row["drop"]["dice"] == root["dice"] - row["dice"]
        assert row["drop"]["accuracy"] == root["accuracy"] - row["accuracy"]
    assert root["dice"] > 0.8


def test_latency_is_more_than_the_engine_and_percentiles_wait_for_their_queries(measured: dict[str, Any]) -> None:
    for row in measured["results"]:
        assert row["queries"] == 70
        assert row["latency_ms"]["p50"] > row["engine_ms"]["p50"] > 0
        assert row["latency_ms"]["p90"] is not None and row["latency_ms"]["p99"] is None
        assert row["throughput_per_s"] == pytest.approx(1e3 / row["latency_ms"]["mean"])
        assert row["peak_rss_mib"] >= row["rss_after_load_mib"] * 0.9


def test_blocks_are_equal_and_another_worker_begins_each_round(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, int]] = []
    real = measurement.Measurement.time

    def time(self: measurement.Measurement, block: list[Any]) -> None:
        asked.append((self.bundle.name, len(block)))
        real(self, block)

    monkeypatch.setattr(measurement.Measurement, "time", time)
    bundles = [
        tiny_bundle(tmp_path / name, precision=precision).path for name, precision in (("a", "float32"), ("b", "int8"))
    ]
    run_bench(bundles, labelled(tmp_path / "data"), [1], 70)
    assert [name for name, _ in asked] == ["a", "b", "b", "a", "a", "b"]
    assert [count for name, count in asked if name == "a"] == [23, 23, 24]


def test_a_thread_count_with_other_outputs_is_scored_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scored: list[int] = []
    real_score, real_time = measurement.Measurement.score, measurement.Measurement.time

    def score(self: measurement.Measurement, *rest: Any) -> None:
        scored.append(self.threads)
        real_score(self, *rest)
        self.outputs = {name: f"{self.threads}{sha256}" for name, sha256 in self.outputs.items()}

    def time(self: measurement.Measurement, block: list[Any]) -> None:
        real_time(self, block)
        self.timed[-len(block) :] = [(name, f"{self.threads}{sha}") for name, sha in self.timed[-len(block) :]]

    monkeypatch.setattr(measurement.Measurement, "score", score)
    monkeypatch.setattr(measurement.Measurement, "time", time)
    report = as_json(run_bench([tiny_bundle(tmp_path / "a").path], labelled(tmp_path / "data"), [1, 2], 20))
    assert scored == [1, 2]
    assert [row["images"] for row in report["results"]] == [0, 1]
    assert [entry["threads"] for entry in report["images"]] == [1, 2]


def cached(hashes: list[str]) -> list[str]:
    return [hashes[0]] * len(hashes)


def skipped(hashes: list[str]) -> list[str]:
    return ["", *hashes[1:]]


def random_ones(hashes: list[str]) -> list[str]:
    return [f"{place}" for place, _ in enumerate(hashes)]


@pytest.mark.parametrize("cheat", [cached, skipped, random_ones])
def test_timed_answers_that_are_not_the_scored_ones_end_the_bench(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cheat: Callable[[list[str]], list[str]]
) -> None:
    real = measurement.Measurement.time

    def time(self: measurement.Measurement, block: list[Any]) -> None:
        real(self, block)
        names, hashes = zip(*self.timed[-len(block) :], strict=True)
        self.timed[-len(block) :] = zip(names, cheat(list(hashes)), strict=True)

    monkeypatch.setattr(measurement.Measurement, "time", time)
    with pytest.raises(AnswersDiffer, match="a, 1 threads: timed queries were not answered as scored"):
        run_bench([tiny_bundle(tmp_path / "a").path], labelled(tmp_path / "data"), [1], 20)


def test_one_answer_for_every_slice_is_said_and_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real_score, real_time = measurement.Measurement.score, measurement.Measurement.time

    def score(self: measurement.Measurement, *rest: Any) -> None:
        real_score(self, *rest)
        if self.bundle.precision == "int8":
            self.outputs = dict.fromkeys(self.outputs, "the one answer")

    def time(self: measurement.Measurement, block: list[Any]) -> None:
        real_time(self, block)
        if self.bundle.precision == "int8":
            self.timed[-len(block) :] = [(name, "the one answer") for name, _ in self.timed[-len(block) :]]

    monkeypatch.setattr(measurement.Measurement, "score", score)
    monkeypatch.setattr(measurement.Measurement, "time", time)
    _, _, children = run_folder(tmp_path)
    report = as_json(run_bench([children[1].path], labelled(tmp_path / "data"), [1], 20))
    verdict = report["results"][1]["verdict"]
    assert (verdict["outcome"], verdict["reason"]) == ("FAIL", "one and the same answer to every slice")
    assert any("one and the same answer to all 6 slices" in note["text"] for note in report["notes"])


def test_each_timed_query_has_another_slice_as_long_as_there_are_any(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    real = measurement.Measurement.time

    def time(self: measurement.Measurement, block: list[Any]) -> None:
        asked.extend(one.id for one in block)
        real(self, block)

    monkeypatch.setattr(measurement.Measurement, "time", time)
    slices = labelled(tmp_path / "data", tumours=30, healthy=20)
    report = as_json(run_bench([tiny_bundle(tmp_path / "a").path], slices, [1], 50))
    assert sorted(asked) == sorted(one.id for one in slices)
    assert report["protocol"]["timed_slices"] == 50


def test_without_its_float_parent_a_drop_is_null_and_that_is_said(tmp_path: Path) -> None:
    orphan = tiny_bundle(tmp_path / "orphan", precision="int8", lineage={"parent": "0" * 64})
    report = as_json(run_bench([orphan.path], labelled(tmp_path / "data"), [1], 20))
    (row,) = report["results"]
    assert row["drop"] == {"dice": None, "accuracy": None} and row["float_parent"] is None
    assert any("float parent is not here" in note["text"] for note in report["notes"])


def test_a_root_whose_library_is_missing_is_left_out_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, children = run_folder(tmp_path)
    monkeypatch.setattr(lineage, "runs_here", lambda name: name != "onnx")
    family = lineage.with_roots([children[0].path])
    assert [bundle.name for bundle in family.bundles] == ["tflite-float32"]
    assert family.root(family.bundles[0]) is None
    assert [note.text for note in family.notes] == [
        "float: not measured, because onnx is not installed; drops are not known"
    ]


def test_a_bundle_named_twice_is_measured_once(tmp_path: Path) -> None:
    run_path, root, _ = run_folder(tmp_path)
    family = lineage.with_roots([root.path, run_path / "float"])
    assert [bundle.name for bundle in family.bundles] == ["float"] and family.notes == ()
    assert family.root(family.bundles[0]) is family.bundles[0]


def test_a_pruned_parent_between_a_bundle_and_its_root_need_not_be_measured(tmp_path: Path) -> None:
    run_path, root, _ = run_folder(tmp_path)
    pruned = tiny_bundle(run_path / "bundles" / "pruned", lineage={"parent": root.manifest_sha256})
    child = tiny_bundle(run_path / "bundles" / "child", precision="int8", lineage={"parent": pruned.manifest_sha256})
    family = lineage.with_roots([child.path])
    assert [bundle.name for bundle in family.bundles] == ["float", "child"]
    assert [family.root(bundle).name for bundle in family.bundles] == ["float", "float"]


def test_the_root_is_the_end_of_a_chain_and_a_ring_has_none(tmp_path: Path) -> None:
    root = tiny_bundle(tmp_path / "root")
    middle = tiny_bundle(tmp_path / "middle", lineage={"parent": root.manifest_sha256})
    leaf = tiny_bundle(tmp_path / "leaf", lineage={"parent": middle.manifest_sha256})
    assert lineage.root_of(leaf, [root, middle, leaf]) is root
    assert lineage.root_of(leaf, [root, leaf]) is None
    assert lineage.root_of(root, []) is root


def test_a_worker_that_dies_ends_its_target_what_was_measured_is_kept_and_no_process_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pids: list[int] = []

    def time(self: measurement.Measurement, block: list[Any]) -> None:
        pids.append(self.worker.pid)
        os.kill(self.worker.pid, signal.SIGKILL)
        self.worker.time([], 1)

    monkeypatch.setattr(measurement.Measurement, "time", time)
    _, _, children = run_folder(tmp_path)
    report = as_json(run_bench([child.path for child in children], labelled(tmp_path / "data"), [1], 20))
    (failure,) = report["failures"]
    assert "killed by signal 9" in failure["message"] and failure["rows"] == len(report["results"]) == 4
    assert all(row["queries"] == 0 and row["dice"] > 0.8 for row in report["results"])
    assert any("kept is what was measured before, 0 rounds" in note["text"] for note in report["notes"])
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
    assert len(pids) == 1


def test_a_picture_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    found = records(tmp_path / "data")
    found[1].image_path.write_bytes(b"")
    with pytest.raises(BadImage, match=r"t1\.png: is empty"):
        slices_of(found)


def test_an_unknown_target_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EdgebrainError, match="'moon' is not known"):
        run_bench([tiny_bundle(tmp_path / "a").path], labelled(tmp_path / "data"), [1], 20, targets=["moon"])


def test_slices_with_the_float_roots_mask_and_class_are_counted(measured: dict[str, Any]) -> None:
    answers = {
        entry["bundle"]: {one["name"]: one["answer_sha256"] for one in entry["scores"]} for entry in measured["images"]
    }
    for row in measured["results"]:
        mine, root = answers[row["bundle"]], answers["float"]
        same = sum(mine[name] == root[name] for name in root)
        assert row["verdict"]["same_answers"] == (None if row["bundle"] == "float" else same)
    # Float engines differ in the last bits of what they answer, and not in the mask that follows.
    (row,) = [row for row in measured["results"] if row["bundle"] == "openvino-float32" and row["threads"] == 1]
    assert row["verdict"]["same_answers"] == 6


def test_answers_are_other_ones_where_mask_or_class_differ(tmp_path: Path) -> None:
    _, _, children = run_folder(tmp_path)
    slices = labelled(tmp_path / "data")
    report = run_bench([children[0].path], slices, [1], 7)
    assert report.results[1].verdict.same_answers == 6
    opened = measurement.Opened({}, None, None)
    (machine,) = report.environments.values()
    kept = [
        measurement.Measurement(children[0], 1, None, opened, machine, answers={"a": "1", "b": "2"}) for _ in range(2)
    ]
    kept[1].answers["b"] = "3"
    assert kept[0].count_same_answers(kept[1]) == 1
    kept[1].answers = {}
    assert kept[0].count_same_answers(kept[1]) is None and kept[1].count_same_answers(kept[0]) is None
