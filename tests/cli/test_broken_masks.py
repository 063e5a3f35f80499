"""Masks that cannot be used, or are written in another way, through every command that reads them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgebrain.cli import main
from edgebrain.phantom.generator import write_phantoms
from tests.conftest import TINY_RECIPE
from tests.runtime.pictures import bright_disc
from tests.runtime.tiny import tiny_bundle

Change = Callable[[np.ndarray], np.ndarray]


def run(*words: str) -> int:
    """Exit code of `edgebrain WORDS`, in this process."""
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    return int(ended.value.code or 0)


def change_masks(root: Path, change: Change, every: int = 1, folder: str = "masks") -> int:
    """Rewrite every so many masks; returns how many."""
    masks = sorted(path for path in root.rglob("*") if path.parent.name == folder)[::every]
    for path in masks:
        assert cv2.imwrite(str(path), change(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)))
    return len(masks)


def to_ones(mask: np.ndarray) -> np.ndarray:
    return (mask > 127).astype(np.uint8)


def larger(mask: np.ndarray) -> np.ndarray:
    return np.pad(mask, 3)


def empty(mask: np.ndarray) -> np.ndarray:
    return np.zeros_like(mask)


@pytest.fixture
def phantoms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """96 phantoms and a recipe in the working folder."""
    monkeypatch.chdir(tmp_path)
    Path("tiny.toml").write_text(TINY_RECIPE.replace("epochs = 10", "epochs = 1"))
    write_phantoms(tmp_path / "set", 96, seed=3)
    return tmp_path / "set"


def train(*words: str) -> int:
    return run("train", "tiny.toml", "--data", "set", "--out", "run", *words)


def test_masks_of_0_and_1_are_trained_on_and_told(phantoms: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change_masks(phantoms, to_ones)
    assert train() == 0
    assert "masks: 0/1 (not 0/255): 1 is read as lesion" in capsys.readouterr().err
    data = json.loads(Path("run/run.json").read_text())["data"]
    assert data["mask_encoding"] == {"name": "0/1", "above": 0, "levels": [0, 1]}
    assert data["rejected"] == [] and data["left_out"] is None
    figures = json.loads(Path("run/float/scores.json").read_text())["images"]
    assert all(one["true_area"] > 0 for one in figures if one["label"] != "no_tumor")


@pytest.mark.slow
def test_masks_of_labels_are_trained_on_as_one_region(phantoms: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for label in (1, 2, 3):
        change_masks(phantoms, lambda mask, label=label: np.where(mask > 0, label, 0).astype(np.uint8), every=label)
    assert train() == 0
    assert "every label above 0 is read as lesion" in capsys.readouterr().err


@pytest.mark.parametrize(("change", "word"), [(larger, "the mask is"), (to_ones, "holds 0 and 1"), (empty, "an empty")])
def test_more_than_a_tenth_of_the_masks_lost_is_refused_and_leaves_no_run(
    phantoms: Path, change: Change, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lost = change_masks(phantoms, change, every=3)
    assert train() == 1
    said = capsys.readouterr().err
    assert f"{lost} of 70 masks cannot be used, more than a tenth" in said and word in said
    assert "--allow-rejected" in said and "Traceback" not in said
    assert not Path("run").exists() and not list(Path().glob(".run*"))


def test_with_leave_the_rest_is_trained_on_and_the_run_says_what_is_missing(
    phantoms: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lost = change_masks(phantoms, larger, every=3)
    assert train("--allow-rejected") == 0
    assert f"{lost} of 96 slices left out: " in capsys.readouterr().err
    data = json.loads(Path("run/run.json").read_text())["data"]
    assert len(data["rejected"]) == lost and data["slices"] == 96 - lost and data["allow_rejected"] is True
    assert data["left_out"].startswith(f"{lost} of 96 slices left out: {data['rejected'][0]['reason']}")


def test_a_few_lost_masks_are_told_and_no_reason_to_stop(phantoms: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lost = change_masks(phantoms, to_ones, every=20)
    assert train() == 0
    said = capsys.readouterr().err
    assert f"{lost} of 96 slices left out: " in said and "the mask holds 0 and 1, the set's masks 0 and 255" in said


@pytest.mark.slow
def test_figures_that_do_not_exist_are_null_in_every_file(phantoms: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change_masks(phantoms, empty)
    assert train() == 1 and "not one slice of glioma, meningioma, pituitary" in capsys.readouterr().err
    assert train("--allow-rejected") == 0
    assert "Dice -" in capsys.readouterr().err
    history = json.loads(Path("run/history.json").read_text())
    assert history[0]["val"]["dice"] is None and history[0]["val"]["accuracy"] is not None
    assert json.loads(Path("run/float/scores.json").read_text())["summary"]["dice"] is None
    assert run("evaluate", "run/float", "--out", "figures") == 0
    assert json.loads(Path("figures/evaluation.json").read_text())["summary"]["dice"] is None


@pytest.fixture
def discs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A test side in BRISC's layout that the tiny network marks well in half of the tumours and badly in the others."""
    monkeypatch.chdir(tmp_path)
    tiny_bundle(tmp_path / "bundle")
    root = tmp_path / "set" / "segmentation_task" / "test"
    healthy = tmp_path / "set" / "classification_task" / "test" / "no_tumor"
    for folder in (root / "images", root / "masks", healthy):
        folder.mkdir(parents=True)
    for number in range(12):
        image = bright_disc(64 + number, 60)
        mask = (image > 128).astype(np.uint8) * 255
        # The network marks what is bright, so a mask of the rest is one that it misses.
        stem = f"brisc2025_test_{number:05d}_gl_ax_t1"
        assert cv2.imwrite(str(root / "images" / f"{stem}.png"), image)
        assert cv2.imwrite(str(root / "masks" / f"{stem}.png"), mask if number % 2 else 255 - mask)
    dark = np.full((50, 50), 10, np.uint8)
    assert cv2.imwrite(str(healthy / "brisc2025_test_00090_no_ax_t1.png"), dark)
    assert cv2.imwrite(str(healthy / "brisc2025_test_00091_no_ax_t1.png"), dark + 5)
    return tmp_path / "set"


