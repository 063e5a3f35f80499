"""Recipe + data set -> run folder: pack, split, epochs with a checkpoint each, then the float bundle.

Metrics of an epoch are taken after it, at the network's size and without augmentation, on the validation side and
on a fixed sample of the training side of the same length; so the two can be compared. The native-resolution
figures come from `edgebrain evaluate`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from edgebrain.bundle import CLASSES, HEALTHY
from edgebrain.data.pack import Pack, open_pack
from edgebrain.data.rejected import as_json, left_out, refuse_losses
from edgebrain.data.sample import Dataset
from edgebrain.data.split import SIDES, Split, make_split
from edgebrain.errors import BadData, BadRun
from edgebrain.evaluation import metrics
from edgebrain.files import whole_folder, write_bytes, write_json, write_text
from edgebrain.model.network import build, set_weights_by_layer, weights_by_layer, weights_bytes
from edgebrain.recipe import TrainPart, TrainRecipe, load_train_recipe
from edgebrain.runs import read_run
from edgebrain.settings import as_toml
from edgebrain.training.batches import Batches
from edgebrain.training.checkpoint import CHECKPOINT, load_checkpoint, save_checkpoint
from edgebrain.training.curves import draw_curves
from edgebrain.training.float_bundle import write_float_bundle
from edgebrain.training.losses import mask_loss
from edgebrain.training.precision import compute_policy, versions

HISTORY = "history.json"
OVERLAPS = ("dice", "iou", "pixel_accuracy", "sensitivity", "specificity")
BEST, LAST = "best.weights.h5", "last.weights.h5"


class Listener:
    """Who is told how far the run is. This one does nothing; the command line's draws bars."""

    def progress(self, what: str, done: int, total: int) -> None:
        """A slice was decoded, or scored at native resolution."""

    def step(self, epoch: int, epochs: int, done: int, total: int, loss: float) -> None:
        """A batch was learnt from."""

    def epoch(self, entry: dict[str, Any]) -> None:
        """An epoch ended; `entry` is what history.json holds of it."""

    def say(self, line: str) -> None:
        """There is something to know of the data."""


def start_run(
    recipe: TrainRecipe,
    dataset: Dataset,
    groups: Path | None,
    run: Path,
    listener: Listener,
    allow_rejected: bool = False,
) -> None:
    """Make the pack and the split and lay the run folder. allow_rejected: however many slices cannot be used.

    Raises BadData: also where a class or more than a tenth of the masks is lost. CannotWrite.
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


def split_of(pack: Pack, recipe: TrainRecipe) -> Split:
    """The recipe's grouped split of a pack."""
    shares = (1.0 - recipe.split.validation - recipe.split.test, recipe.split.validation, recipe.split.test)
    labels = [CLASSES[label] for label in pack.labels]
    return make_split(pack.names, labels, pack.planes, pack.groups, recipe.split.seed, shares)


def finish_run(run: Path, dataset: Dataset, listener: Listener) -> Path:
    """Train from the last checkpoint (or from nothing) to the end and write the float bundle; returns its folder.

    Raises BadRun: the data are not those the run was started with. BadData: training gives NaN.
    """
    recipe = load_train_recipe(str(run / "recipe.toml"))
    pack = open_pack(dataset, recipe.model.side, listener.progress)
    entry = read_run(run)
    if entry["data"]["sha256"] != pack.sha256:
        raise BadRun(
            f"{dataset.root}: is not the data that {run} was started with", "pass the same --data, or start a new run"
        )
    lost = left_out(pack.rejected, len(dataset.records), dataset.root)
    for line in (dataset.encoding.describe(), lost):
        if line:
            listener.say(line)
    split = Split.read(run / "split.json")
    bundle = run / "float"
    if not bundle.exists():
        _fit(recipe, pack, split, run, listener)
        validation = dataset.named(split.names_of("val"))
        write_float_bundle(run, recipe, pack, split, (run / BEST).read_bytes(), validation, listener.progress)
    return bundle


def _fit(recipe: TrainRecipe, pack: Pack, split: Split, run: Path, listener: Listener) -> None:
    keras.utils.set_random_seed(recipe.train.seed)
    policy = keras.mixed_precision.global_policy() if hasattr(keras.mixed_precision, "global_policy") else None
    keras.mixed_precision.set_global_policy(compute_policy(recipe.train.precision))
    try:
        _fit_under_policy(recipe, pack, split, run, listener)
    finally:
        keras.mixed_precision.set_global_policy(policy or "float32")


