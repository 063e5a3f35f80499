"""The score of each slice, and the figures that are derived from them. A mean can always be recomputed.

Tumour and healthy slices are never averaged together: overlap is a mean over tumour slices that have a mask; healthy
slices are judged by whether anything was marked in them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from edgebrain.bundle import CLASSES
from edgebrain.errors import BadData
from edgebrain.evaluation import metrics

HEALTHY = "no_tumor"
OVERLAPS = ("dice", "iou", "pixel_accuracy", "sensitivity", "specificity")


@dataclass(frozen=True)
class ImageScore:
    """One slice, judged at its own size.

    label, predicted: class names. class_probabilities: in the order of the model's classes. The overlaps follow
    `metrics`: NaN where they are not defined, and all NaN where nobody drew a mask (true_area None).
    true_area, predicted_area, pixels: in pixels of the slice.
    """

    name: str
    group: str
    label: str
    plane: str
    predicted: str
    class_probabilities: tuple[float, ...]
    dice: float
    iou: float
    pixel_accuracy: float
    sensitivity: float
    specificity: float
    true_area: int | None
    predicted_area: int
    pixels: int

    def as_json(self) -> dict[str, Any]:
        """The score as JSON object; NaN becomes null, because JSON has none."""
        entry = asdict(self)
        entry["class_probabilities"] = list(self.class_probabilities)
        return {key: None if _is_nan(value) else value for key, value in entry.items()}

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> ImageScore:
        """The score of a JSON object; null becomes NaN. Raises BadData: a field is missing or of another type."""
        try:
            values = {field.name: entry[field.name] for field in fields(cls)}
            values["class_probabilities"] = tuple(float(value) for value in values["class_probabilities"])
            for key in OVERLAPS:
                values[key] = math.nan if values[key] is None else float(values[key])
        except (KeyError, TypeError, ValueError) as problem:
            raise BadData(f"a per-image score lacks or garbles {problem}", "write the scores again") from problem
        return cls(**values)

    @property
    def is_tumour(self) -> bool:
        """True where the slice's label is a tumour."""
        return self.label != HEALTHY


def score_image(
    name: str,
    group: str,
    label: str,
    plane: str,
    classes: Sequence[str],
    predicted_mask: np.ndarray,
    true_mask: np.ndarray | None,
    class_probabilities: Sequence[float] | np.ndarray,
) -> ImageScore:
    """Judge one slice.

    Args: classes: names in the order of class_probabilities, (classes,) in [0, 1]. predicted_mask: (H, W) bool.
    true_mask: (H, W) bool, or None where nobody drew one.
    Raises BadData: the masks differ in size, or there are not as many probabilities as classes.
    """
    probabilities = tuple(float(value) for value in class_probabilities)
    if len(probabilities) != len(classes):
        raise BadData(f"{name}: {len(probabilities)} probabilities for {len(classes)} classes", "check the bundle")
    return ImageScore(
        name=name,
        group=group,
        label=label,
        plane=plane,
        predicted=classes[int(np.argmax(probabilities))],
        class_probabilities=probabilities,
        **_overlaps(predicted_mask, true_mask),
        true_area=None if true_mask is None else int(np.count_nonzero(true_mask)),
        predicted_area=int(np.count_nonzero(predicted_mask)),
        pixels=int(predicted_mask.size),
    )


def summarise(scores: Sequence[ImageScore], classes: Sequence[str] = CLASSES) -> dict[str, Any]:
    """The figures of a list of scores, ready for JSON; None where there is nothing to judge.

    dice, iou, pixel_accuracy, sensitivity, specificity: means over tumour slices that have a mask.
    accuracy: share of all slices whose class is right. f1: one per class, None for a class that neither occurs nor was
    predicted. macro_f1: mean over the others. confusion: counts, rows true, columns predicted, ordered as `classes`.
    healthy_marked: share of healthy slices with any lesion pixel. missed_tumours: share of tumour slices without one.
    counts: slices, tumours, tumours_with_mask, healthy.
    Raises BadData: a label that is not among `classes`.
    """
    tumours = [score for score in scores if score.is_tumour]
    healthy = [score for score in scores if not score.is_tumour]
    drawn = [score for score in tumours if score.true_area]
    matrix = confusion(scores, classes)
    f1 = dict(zip(classes, _f1(matrix), strict=True))
    return {
        **{key: _mean(getattr(score, key) for score in drawn) for key in OVERLAPS},
        "accuracy": _mean(score.predicted == score.label for score in scores),
        "f1": f1,
        "macro_f1": _mean(value for value in f1.values() if value is not None),
        "confusion": matrix.tolist(),
        "classes": list(classes),
        "healthy_marked": _mean(score.predicted_area > 0 for score in healthy),
        "missed_tumours": _mean(score.predicted_area == 0 for score in tumours),
        "counts": {
            "slices": len(scores),
            "tumours": len(tumours),
            "tumours_with_mask": len(drawn),
            "healthy": len(healthy),
        },
    }


def by(scores: Sequence[ImageScore], key: str) -> dict[str, list[ImageScore]]:
    """The scores by the value of a field (`label`, `plane`, `group`), sorted by that value."""
    values = sorted({str(getattr(score, key)) for score in scores})
    return {value: [score for score in scores if str(getattr(score, key)) == value] for value in values}


def confusion(scores: Iterable[ImageScore], classes: Sequence[str] = CLASSES) -> np.ndarray:
    """Counts of (true, predicted) class, (classes, classes) int64. Raises BadData: a label not among `classes`."""
    place = {name: index for index, name in enumerate(classes)}
    matrix = np.zeros((len(classes), len(classes)), dtype=np.int64)
    for score in scores:
        if score.label not in place or score.predicted not in place:
            raise BadData(
                f"{score.name}: class {score.label} or {score.predicted} is not one of {', '.join(classes)}",
                "judge a bundle on data of its own classes",
            )
        matrix[place[score.label], place[score.predicted]] += 1
    return matrix


def _overlaps(predicted: np.ndarray, truth: np.ndarray | None) -> dict[str, float]:
    if truth is None:
        return dict.fromkeys(OVERLAPS, math.nan)
    counts = metrics.count_pixels(predicted[np.newaxis], truth[np.newaxis])
    return {
        "dice": float(metrics.dice_of(counts)[0]),
        "iou": float(metrics.iou_of(counts)[0]),
        "pixel_accuracy": float(metrics.pixel_accuracy_of(counts)[0]),
        "sensitivity": float(metrics.sensitivity_of(counts)[0]),
        "specificity": float(metrics.specificity_of(counts)[0]),
    }


def _f1(matrix: np.ndarray) -> list[float | None]:
    """2 TP / (2 TP + FP + FN) of each class, which is 2 TP over the sum of its row and its column."""
    right, either = np.diag(matrix), matrix.sum(axis=0) + matrix.sum(axis=1)
    return [float(2 * hit / both) if both else None for hit, both in zip(right, either, strict=True)]


def _mean(values: Iterable[float]) -> float | None:
    """The mean, summed without rounding so that the order of the slices cannot change it; None of nothing."""
    known = list(values)
    return math.fsum(known) / len(known) if known else None


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)
