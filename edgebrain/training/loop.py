"""Recipe and data set -> run folder: pack and split, epochs with a checkpoint each, then the float bundle.

The figures of an epoch are taken after it, on the validation side and on a fixed sample of the training side of the
same length, so that the two can be compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from edgebrain.bundle import CLASSES
from edgebrain.data.pack import Pack, open_pack
from edgebrain.data.rejected import as_json, left_out, refuse_losses
from edgebrain.data.sample import Dataset
from edgebrain.data.split import SIDES, Split, make_split
from edgebrain.errors import BadRun
from edgebrain.files import whole_folder, write_bytes, write_json, write_text
from edgebrain.model.network import set_weights_by_layer, weights_by_layer, weights_bytes
from edgebrain.recipe import TrainRecipe
from edgebrain.runs import read_run
from edgebrain.settings import as_toml
from edgebrain.training.batches import Batches
from edgebrain.training.checkpoint import CHECKPOINT, load_checkpoint, save_checkpoint
from edgebrain.training.curves import draw_curves
from edgebrain.training.epochs import compiled, learn_epoch, learning_rate
from edgebrain.training.float_bundle import write_float_bundle
from edgebrain.training.measure import measure, selection_score
from edgebrain.training.precision import compute_policy, versions

HISTORY = "history.json"
BEST, LAST = "best.weights.h5", "last.weights.h5"


class Listener:
    """Callbacks of a training run. These ignore every call; the command line's draw bars."""

    def progress(self, what: str, done: int, total: int) -> None:
        """A slice was decoded, or scored at native resolution."""

    def step(self, epoch: int, epochs: int, done: int, total: int, loss: float) -> None:
        """A batch was learnt from. epoch: counted from 1. loss: mean of the epoch so far."""

    def epoch(self, entry: dict[str, Any]) -> None:
        """An epoch ended. entry: what history.json holds of it."""

    def say(self, line: str) -> None:
        """Something about the data that a person should know."""


@dataclass(frozen=True)
class PreparedRun:
    """A run folder with its data, ready to be trained.

    Attributes:
        path: The run folder.
        recipe: What to train.
        dataset: On which data.
        pack: Its images at the network's size.
        split: Which slice is on which side.
    """

    path: Path
    recipe: TrainRecipe
    dataset: Dataset
    pack: Pack
    split: Split


def start_run(
    recipe: TrainRecipe,
    dataset: Dataset,
    groups: Path | None,
    run: Path,
    listener: Listener,
    allow_rejected: bool = False,
) -> PreparedRun:
    """Make the pack and the split, and write the run folder.

    Args:
        recipe: What to train.
        dataset: On which data.
        groups: The groups file that was named, for the record.
        run: The folder, which must not exist.
        listener: Callbacks.
        allow_rejected: Go on however many slices cannot be used.

    Raises:
        BadData: The data cannot be split, or a class or more than a tenth of the masks is lost.
        CannotWrite: The folder exists, or the disk refuses.
    """
    pack = open_pack(dataset, recipe.model.side, listener.progress)
    refuse_losses(dataset.records, pack.rejected, dataset.root, allow_rejected)
    split = split_of(pack, recipe)
    entry = {
        "schema": 1,
        "name": run.name,
        "recipe": {"name": recipe.name, "sha256": recipe.sha256},
        "data": {
            "path": str(dataset.root.resolve()),
            "kind": dataset.kind,
            "groups": str(groups.resolve()) if groups else None,
            "sha256": pack.sha256,
            "slices": len(pack.names),
            "mask_encoding": dataset.encoding.as_json(),
            **as_json(pack.rejected, len(dataset.records), dataset.root),
            "allow_rejected": allow_rejected,
        },
        "split": {"sha256": split.sha256, "slices": {side: len(split.names_of(side)) for side in SIDES}},
        "backend": keras.backend.backend(),
        "versions": versions(),
    }
    with whole_folder(run) as part:
        write_json(part / "run.json", entry)
        write_text(part / "recipe.toml", as_toml(recipe))
        split.write(part / "split.json")
    return PreparedRun(run, recipe, dataset, pack, split)


def resume_run(run: Path, recipe: TrainRecipe, dataset: Dataset, listener: Listener) -> PreparedRun:
    """Open a run folder to go on with.

    Args:
        run: The folder.
        recipe: The content of its recipe.toml.
        dataset: The data that it was started with.
        listener: Callbacks.

    Raises:
        BadRun: It is no run, or the data are not those that it was started with.
    """
    pack = open_pack(dataset, recipe.model.side, listener.progress)
    if read_run(run)["data"]["sha256"] != pack.sha256:
        raise BadRun(
            f"{dataset.root}: is not the data that {run} was started with", "pass the same --data, or start a new run"
        )
    return PreparedRun(run, recipe, dataset, pack, Split.read(run / "split.json"))


