"""A run: what it leaves, what its figures mean, and that an interrupted one ends where an undisturbed one ends."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, jaccard_score

from edgebrain.bundle import open_bundle
from edgebrain.data.readers import open_dataset
from edgebrain.data.split import Split
from edgebrain.errors import BadData, BadRun, CannotWrite
from edgebrain.evaluation.scores import ImageScore, summarise
from edgebrain.recipe import TrainPart, load_train_recipe, replaced
from tests.networks import FinishedRun

KEYS = {"loss", "dice", "iou", "pixel_accuracy", "sensitivity", "specificity", "accuracy"}
KEYS |= {"healthy_marked", "healthy_false_area"}


def train(run: Path, trained: FinishedRun, epochs: int = 3, listener: Any = None, start: bool = True) -> Path:
    from edgebrain.training.loop import Listener, finish_run, resume_run, start_run

    dataset = open_dataset(trained.phantoms)
    if start:
        recipe = replaced(load_train_recipe(str(trained.recipe)), "train", epochs=epochs)
        prepared = start_run(recipe, dataset, None, run, Listener())
    else:
        prepared = resume_run(run, load_train_recipe(str(run / "recipe.toml")), dataset, Listener())
    return finish_run(prepared, listener or Listener())


def weights(bundle: Path) -> bytes:
    return open_bundle(bundle).contents["model.weights.h5"]


def test_a_finished_run_holds_what_it_promises(trained: FinishedRun) -> None:
    names = {path.name for path in trained.run.iterdir()}
    assert names >= {"run.json", "recipe.toml", "split.json", "history.json", "curves.png", "checkpoint.npz"}
    assert names >= {"best.weights.h5", "last.weights.h5", "float"}
    assert (trained.run / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_history_holds_every_figure_of_both_sides(trained: FinishedRun) -> None:
    history = json.loads((trained.run / "history.json").read_text())
    assert [entry["epoch"] for entry in history] == list(range(1, 11))
    for entry in history:
        assert set(entry["train"]) == set(entry["val"]) == KEYS


def test_the_network_learns_from_its_slices(trained: FinishedRun) -> None:
    """How far is the processor's affair: sums are rounded in another order, and ten epochs are no triumph anywhere."""
    losses = [entry["loss"] for entry in json.loads((trained.run / "history.json").read_text())]
    assert np.mean(losses[-3:]) < np.mean(losses[:3])
    assert weights(trained.run / "float") != _untrained(trained)


def _untrained(trained: FinishedRun) -> bytes:
    import keras

    from edgebrain.model.network import weights_bytes

    recipe = load_train_recipe(str(trained.recipe))
    keras.utils.set_random_seed(recipe.train.seed)
    return weights_bytes(recipe.model.spec().build(keras))


def test_the_float_bundle_is_spec_weights_and_scores_of_the_validation_side(trained: FinishedRun) -> None:
    bundle = open_bundle(trained.run / "float")
    split = Split.read(trained.run / "split.json")
    scores = json.loads(bundle.contents["scores.json"])
    assert bundle.format == "keras" and bundle.lineage["parent"] is None
    assert bundle.lineage["split_sha256"] == split.sha256
    assert {image["name"] for image in scores["images"]} == set(split.names_of("val"))
    assert scores["summary"] == summarise([ImageScore.from_json(image) for image in scores["images"]])


def test_weights_files_hold_no_optimizer(trained: FinishedRun) -> None:
    bundle = open_bundle(trained.run / "float")
    stored = h5py.File(io.BytesIO(bundle.contents["model.weights.h5"]))
    assert "optimizer" not in stored
    assert "layers" in stored


def test_epoch_figures_equal_an_independent_count(computed: FinishedRun) -> None:
    from edgebrain.data.pack import open_pack
    from edgebrain.training.float_bundle import open_float_model
    from edgebrain.training.measure import measure

    pack = open_pack(open_dataset(computed.phantoms), 64)
    rows = pack.index(Split.read(computed.run / "split.json").names_of("val"))
    _, model = open_float_model(computed.run / "float")
    found = measure(model, pack, rows, TrainPart(), size=1)
    dices, ious = [], []
    labels = []
    for row in rows:
        mask, label = (np.asarray(out)[0] for out in model(pack.images[row][None, ..., None] / np.float32(255)))
        labels.append(int(label.argmax()))
        # No pixel may change sides where a graph sums in another order than single calls do.
        assert np.abs(mask - 0.5).min() > 1e-4
        truth, drawn = (pack.masks[row] >= 128).ravel(), (mask[..., 0] >= 0.5).ravel()
        if pack.labels[row] != 3:
            dices.append(f1_score(truth, drawn, zero_division=0))
            ious.append(jaccard_score(truth, drawn, zero_division=0))
    assert found["dice"] == pytest.approx(np.mean(dices), abs=1e-6)
    assert found["iou"] == pytest.approx(np.mean(ious), abs=1e-6)
    assert found["accuracy"] == pytest.approx(accuracy_score(pack.labels[rows], labels))


