"""The score of each slice, and the figures that are derived from them. A mean can always be recomputed.

Tumour and healthy slices are never averaged together: overlap is a mean over tumour slices that have a mask; healthy
slices are judged by whether anything was marked in them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from operator import attrgetter
from typing import Any

import numpy as np

from edgebrain.bundle import CLASSES, HEALTHY
from edgebrain.errors import BadData
from edgebrain.evaluation import metrics, surface

OVERLAPS = ("dice", "iou", "pixel_accuracy", "sensitivity", "specificity")
OUTLINES = ("hd95_px", "surface_dice")


@dataclass(frozen=True)
class ImageScore:
    """One slice, judged at its own size.

    label, predicted: class names. class_probabilities: in the order of the model's classes. The overlaps follow
    `metrics`: NaN where they are not defined, and all NaN where nobody drew a mask (true_area None).
    true_area, predicted_area, pixels: in pixels of the slice. hd95_px, surface_dice: see `surface`; NaN also where
    its library is not installed.
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
    hd95_px: float = math.nan
    surface_dice: float = math.nan

    def as_json(self) -> dict[str, Any]:
        """The score as JSON object; NaN becomes null, because JSON has none."""
        entry = asdict(self)
        entry["class_probabilities"] = list(self.class_probabilities)
        return {key: None if _is_nan(value) else value for key, value in entry.items()}

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> ImageScore:
        """The score of a JSON object; null becomes NaN. Raises BadData: a field is missing or of another type."""
        try:
            # Scores that were written before the outlines were measured lack these two.
            values = {**dict.fromkeys(OUTLINES), **entry}
            values = {field.name: values[field.name] for field in fields(cls)}
            values["class_probabilities"] = tuple(float(value) for value in values["class_probabilities"])
            for key in (*OVERLAPS, *OUTLINES):
                values[key] = math.nan if values[key] is None else float(values[key])
        except (KeyError, TypeError, ValueError) as problem:
            raise BadData(f"a per-image score lacks or garbles {problem}", "write the scores again") from problem
        return cls(**values)

    @property
    def is_tumour(self) -> bool:
        """True where the slice's label is a tumour."""
        return self.label != HEALTHY

    @property
    def is_drawn_tumour(self) -> bool:
        """True where overlap can be judged: a tumour with a drawn mask."""
        return self.is_tumour and bool(self.true_area)

    @property
    def is_right(self) -> bool:
        """True where the class is right."""
        return self.predicted == self.label

    @property
    def is_marked(self) -> bool:
        """True where any pixel was called lesion."""
        return self.predicted_area > 0

    @property
    def is_missed(self) -> bool:
        """True for a tumour of which no pixel was found; marks elsewhere do not count, where a mask was drawn."""
        return self.is_tumour and (self.sensitivity == 0.0 if self.true_area else not self.is_marked)

    @property
    def marked_share(self) -> float:
        """Share of the slice that was called lesion, in [0, 1]."""
        return self.predicted_area / self.pixels


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
        **_outlines(predicted_mask, true_mask),
        true_area=None if true_mask is None else int(np.count_nonzero(true_mask)),
        predicted_area=int(np.count_nonzero(predicted_mask)),
        pixels=int(predicted_mask.size),
    )


# figure -> (which slices, value of a slice). Each is a mean over its own kind of slice, never over both.
FIGURES: dict[str, tuple[Callable[[ImageScore], bool], Callable[[ImageScore], float]]] = {
    **{key: (attrgetter("is_drawn_tumour"), attrgetter(key)) for key in (*OVERLAPS, *OUTLINES)},
    "accuracy": (lambda score: True, attrgetter("is_right")),
    "healthy_marked": (lambda score: not score.is_tumour, attrgetter("is_marked")),
    "healthy_area": (lambda score: not score.is_tumour, attrgetter("marked_share")),
    "missed_tumours": (attrgetter("is_tumour"), attrgetter("is_missed")),
}


def summarise(scores: Sequence[ImageScore], classes: Sequence[str] = CLASSES) -> dict[str, Any]:
    """The figures of a list of scores, every slice counting once, ready for JSON; None where there is nothing to judge.

    dice, iou, pixel_accuracy, sensitivity, specificity, hd95_px, surface_dice: means over tumour slices that have a
    mask. accuracy: share of all slices whose class is right. f1: one per class, None for a class that neither occurs
    nor was predicted. macro_f1: mean over the others. confusion: counts, rows true, columns predicted, ordered as
    `classes`. healthy_marked: share of healthy slices with any lesion pixel. healthy_area: mean share of a healthy
    slice that is marked. missed_tumours: share of tumour slices of which no pixel was found.
    counts: slices, tumours, tumours_with_mask, healthy.
    Raises BadData: a label that is not among `classes`.
    """
    tumours = [score for score in scores if score.is_tumour]
    matrix = confusion(scores, classes)
    f1 = dict(zip(classes, _f1(matrix), strict=True))
    return {
        **{name: _mean(_values(scores, name)) for name in FIGURES},
        "f1": f1,
        "macro_f1": _mean(value for value in f1.values() if value is not None),
        "confusion": matrix.tolist(),
        "classes": list(classes),
        "counts": {
            "slices": len(scores),
            "tumours": len(tumours),
            "tumours_with_mask": sum(score.is_drawn_tumour for score in tumours),
            "healthy": len(scores) - len(tumours),
        },
    }


def group_means(scores: Sequence[ImageScore]) -> dict[str, float | None]:
    """The same means with every group (patient, copies of one picture) counting once, however many slices it has.

    Returns: a figure for each of FIGURES: slices of one kind are averaged within their group, then the groups.
    """
    return {name: _mean(group_values(scores, name)) for name in FIGURES}


def group_values(scores: Sequence[ImageScore], name: str) -> list[float]:
    """One of FIGURES in each group: the mean over its slices of that kind. What is not known is left out."""
    chosen, value = FIGURES[name]
    groups: dict[str, list[float]] = {}
    for score in scores:
        if chosen(score):
            groups.setdefault(score.group, []).append(float(value(score)))
    means = [_mean(values) for values in groups.values()]
    return [mean for mean in means if mean is not None]


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


def _outlines(predicted: np.ndarray, truth: np.ndarray | None) -> dict[str, float]:
    if truth is None or not surface.installed():
        return dict.fromkeys(OUTLINES, math.nan)
    return dict(zip(OUTLINES, surface.surface_figures(predicted, truth), strict=True))


def _f1(matrix: np.ndarray) -> list[float | None]:
    """2 TP / (2 TP + FP + FN) of each class, which is 2 TP over the sum of its row and its column."""
    right, either = np.diag(matrix), matrix.sum(axis=0) + matrix.sum(axis=1)
    return [float(2 * hit / both) if both else None for hit, both in zip(right, either, strict=True)]


def _values(scores: Sequence[ImageScore], name: str) -> list[float]:
    chosen, value = FIGURES[name]
    return [float(value(score)) for score in scores if chosen(score)]


def _mean(values: Iterable[float]) -> float | None:
    """The mean of what is known, summed without rounding: the order of the slices cannot change it. None of nothing."""
    known = [value for value in values if not math.isnan(value)]
    return math.fsum(known) / len(known) if known else None


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)