def split_of(pack: Pack, recipe: TrainRecipe) -> Split:
    """The recipe's grouped split of a pack.

    Raises:
        BadData: There are too few slices or groups.
    """
    shares = (1.0 - recipe.split.validation - recipe.split.test, recipe.split.validation, recipe.split.test)
    labels = [CLASSES[label] for label in pack.labels]
    return make_split(pack.names, labels, pack.planes, pack.groups, recipe.split.seed, shares)


def finish_run(run: PreparedRun, listener: Listener) -> Path:
    """Train from the last checkpoint, or from nothing, to the end, and write the float bundle.

    Args:
        run: What `start_run` or `resume_run` prepared.
        listener: Callbacks.

    Returns:
        The float bundle's folder.

    Raises:
        BadData: The loss became NaN or infinite.
        BadRun: The checkpoint is damaged, or of another network.
    """
    lost = left_out(run.pack.rejected, len(run.dataset.records), run.dataset.root)
    for line in (run.dataset.encoding.describe(), lost):
        if line:
            listener.say(line)
    bundle = run.path / "float"
    if not bundle.exists():
        _fit(run, listener)
        validation = run.dataset.named(run.split.names_of("val"))
        weights = (run.path / BEST).read_bytes()
        write_float_bundle(run.path, run.recipe, run.pack, run.split, weights, validation, listener.progress)
    return bundle


def _fit(run: PreparedRun, listener: Listener) -> None:
    """Train under the recipe's precision, and give Keras its own policy back."""
    keras.utils.set_random_seed(run.recipe.train.seed)
    policy = keras.mixed_precision.global_policy() if hasattr(keras.mixed_precision, "global_policy") else None
    keras.mixed_precision.set_global_policy(compute_policy(run.recipe.train.precision))
    try:
        _fit_under_policy(run, listener)
    finally:
        keras.mixed_precision.set_global_policy(policy or "float32")


def _fit_under_policy(run: PreparedRun, listener: Listener) -> None:
    recipe, pack = run.recipe, run.pack
    spec, part = recipe.model.spec(), recipe.train
    rows = {side: pack.index(run.split.names_of(side)) for side in ("train", "val")}
    batches = Batches(pack, rows["train"], part.batch, spec.classes, part.seed, recipe.augment)
    # Saved from a network without optimizer: Keras would put its slots, twice the weights, into the file.
    plain = spec.build(keras)
    model = compiled(spec.build(keras), part, len(batches), part.epochs)
    state: dict[str, Any] = {"epoch": 0, "best": -1.0, "since_best": 0, "history": []}
    if (run.path / CHECKPOINT).is_file():
        state = load_checkpoint(run.path / CHECKPOINT, model)
    sample = rows["train"][:: max(1, len(rows["train"]) // max(1, len(rows["val"])))]
    while state["epoch"] < part.epochs and state["since_best"] < part.patience:
        number = state["epoch"]

        def on_step(done: int, loss: float, epoch: int = number + 1) -> None:
            listener.step(epoch, part.epochs, done, len(batches), loss)

        loss = learn_epoch(model, batches, number, on_step)
        entry = {
            "epoch": number + 1,
            "learning_rate": learning_rate(model),
            "loss": loss,
            "train": measure(model, pack, sample, part),
            "val": measure(model, pack, rows["val"], part),
        }
        set_weights_by_layer(plain, weights_by_layer(model))
        state = _after_epoch(state, entry, model, weights_bytes(plain), run.path)
        listener.epoch(entry)


def _after_epoch(state: dict[str, Any], entry: dict[str, Any], model: Any, weights: bytes, run: Path) -> dict[str, Any]:
    """Write what the epoch leaves. The checkpoint is last: a kill before it repeats the epoch with equal results."""
    value = selection_score(entry["val"])
    better = value > state["best"]
    if better:
        write_bytes(run / BEST, weights)
    write_bytes(run / LAST, weights)
    history = [*state["history"], entry]
    write_json(run / HISTORY, history)
    draw_curves(history, run / "curves.png")
    new = {
        "epoch": entry["epoch"],
        "best": value if better else state["best"],
        "since_best": 0 if better else state["since_best"] + 1,
        "history": history,
    }
    save_checkpoint(run / CHECKPOINT, model, new)
    return new
