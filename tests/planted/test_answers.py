"""Workers that cheat, in a process of their own as any worker: the bench ends, or fails them, and says in which way."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgebrain.benchmarking.report import as_json
from edgebrain.benchmarking.run import run_bench
from edgebrain.errors import AnswersDiffer, BadBundle
from edgebrain.targets import TARGETS
from tests.benchmarking.factories import labelled, run_folder
from tests.planted.broken_exports import after, child, weights
from tests.runtime.tiny import tiny_bundle, tiny_manifest

CHEATS = {
    "cached": "timed queries were not answered as scored slices were; cached: one and the same answer to 6 slices",
    "late": "mixed up: 20 queries got another slice's answer, t0.png the first",
    "random": "random: 20 answers that scoring never gave",
    "skipping": "skipped: 10 answers to 20 slices",
    "skipping scores": "skipped: 3 answers to 6 slices",
    "small masks": "the mask is 16x16, the slice 60x64: answered at another resolution",
}


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A bench of one bundle on a target whose workers cheat."""
    monkeypatch.setitem(TARGETS, "cheat", "tests.planted.faulty_workers")

    def measure(cheat: str, *bundles: Path) -> dict[str, Any]:
        monkeypatch.setenv("CHEAT", cheat)
        chosen = bundles or (tiny_bundle(tmp_path / "planted").path,)
        return as_json(run_bench(chosen, labelled(tmp_path / "data"), [1], 20, targets=["cheat"]))

    return measure


@pytest.mark.parametrize("cheat", CHEATS)
def test_a_worker_that_cheats_ends_the_bench_by_the_name_of_it(cheat: str, bench: Any) -> None:
    with pytest.raises(AnswersDiffer) as caught:
        bench(cheat)
    assert caught.value.message.startswith("planted, 1 threads: ")
    assert CHEATS[cheat] in caught.value.message and caught.value.hint


def test_an_honest_worker_behind_the_same_target_passes(bench: Any) -> None:
    report = bench("none")
    assert report["results"][0]["dice"] > 0.8 and report["results"][0]["invalid"] is None


def test_one_answer_to_everything_fails_and_is_said(tmp_path: Path) -> None:
    run, root, _ = run_folder(tmp_path)
    edits = (after("mask", "Mul", np.float32(0.0)), weights(matrix=0.0))
    constant = child(tmp_path / "constant", *edits, lineage={"parent": root.manifest_sha256})
    (run / "bundles" / "constant").mkdir()
    for name in ("manifest.json", "model.onnx"):
        (constant.path / name).rename(run / "bundles" / "constant" / name)
    report = as_json(run_bench([run / "bundles" / "constant"], labelled(tmp_path / "data"), [1], 20))
    verdict = report["results"][1]["verdict"]
    assert (verdict["outcome"], verdict["reason"]) == ("FAIL", "one and the same answer to every slice")
    assert any("one and the same answer to all 6 slices" in note["text"] for note in report["notes"])


def test_a_child_at_another_resolution_than_its_parent_is_no_cost_of_compression(tmp_path: Path) -> None:
    run, root, _ = run_folder(tmp_path)
    small = tiny_manifest("tflite", "float32", "small")
    small["input"]["shape"] = [1, 8, 8, 1]
    other = tiny_bundle(run / "bundles" / "small", input=small["input"], lineage={"parent": root.manifest_sha256})
    with pytest.raises(BadBundle, match=r"small: takes slices at 8x8, its float parent .*float at 16x16") as caught:
        run_bench([other.path], labelled(tmp_path / "data"), [1], 20)
    assert "at that resolution" in caught.value.hint


def test_a_parent_that_was_edited_or_trained_again_is_named(tmp_path: Path) -> None:
    run, root, children = run_folder(tmp_path)
    shutil.rmtree(root.path)
    tiny_bundle(run / "float", "onnx", parameters=35)
    report = as_json(run_bench([children[1].path], labelled(tmp_path / "data"), [1], 20))
    (note,) = (note["text"] for note in report["notes"] if note["kind"] == "no-parent")
    assert f"{run / 'float'} is not the manifest that it was made from, {root.manifest_sha256[:12]}" in note
    assert report["results"][0]["verdict"]["outcome"] == "NOT JUDGED"