def evaluate(*words: str) -> dict[str, Any]:
    assert run("evaluate", "bundle", "--data", "set", "--out", "figures", "--force", *words) == 0
    return json.loads(Path("figures/evaluation.json").read_text())


@pytest.mark.parametrize("change", [to_ones, empty, larger])
def test_broken_masks_of_slices_that_a_model_misses_do_not_raise_its_dice_unsaid(
    discs: Path, change: Change, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = evaluate()
    assert whole["left_out"] is None and whole["mask_encoding"]["name"] == "0/255"
    lost = change_masks(discs, change, every=2)
    capsys.readouterr()
    assert run("evaluate", "bundle", "--data", "set", "--out", "other") == 1
    assert f"{lost} of 12 masks cannot be used" in capsys.readouterr().err and not Path("other").exists()
    kept = evaluate("--allow-rejected")
    assert f"{lost} of 14 slices left out: " in capsys.readouterr().out
    assert len(kept["rejected"]) == lost == 6 and kept["left_out"].startswith("6 of 14 slices left out: ")
    assert kept["rejected"][0]["reason"] in kept["left_out"]
    assert kept["summary"]["counts"] == {"slices": 8, "tumours": 6, "tumours_with_mask": 6, "healthy": 2}


def test_the_way_masks_are_written_does_not_change_a_figure(discs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = evaluate()
    change_masks(discs, to_ones)
    after = evaluate()
    assert "masks: 0/1 (not 0/255): 1 is read as lesion" in capsys.readouterr().out
    assert after["summary"] == before["summary"] and after["images"] == before["images"]


def test_bench_scores_sound_pairs_only_and_names_the_others(discs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change_masks(discs, to_ones, every=12)
    assert run("bench", "bundle", "--data", "set", "--queries", "7", "--json", "bench.json") == 0
    said = capsys.readouterr()
    assert "1 of 14 slices left out: " in said.err and "1 of 14 slices left out: " in said.out
    report = json.loads(Path("bench.json").read_text())
    assert report["data"]["slices"] == 13 and len(report["images"][0]["scores"]) == 13
    (rejected,) = report["data"]["rejected"]
    assert rejected["name"].endswith("00000_gl_ax_t1.png") and "holds 0 and 1" in rejected["reason"]
    assert report["data"]["left_out"] in said.err and report["data"]["mask_encoding"]["name"] == "0/255"


def test_bench_refuses_where_too_many_masks_are_lost(discs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change_masks(discs, empty, every=2)
    words = ("bench", "bundle", "--data", "set", "--queries", "7", "--json", "bench.json")
    assert run(*words) == 1
    assert "6 of 12 masks cannot be used" in capsys.readouterr().err and not Path("bench.json").exists()
    assert run(*words, "--allow-rejected") == 0
    assert len(json.loads(Path("bench.json").read_text())["data"]["rejected"]) == 6


def test_a_bench_without_any_tumour_is_json_without_nan(discs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change_masks(discs, empty)
    words = ("bench", "bundle", "--data", "set", "--queries", "7", "--json", "bench.json")
    assert run(*words) == 1 and "not one slice of glioma can be used" in capsys.readouterr().err
    assert run(*words, "--allow-rejected") == 0
    assert json.loads(Path("bench.json").read_text())["results"][0]["dice"] is None


@pytest.mark.slow
def test_quantize_asks_again_only_where_the_run_was_not_allowed_to_lose_so_much(phantoms: Path) -> None:
    from edgebrain.compression.run_inputs import open_run
    from edgebrain.data.readers import open_dataset
    from edgebrain.errors import BadData

    change_masks(phantoms, larger, every=3)
    assert train("--allow-rejected") == 0
    data = json.loads(Path("run/run.json").read_text())["data"]
    dataset = open_dataset(phantoms)
    with pytest.raises(BadData, match="masks cannot be used"):
        open_run(Path("run"), dataset, None, data["sha256"], lambda *_: None)
    opened = open_run(Path("run"), dataset, None, data["sha256"], lambda *_: None, allow_rejected=True)
    assert len(opened.gate_samples(4)) > 0 and len(opened.pack.rejected) == len(data["rejected"])
