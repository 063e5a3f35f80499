"""The score of each slice, and the figures that are derived from them. A mean can always be recomputed.

Tumour and healthy slices are never averaged together: overlap is a mean over tumour slices with a mask, and healthy
slices are scored by whether anything was called lesion in them.
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
    """One slice, scored at its own size.

    The overlaps are those of `metrics`: NaN where they are not defined, and all NaN where there is no true mask.

    Attributes:
        name: Of the slice.
        group: Its patient, or the copies of one picture.
        label: Its true class.
        plane: axial, coronal or sagittal.
        predicted: The predicted class.
        class_probabilities: In [0, 1], in the order of the model's classes.
        dice: In [0, 1].
        iou: In [0, 1].
        pixel_accuracy: In [0, 1].
        sensitivity: In [0, 1].
        specificity: In [0, 1].
        true_area: Lesion pixels of the true mask; None where there is no true mask.
        predicted_area: Lesion pixels of the predicted mask.
        pixels: Of the slice.
        hd95_px: See `surface`, in px; NaN also where its library is not installed.
        surface_dice: See `surface`, in [0, 1]; NaN also where its library is not installed.
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
        """The score of a JSON object; null becomes NaN.

        Raises:
            BadData: A field is missing or of another type.
        """
        try:
            values = {field.name: entry[field.name] for field in fields(cls)}
            values["class_probabilities"] = tuple(float(value) for value in values["class_probabilities"])
            for key in (*OVERLAPS, *OUTLINES):
                values[key] = math.nan if values[key] is None else float(values[key])
        except (KeyError, TypeError, ValueError) as problem:
            raise BadData(f"a per-image score: {problem} is missing or malformed", "write it again") from problem
        return cls(**values)

    @property
    def is_tumour(self) -> bool:
        """True where the slice's label is a tumour."""
        return self.label != HEALTHY

    @property
    def is_drawn_tumour(self) -> bool:
        """True where overlap can be measured: a tumour with a lesion in its true mask."""
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
        """True for a tumour of which no pixel was found; where there is a true mask, pixels outside it do not count."""
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
    """Score one slice.

    Args:
        name: Of the slice.
        group: Its patient, or the copies of one picture.
        label: Its true class.
        plane: axial, coronal or sagittal.
        classes: Class names, in the order of the probabilities.
        predicted_mask: (H, W) bool, at the slice's own size.
        true_mask: (H, W) bool, or None where there is none.
        class_probabilities: (classes,) float in [0, 1].

    Raises:
        BadData: The masks differ in size, or there are not as many probabilities as classes.

    Example:
        >>> mask = np.ones((2, 2), bool)
        >>> score = score_image("a.png", "p1", "glioma", "axial", ("glioma", "no_tumor"), mask, mask, (0.9, 0.1))
        >>> score.dice, score.predicted, score.predicted_area
        (1.0, 'glioma', 4)
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


# Figure -> (which slices, value of a slice). Each is a mean over one kind of slice: a mean over tumour and healthy
# slices would change with their proportion in the data set.
FIGURES: dict[str, tuple[Callable[[ImageScore], bool], Callable[[ImageScore], float]]] = {
    **{key: (attrgetter("is_drawn_tumour"), attrgetter(key)) for key in (*OVERLAPS, *OUTLINES)},
    "accuracy": (lambda score: True, attrgetter("is_right")),
    "healthy_marked": (lambda score: not score.is_tumour, attrgetter("is_marked")),
    "healthy_area": (lambda score: not score.is_tumour, attrgetter("marked_share")),
    "missed_tumours": (attrgetter("is_tumour"), attrgetter("is_missed")),
}


def summarise(scores: Sequence[ImageScore], classes: Sequence[str] = CLASSES) -> dict[str, Any]:
    """Summarise scores with every slice counting once.

    Args:
        scores: Of the slices.
        classes: Class names, which order the confusion matrix.

    Returns:
        Figures ready for JSON; None where no slice has such a figure.

        - `dice`, `iou`, `pixel_accuracy`, `sensitivity`, `specificity`, `surface_dice` (fractions of 1) and `hd95_px`
          (px): means over tumour slices with a mask.
        - `accuracy`: share of all slices whose class is right.
        - `f1`: by class, None for a class that neither occurs nor was predicted; `macro_f1`: mean over the others.
        - `confusion`: counts, rows true and columns predicted, in the order of `classes`.
        - `healthy_marked`: share of healthy slices with any lesion pixel; `healthy_area`: mean share of their pixels
          that is called lesion.
        - `missed_tumours`: share of tumour slices of which no pixel was found.
        - `counts`: `slices`, `tumours`, `tumours_with_mask`, `healthy`.

    Raises:
        BadData: A label is not among `classes`.
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
    """The figures with every group counting once, however many slices it has.

    Returns:
        Name of each of FIGURES -> the mean over groups of the means within groups; None where no slice has it.
    """
    return {name: _mean(group_values(scores, name)) for name in FIGURES}


def group_values(scores: Sequence[ImageScore], name: str) -> list[float]:
    """One figure in each group.

    Args:
        scores: Of the slices.
        name: One of FIGURES.

    Returns:
        The mean over each group's slices, in the order in which groups first occur; groups without a value are left
        out.
    """
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
    """Count slices by true and predicted class.

    Args:
        scores: Of the slices.
        classes: Class names, in the wanted order.

    Returns:
        (classes, classes) int64, rows true and columns predicted.

    Raises:
        BadData: A label is not among `classes`.
    """
    index = {name: row for row, name in enumerate(classes)}
    matrix = np.zeros((len(classes), len(classes)), dtype=np.int64)
    for score in scores:
        if score.label not in index or score.predicted not in index:
            raise BadData(
                f"{score.name}: class {score.label} or {score.predicted} is not one of {', '.join(classes)}",
                "score a bundle on data of its own classes",
            )
        matrix[index[score.label], index[score.predicted]] += 1
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
    """The mean of the values that are not NaN; None without one.

    Summed without rounding, so that the order of the slices cannot change the result.
    """
    known = [value for value in values if not math.isnan(value)]
    return math.fsum(known) / len(known) if known else None


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)
