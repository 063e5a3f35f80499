"""The figures of an epoch, at the network's size and without augmentation, and how the best epoch is chosen by them.

The figures at the slices' own size come from `edgebrain evaluate`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from edgebrain.bundle import CLASSES, HEALTHY
from edgebrain.data.pack import Pack
from edgebrain.evaluation import metrics
from edgebrain.recipe import TrainPart
from edgebrain.training.losses import mask_loss

OVERLAPS = ("dice", "iou", "pixel_accuracy", "sensitivity", "specificity")


def measure(
    model: Any, pack: Pack, rows: Sequence[int] | np.ndarray, part: TrainPart, size: int = 32
) -> dict[str, float | None]:
    """Loss and metrics of some slices of a pack.

    Args:
        model: A Keras model with the outputs [mask, class].
        pack: The images, masks and classes.
        rows: (N,) indices into the pack.
        part: Weights of the losses.
        size: Slices a batch.

    Returns:
        loss; the overlap metrics, each a mean over tumour slices in [0, 1]; accuracy, of the class, in [0, 1];
        healthy_marked, the share of healthy slices with a lesion pixel; healthy_false_area, the marked area of healthy
        slices in units of the mean true lesion, in [0, 1]. None where there is no such slice.
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
    drawn, lesions = masks >= 0.5, truth >= 128
    tumour = pack.labels[rows] != CLASSES.index(HEALTHY)
    overlap = {name: getattr(metrics, name)(drawn[tumour], lesions[tumour]) for name in OVERLAPS}
    return {
        "loss": loss,
        **{name: _mean(values) for name, values in overlap.items()},
        "accuracy": float((labels.argmax(axis=1) == pack.labels[rows]).mean()),
        "healthy_marked": _mean(drawn[~tumour].any(axis=(1, 2)).astype(np.float64)),
        "healthy_false_area": _mean(false_area(drawn[~tumour], lesions[tumour])),
    }


def predicted(model: Any, pack: Pack, rows: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """A model's answers for some slices of a pack.

    Args:
        model: A Keras model with the outputs [mask, class].
        pack: The images.
        rows: (N,) indices into the pack.
        size: Slices a batch.

    Returns:
        Mask probabilities, (N, side, side), and class probabilities, (N, classes), both float32 in [0, 1].
    """
    parts = [model.predict_on_batch(images) for images in _batches(pack, rows, size)]
    masks = np.concatenate([np.asarray(mask)[..., 0] for mask, _ in parts])[: len(rows)]
    return masks.astype(np.float32), np.concatenate([np.asarray(label) for _, label in parts])[: len(rows)]


def false_area(drawn: np.ndarray, lesions: np.ndarray) -> np.ndarray:
    """Marked area of healthy slices in units of the mean true lesion, at most 1.

    Args:
        drawn: (N, H, W) bool, predicted masks of healthy slices.
        lesions: (M, H, W) bool, true masks of tumour slices of the same side.

    Returns:
        (N,) float64 in [0, 1]; 1 for a slice on which as much is marked as a mean lesion has, or more. Without tumour
        slices the unit is one pixel.
    """
    lesion_pixels = lesions.sum() / max(1, len(lesions))
    return np.minimum(1.0, drawn.sum(axis=(1, 2)) / max(1.0, lesion_pixels))


def selection_score(figures: Mapping[str, float | None]) -> float:
    """What the best epoch is chosen by; larger is better.

    The mean of three figures of the validation side, of those that exist: Dice on tumour slices, class accuracy, and
    1 - healthy_false_area. Each moves in small steps: a pixel more or less changes the first and the third by less
    than a thousandth. `healthy_marked` is not among them, because one pixel marks a slice: a network that is nowhere
    near a lesion on healthy slices jumped from 17 to 92 % within an epoch by it, and the demo kept an epoch with a Dice
    of 0.55 although a later one had 0.69 (see docs/explanation/training.md).

    Args:
        figures: As `measure` gives them.

    Returns:
        In [0, 1].
    """
    area = figures["healthy_false_area"]
    parts = [figures["dice"], figures["accuracy"], None if area is None else 1.0 - area]
    known = [part for part in parts if part is not None]
    return sum(known) / len(known)


def _mean(values: np.ndarray) -> float | None:
    """The mean of what is known, (N,) float64; None of nothing, because JSON has no NaN."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None


def _batches(pack: Pack, rows: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """(size, side, side, 1) float32 in [0, 1] each; the last one is filled up with black slices."""
    for start in range(0, len(rows), size):
        images = pack.images[rows[start : start + size]].astype(np.float32)[..., None] / 255.0
        # One shape for all batches: another shape would be traced and compiled again.
        yield np.pad(images, ((0, size - len(images)), (0, 0), (0, 0), (0, 0)))
