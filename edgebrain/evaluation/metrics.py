"""Overlap of a predicted and a true lesion, one figure per slice, from counts of pixels at the slice's own size.

Empty masks: where both are empty, overlap (Dice, IoU) is NaN: a healthy slice is no perfect score. Where only one is
empty it is 0. Sensitivity is NaN without a true lesion, specificity is NaN where all is lesion.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgebrain.errors import BadData


@dataclass(frozen=True)
class Counts:
    """Pixels per slice, each (N,) int64: lesion found, healthy called lesion, lesion missed, healthy left alone."""

    true_positive: np.ndarray
    false_positive: np.ndarray
    false_negative: np.ndarray
    true_negative: np.ndarray


def count_pixels(predicted: np.ndarray, truth: np.ndarray) -> Counts:
    """The four counts of each slice.

    Args: predicted, truth: (N, H, W) bool, at the slices' own size.
    Raises BadData: N, H or W differ, or the arrays are not (N, H, W) bool.
    """
    _check(predicted, truth)
    found = np.count_nonzero(predicted & truth, axis=(1, 2))
    marked = np.count_nonzero(predicted, axis=(1, 2))
    lesion = np.count_nonzero(truth, axis=(1, 2))
    pixels = truth.shape[1] * truth.shape[2]
    return Counts(found, marked - found, lesion - found, pixels - marked - lesion + found)


def dice(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """2 TP / (2 TP + FP + FN) (Dice 1945).

    Args: predicted, truth: (N, H, W) bool. Returns: (N,) float64 in [0, 1]; NaN where both are empty.
    Raises BadData: the shapes differ.
    """
    return dice_of(count_pixels(predicted, truth))


def iou(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """TP / (TP + FP + FN), the Jaccard index.

    Args: predicted, truth: (N, H, W) bool. Returns: (N,) float64 in [0, 1]; NaN where both are empty.
    Raises BadData: the shapes differ.
    """
    return iou_of(count_pixels(predicted, truth))


def pixel_accuracy(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(TP + TN) / all pixels. High for an empty answer too: most of a slice is never lesion.

    Args: predicted, truth: (N, H, W) bool. Returns: (N,) float64 in [0, 1].
    Raises BadData: the shapes differ.
    """
    return pixel_accuracy_of(count_pixels(predicted, truth))


def sensitivity(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """TP / (TP + FN), the share of the lesion that was found.

    Args: predicted, truth: (N, H, W) bool. Returns: (N,) float64 in [0, 1]; NaN without a true lesion.
    Raises BadData: the shapes differ.
    """
    return sensitivity_of(count_pixels(predicted, truth))


def specificity(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """TN / (TN + FP), the share of the rest that was left alone.

    Args: predicted, truth: (N, H, W) bool. Returns: (N,) float64 in [0, 1]; NaN where all is lesion.
    Raises BadData: the shapes differ.
    """
    return specificity_of(count_pixels(predicted, truth))


def dice_of(counts: Counts) -> np.ndarray:
    """Dice from counts, (N,) float64; NaN where both masks are empty."""
    return _ratio(2 * counts.true_positive, 2 * counts.true_positive + counts.false_positive + counts.false_negative)


def iou_of(counts: Counts) -> np.ndarray:
    """Jaccard index from counts, (N,) float64; NaN where both masks are empty."""
    return _ratio(counts.true_positive, counts.true_positive + counts.false_positive + counts.false_negative)


def pixel_accuracy_of(counts: Counts) -> np.ndarray:
    """Pixel accuracy from counts, (N,) float64."""
    right = counts.true_positive + counts.true_negative
    return _ratio(right, right + counts.false_positive + counts.false_negative)


def sensitivity_of(counts: Counts) -> np.ndarray:
    """Sensitivity from counts, (N,) float64; NaN without a true lesion."""
    return _ratio(counts.true_positive, counts.true_positive + counts.false_negative)


def specificity_of(counts: Counts) -> np.ndarray:
    """Specificity from counts, (N,) float64; NaN where all is lesion."""
    return _ratio(counts.true_negative, counts.true_negative + counts.false_positive)


def _check(predicted: np.ndarray, truth: np.ndarray) -> None:
    # An integer mask of 0 and 255 would pass through `&` and `count_nonzero` with plausible, wrong figures.
    for name, mask in (("predicted", predicted), ("true", truth)):
        if mask.ndim != 3 or mask.dtype != np.bool_:
            raise BadData(f"the {name} masks are {mask.dtype} of shape {mask.shape}", "pass bool masks, (N, H, W)")
    if predicted.shape != truth.shape:
        raise BadData(
            f"the predicted masks are {predicted.shape}, the true ones {truth.shape}", "score at the slices' own size"
        )


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """part / whole as float64; NaN where whole is 0."""
    shares = np.full(whole.shape, np.nan)
    np.divide(part, whole, out=shares, where=whole > 0)
    return shares