def _fit_under_policy(recipe: TrainRecipe, pack: Pack, split: Split, run: Path, listener: Listener) -> None:
    spec = recipe.model.spec()
    rows = {side: pack.index(split.names_of(side)) for side in ("train", "val")}
    batches = Batches(pack, rows["train"], recipe.train.batch, spec.classes, recipe.train.seed, recipe.augment)
    # Saved from a network without optimizer: Keras would put its slots, twice the weights, into the file.
    plain = build(spec, keras)
    model = compiled(build(spec, keras), recipe.train, len(batches), recipe.train.epochs)
    state: dict[str, Any] = {"epoch": 0, "best": -1.0, "since_best": 0, "history": []}
    if (run / CHECKPOINT).is_file():
        state = load_checkpoint(run / CHECKPOINT, model)
    sample = rows["train"][:: max(1, len(rows["train"]) // max(1, len(rows["val"])))]
    while state["epoch"] < recipe.train.epochs and state["since_best"] < recipe.train.patience:
        number = state["epoch"]
        loss = learn_epoch(model, batches, number, recipe.train.epochs, listener)
        entry = {
            "epoch": number + 1,
            "learning_rate": _rate(model),
            "loss": loss,
            "train": measure(model, pack, sample, recipe.train),
            "val": measure(model, pack, rows["val"], recipe.train),
        }
        set_weights_by_layer(plain, weights_by_layer(model))
        state = _after_epoch(state, entry, model, weights_bytes(plain), run)
        listener.epoch(entry)


def compiled(model: Any, part: TrainPart, steps: int, epochs: int) -> Any:
    """The model with optimizer and losses, its optimizer's variables made. steps: batches an epoch."""
    model.compile(
        optimizer=keras.optimizers.Adam(_schedule(part, steps, epochs)),
        loss=[mask_loss(part.mask_cross_entropy), "categorical_crossentropy"],
        loss_weights=[1.0, part.class_weight],
        # Slower than the plain graph on CPUs; "auto" would turn it on for some backends.
        jit_compile=keras.backend.backend() == "jax",
    )
    model.optimizer.build(model.trainable_variables)
    return model


def learn_epoch(model: Any, batches: Batches, number: int, epochs: int, listener: Listener) -> float:
    """One pass over the training side; returns the mean loss. Raises BadData when the loss is no number."""
    total = 0.0
    for done, batch in enumerate(batches.epoch(number), start=1):
        loss = float(model.train_on_batch(batch.images, [batch.masks, batch.labels], return_dict=True)["loss"])
        if not math.isfinite(loss):
            raise BadData(
                f"the loss became {loss} in epoch {number + 1}, step {done}", "lower train.learning_rate in the recipe"
            )
        total += loss
        listener.step(number + 1, epochs, done, len(batches), total / done)
    return total / len(batches)


def measure(
    model: Any, pack: Pack, rows: Sequence[int] | np.ndarray, part: TrainPart, size: int = 32
) -> dict[str, float | None]:
    """Loss and the reference metrics at the network's size. rows: positions in the pack. size: slices a batch.

    Overlap metrics are means over tumour slices; healthy_marked is the share of healthy slices with a lesion pixel.
    None where there is no such slice.
    """
    rows = np.asarray(rows)
    masks, labels = predicted(model, pack, rows, size)
    truth = pack.masks[rows]
    wanted = np.eye(labels.shape[1], dtype=np.float32)[pack.labels[rows]]
    overlap_loss = keras.ops.convert_to_numpy(
        mask_loss(part.mask_cross_entropy)(truth[..., None] / np.float32(255.0), masks[..., None])
    )
    class_loss = -np.log(np.clip((labels * wanted).sum(axis=1), 1e-7, 1.0))
    loss = float(overlap_loss.mean() + part.class_weight * class_loss.mean())
    drawn, real = masks >= 0.5, truth >= 128
    tumour = pack.labels[rows] != CLASSES.index(HEALTHY)
    overlap = {name: getattr(metrics, name)(drawn[tumour], real[tumour]) for name in OVERLAPS}
    return {
        "loss": loss,
        **{name: _mean(values) for name, values in overlap.items()},
        "accuracy": float((labels.argmax(axis=1) == pack.labels[rows]).mean()),
        "healthy_marked": _mean(drawn[~tumour].any(axis=(1, 2)).astype(np.float64)),
    }


def _mean(values: np.ndarray) -> float | None:
    """The mean of what is known, (N,) float64; None of nothing, because no file holds NaN."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None


def predicted(model: Any, pack: Pack, rows: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Mask (N, side, side) and class (N, classes) probabilities, float32."""
    parts = [model.predict_on_batch(images) for images in _images(pack, rows, size)]
    masks = np.concatenate([np.asarray(mask)[..., 0] for mask, _ in parts])[: len(rows)]
    return masks.astype(np.float32), np.concatenate([np.asarray(label) for _, label in parts])[: len(rows)]


def score(entry: Mapping[str, float | None]) -> float:
    """What the best epoch is chosen by: the mean of tumour Dice, class accuracy and healthy slices left unmarked, of
    those that there are."""
    marked = entry["healthy_marked"]
    parts = [entry["dice"], entry["accuracy"], None if marked is None else 1.0 - marked]
    known = [part for part in parts if part is not None]
    return sum(known) / len(known)


def _images(pack: Pack, rows: np.ndarray, size: int) -> Iterator[np.ndarray]:
    for start in range(0, len(rows), size):
        images = pack.images[rows[start : start + size]].astype(np.float32)[..., None] / 255.0
        # One shape for all batches: another shape would be traced and compiled again.
        yield np.pad(images, ((0, size - len(images)), (0, 0), (0, 0), (0, 0)))


def _after_epoch(state: dict[str, Any], entry: dict[str, Any], model: Any, weights: bytes, run: Path) -> dict[str, Any]:
    """Write what the epoch leaves. The checkpoint is last: a kill before it repeats the epoch with equal results."""
    value = score(entry["val"])
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


def _schedule(part: TrainPart, steps: int, epochs: int) -> Any:
    if part.schedule == "constant":
        return part.learning_rate
    warm = steps if epochs > 1 else 0
    return keras.optimizers.schedules.CosineDecay(
        part.learning_rate * 0.1 if warm else part.learning_rate,
        max(1, steps * epochs - warm),
        alpha=0.01,
        warmup_target=part.learning_rate if warm else None,
        warmup_steps=warm,
    )


def _rate(model: Any) -> float:
    return float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))
