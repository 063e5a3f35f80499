"""Overlap of a predicted and a true lesion, one figure per slice, from counts of pixels at the slice's own size.

Empty masks: where both are empty, overlap (Dice, IoU) is NaN, so that a healthy slice is not a perfect score. Where
only one is empty it is 0. Sensitivity is NaN without a true lesion, specificity is NaN where all is lesion.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgebrain.errors import BadData


@dataclass(frozen=True)
class Counts:
    """Pixels of each slice by what is true and what was predicted.

    Attributes:
        true_positive: (N,) int64, lesion called lesion.
        false_positive: (N,) int64, healthy called lesion.
        false_negative: (N,) int64, lesion called healthy.
        true_negative: (N,) int64, healthy called healthy.
    """

    true_positive: np.ndarray
    false_positive: np.ndarray
    false_negative: np.ndarray
    true_negative: np.ndarray


def count_pixels(predicted: np.ndarray, truth: np.ndarray) -> Counts:
    """Count the pixels of each slice.

    Args:
        predicted: (N, H, W) bool, predicted masks at the slices' own size.
        truth: (N, H, W) bool, true masks.

    Returns:
        The four counts, each (N,) int64.

    Raises:
        BadData: The shapes differ, or the masks are not (N, H, W) bool.

    Example:
        >>> count_pixels(np.array([[[True, True]]]), np.array([[[True, False]]])).false_positive
        array([1])
    """
    _check(predicted, truth)
    found = np.count_nonzero(predicted & truth, axis=(1, 2))
    marked = np.count_nonzero(predicted, axis=(1, 2))
    lesion = np.count_nonzero(truth, axis=(1, 2))
    pixels = truth.shape[1] * truth.shape[2]
    return Counts(found, marked - found, lesion - found, pixels - marked - lesion + found)


def dice(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Dice coefficient, 2 TP / (2 TP + FP + FN) (Dice 1945).

    Args:
        predicted: (N, H, W) bool, predicted masks at the slices' own size.
        truth: (N, H, W) bool, true masks.

    Returns:
        (N,) float64 in [0, 1]; NaN where both masks are empty.

    Raises:
        BadData: The shapes differ, or the masks are not (N, H, W) bool.

    Example:
        >>> dice(np.array([[[True, True]]]), np.array([[[True, False]]]))
        array([0.66666667])
    """
    return dice_of(count_pixels(predicted, truth))


def iou(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Intersection over union (Jaccard index), TP / (TP + FP + FN).

    Args:
        predicted: (N, H, W) bool, predicted masks at the slices' own size.
        truth: (N, H, W) bool, true masks.

    Returns:
        (N,) float64 in [0, 1]; NaN where both masks are empty.

    Raises:
        BadData: The shapes differ, or the masks are not (N, H, W) bool.

    Example:
        >>> iou(np.array([[[True, True]]]), np.array([[[True, False]]]))
        array([0.5])
    """
    return iou_of(count_pixels(predicted, truth))


def pixel_accuracy(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Pixel accuracy, (TP + TN) / all pixels. High for an empty prediction too, since most of a slice is no lesion.

    Args:
        predicted: (N, H, W) bool, predicted masks at the slices' own size.
        truth: (N, H, W) bool, true masks.

    Returns:
        (N,) float64 in [0, 1]; never NaN.

    Raises:
        BadData: The shapes differ, or the masks are not (N, H, W) bool.

    Example:
        >>> pixel_accuracy(np.array([[[True, True]]]), np.array([[[True, False]]]))
        array([0.5])
    """
    return pixel_accuracy_of(count_pixels(predicted, truth))


def sensitivity(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Sensitivity, TP / (TP + FN): the share of the lesion that was found.

    Args:
        predicted: (N, H, W) bool, predicted masks at the slices' own size.
        truth: (N, H, W) bool, true masks.

    Returns:
        (N,) float64 in [0, 1]; NaN without a true lesion.

    Raises:
        BadData: The shapes differ, or the masks are not (N, H, W) bool.

    Example:
        >>> sensitivity(np.array([[[True, True]]]), np.array([[[True, False]]]))
        array([1.])
    """
    return sensitivity_of(count_pixels(predicted, truth))


def specificity(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Specificity, TN / (TN + FP): the share of the healthy pixels that was not called lesion.

    Args:
        predicted: (N, H, W) bool, predicted masks at the slices' own size.
        truth: (N, H, W) bool, true masks.

    Returns:
        (N,) float64 in [0, 1]; NaN where all is lesion.

    Raises:
        BadData: The shapes differ, or the masks are not (N, H, W) bool.

    Example:
        >>> specificity(np.array([[[True, True]]]), np.array([[[True, False]]]))
        array([0.])
    """
    return specificity_of(count_pixels(predicted, truth))


def dice_of(counts: Counts) -> np.ndarray:
    """Dice from counts: (N,) float64 in [0, 1]; NaN where both masks are empty."""
    return _ratio(2 * counts.true_positive, 2 * counts.true_positive + counts.false_positive + counts.false_negative)


def iou_of(counts: Counts) -> np.ndarray:
    """Intersection over union from counts: (N,) float64 in [0, 1]; NaN where both masks are empty."""
    return _ratio(counts.true_positive, counts.true_positive + counts.false_positive + counts.false_negative)


def pixel_accuracy_of(counts: Counts) -> np.ndarray:
    """Pixel accuracy from counts: (N,) float64 in [0, 1]."""
    right = counts.true_positive + counts.true_negative
    return _ratio(right, right + counts.false_positive + counts.false_negative)


def sensitivity_of(counts: Counts) -> np.ndarray:
    """Sensitivity from counts: (N,) float64 in [0, 1]; NaN without a true lesion."""
    return _ratio(counts.true_positive, counts.true_positive + counts.false_negative)


def specificity_of(counts: Counts) -> np.ndarray:
    """Specificity from counts: (N,) float64 in [0, 1]; NaN where all is lesion."""
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