@pytest.mark.slow
def test_the_same_recipe_gives_the_same_weights(trained: FinishedRun, tmp_path: Path) -> None:
    assert weights(train(tmp_path / "one" / "run", trained)) == weights(train(tmp_path / "two" / "run", trained))


@pytest.mark.slow
def test_a_run_stopped_in_mid_epoch_ends_where_an_undisturbed_one_ends(trained: FinishedRun, tmp_path: Path) -> None:
    from edgebrain.training.loop import Listener

    class Stopped(Listener):
        def step(self, epoch: int, epochs: int, done: int, total: int, loss: float) -> None:
            if (epoch, done) == (2, 3):
                raise KeyboardInterrupt

    undisturbed = train(tmp_path / "whole" / "run", trained)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "cut" / "run", trained, listener=Stopped())
    assert not (tmp_path / "cut" / "run" / "float").exists()
    resumed = train(tmp_path / "cut" / "run", trained, start=False)
    assert weights(resumed) == weights(undisturbed)
    assert (resumed.parent / "history.json").read_bytes() == (undisturbed.parent / "history.json").read_bytes()
    assert (resumed / "manifest.json").read_bytes() == (undisturbed / "manifest.json").read_bytes()


@pytest.mark.slow
def test_a_run_killed_twice_ends_where_an_undisturbed_one_ends(trained: FinishedRun, tmp_path: Path) -> None:
    undisturbed = train(tmp_path / "whole" / "run", trained, epochs=8)
    run = tmp_path / "killed" / "run"
    words = ["train", str(tmp_path / "eight.toml"), "--data", str(trained.phantoms), "--out", str(run)]
    (tmp_path / "eight.toml").write_text(trained.recipe.read_text().replace("epochs = 10", "epochs = 8"))
    for wanted in (2, 5):
        child = subprocess.Popen([sys.executable, "-m", "edgebrain", *words], stderr=subprocess.DEVNULL)
        while child.poll() is None and not _epochs_done(run) >= wanted:
            time.sleep(0.05)
        assert child.poll() is None, "it ended before it could be killed"
        child.send_signal(signal.SIGKILL)
        child.wait()
        words = ["train", "--resume", str(run)]
    subprocess.run([sys.executable, "-m", "edgebrain", *words], check=True, capture_output=True, env={**os.environ})
    assert weights(run / "float") == weights(undisturbed)


def _epochs_done(run: Path) -> int:
    try:
        return len(json.loads((run / "history.json").read_text()))
    except FileNotFoundError:
        return 0


@pytest.mark.slow
def test_early_stopping_ends_a_run_that_gets_no_better(
    trained: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether a network gets better hangs on the processor, so the figures are given: the second are the best."""
    from edgebrain.training import loop

    # Asked twice an epoch, of the training and of the validation side.
    given = iter(np.repeat([0.3, 0.5, 0.5, 0.4, 0.6, 0.7], 2).tolist())
    real = loop.measure

    def measure(*arguments: Any, **options: Any) -> dict[str, float]:
        return {**real(*arguments, **options), "dice": next(given), "accuracy": 0.5, "healthy_false_area": 0.0}

    monkeypatch.setattr(loop, "measure", measure)
    recipe = replaced(load_train_recipe(str(trained.recipe)), "train", epochs=6, patience=2)
    dataset = open_dataset(trained.phantoms)
    loop.finish_run(loop.start_run(recipe, dataset, None, tmp_path / "run", loop.Listener()), loop.Listener())
    assert len(json.loads((tmp_path / "run" / "history.json").read_text())) == 4


def test_a_run_does_not_go_on_with_other_data(trained: FinishedRun, tmp_path: Path) -> None:
    from edgebrain.phantom.generator import write_phantoms
    from edgebrain.training.loop import Listener, resume_run

    write_phantoms(tmp_path / "other", 60, seed=9)
    recipe = load_train_recipe(str(trained.run / "recipe.toml"))
    with pytest.raises(BadRun, match="is not the data"):
        resume_run(trained.run, recipe, open_dataset(tmp_path / "other"), Listener())


def test_a_broken_checkpoint_is_named(trained: FinishedRun, tmp_path: Path) -> None:
    shutil.copytree(trained.run, tmp_path / "run", ignore=shutil.ignore_patterns("float"))
    (tmp_path / "run" / "checkpoint.npz").write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(BadRun, match=r"checkpoint\.npz: cannot be read"):
        train(tmp_path / "run", trained, start=False)


def test_a_loss_that_is_no_number_stops_the_run_with_the_way_out(trained: FinishedRun, tmp_path: Path) -> None:
    from edgebrain.data.pack import open_pack
    from edgebrain.training.batches import Batches
    from edgebrain.training.epochs import learn_epoch

    class Broken:
        def train_on_batch(self, *arguments: object, **options: object) -> dict[str, float]:
            return {"loss": float("nan")}

    pack = open_pack(open_dataset(trained.phantoms), 64)
    with pytest.raises(BadData, match="the loss became nan in epoch 1, step 1") as caught:
        learn_epoch(Broken(), Batches(pack, range(16), 8, 4, 0, None), 0, lambda done, loss: None)
    assert "learning_rate" in caught.value.hint


def test_a_run_folder_that_is_there_is_not_replaced(trained: FinishedRun) -> None:
    with pytest.raises(CannotWrite, match="already exists"):
        train(trained.run, trained)


def test_an_epochs_figure_that_does_not_exist_is_none_and_the_score_is_of_the_others(trained: FinishedRun) -> None:
    from edgebrain.data.pack import open_pack
    from edgebrain.training.float_bundle import open_float_model
    from edgebrain.training.measure import measure, selection_score

    pack = open_pack(open_dataset(trained.phantoms), 64)
    _, model = open_float_model(trained.run / "float")
    healthy = np.flatnonzero(pack.labels == 3)[:4]
    found = measure(model, pack, healthy, TrainPart(), size=1)
    assert found["dice"] is None and found["sensitivity"] is None and found["healthy_marked"] is not None
    assert selection_score(found) == pytest.approx((found["accuracy"] + 1.0 - found["healthy_false_area"]) / 2)
    tumours = measure(model, pack, np.flatnonzero(pack.labels != 3)[:1], TrainPart(), size=1)
    assert tumours["healthy_marked"] is tumours["healthy_false_area"] is None and tumours["dice"] is not None
    json.dumps([found, tumours], allow_nan=False)


def test_false_area_is_counted_in_mean_lesions_and_ends_at_one() -> None:
    from edgebrain.training.measure import false_area

    lesions = np.zeros((2, 8, 8), bool)
    lesions[0, :2, :5], lesions[1, :6, :5] = True, True  # 10 and 30 pixels: 20 in the mean
    drawn = np.zeros((3, 8, 8), bool)
    drawn[1, 0, :5] = True
    drawn[2] = True
    np.testing.assert_allclose(false_area(drawn, lesions), [0.0, 0.25, 1.0])


def test_a_pixel_on_every_healthy_slice_does_not_outweigh_a_better_mask() -> None:
    """Epochs 16 and 24 of the demo: the later one finds lesions and classes better, and marks specks here and there."""
    from edgebrain.training.measure import selection_score

    early = {"dice": 0.546, "accuracy": 0.436, "healthy_marked": 0.167, "healthy_false_area": 0.024}
    late = {"dice": 0.693, "accuracy": 0.544, "healthy_marked": 0.556, "healthy_false_area": 0.129}
    assert selection_score(late) > selection_score(early)
    flooded = {**late, "healthy_marked": 1.0, "healthy_false_area": 1.0}
    assert selection_score(flooded) < selection_score(early), "large false lesions do outweigh it"
    speckled = {**late, "healthy_marked": 1.0}
    assert selection_score(speckled) == selection_score(late), "one pixel more on each slice is no jump"


def test_the_best_epoch_is_the_one_whose_weights_are_kept(
    trained: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgebrain.training import loop

    # Asked twice an epoch, of the training and of the validation side.
    given = iter(np.repeat([(0.5, 0.1), (0.7, 0.2), (0.6, 0.2)], 2, axis=0).tolist())
    real = loop.measure

    def measure(*arguments: Any, **options: Any) -> dict[str, float]:
        dice, area = next(given)
        marked = {"healthy_marked": float(dice > 0.65), "healthy_false_area": area}
        return {**real(*arguments, **options), "dice": dice, "accuracy": 0.5, **marked}

    kept = {}

    class Kept(loop.Listener):
        def epoch(self, entry: dict[str, Any]) -> None:
            kept[entry["epoch"]] = (tmp_path / "run" / "last.weights.h5").read_bytes()

    monkeypatch.setattr(loop, "measure", measure)
    bundle = train(tmp_path / "run", trained, epochs=3, listener=Kept())
    assert weights(bundle) == kept[2] and len(set(kept.values())) == 3


def test_pack_and_split_are_made_once_and_the_recipe_is_parsed_once(
    trained: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from edgebrain import recipe
    from edgebrain.cli import main
    from edgebrain.training import loop

    counts: Counter[str] = Counter()

    def counted(module: Any, name: str) -> None:
        real = getattr(module, name)

        def call(*arguments: Any, **options: Any) -> Any:
            counts[name] += 1
            return real(*arguments, **options)

        monkeypatch.setattr(module, name, call)

    for module, name in ((loop, "open_pack"), (loop, "make_split"), (recipe, "read_toml")):
        counted(module, name)
    words = ["train", str(trained.recipe), "--data", str(trained.phantoms), "--epochs", "1"]
    with pytest.raises(SystemExit) as ended:
        main([*words, "--out", str(tmp_path / "run")])
    assert ended.value.code == 0, capsys.readouterr().err
    assert counts == {"open_pack": 1, "make_split": 1, "read_toml": 1}
    counts.clear()
    with pytest.raises(SystemExit) as ended:
        main(["train", "--resume", str(tmp_path / "run")])
    assert ended.value.code == 0 and counts == {"open_pack": 1, "read_toml": 1}
