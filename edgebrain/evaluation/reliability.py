"""Do class probabilities mean what they say? Confidence against accuracy in equal-width bins, and their mean gap.

Expected calibration error: the mean over slices of |accuracy - mean confidence| of their bin (Naeini et al. 2015; Guo
et al. 2017, On Calibration of Modern Neural Networks, arXiv 1706.04599, equation 3, with their 15 bins). Few slices in
a bin make the error look larger than it is, so counts are reported with it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgebrain.errors import BadData

BINS = 15


@dataclass(frozen=True)
class Bin:
    """Slices whose confidence lies in (low, high].

    Attributes:
        low: Lower end, in [0, 1]; belongs to the bin only where it is 0.
        high: Upper end, in [0, 1].
        slices: Number of slices.
        confidence: Mean confidence, in [0, 1]; None without a slice.
        accuracy: Share whose class is right; None without a slice.
    """

    low: float
    high: float
    slices: int
    confidence: float | None
    accuracy: float | None

    @property
    def gap(self) -> float:
        """|accuracy - confidence|; 0 without a slice."""
        return 0.0 if self.accuracy is None or self.confidence is None else abs(self.accuracy - self.confidence)


@dataclass(frozen=True)
class Reliability:
    """How confidence and accuracy go together.

    Attributes:
        ece: Expected calibration error, in [0, 1].
        bins: From 0 to 1, of equal width.
    """

    ece: float
    bins: tuple[Bin, ...]


def reliability(confidence: np.ndarray, right: np.ndarray, bins: int = BINS) -> Reliability:
    """Compare how sure a model was with how often it was right.

    Args:
        confidence: (n,) float in [0, 1], the probability of the class that was predicted.
        right: (n,) bool, whether that class is the true one.
        bins: Number of bins, of equal width; a bin includes its upper end, and the first one 0 as well.

    Returns:
        The calibration error and the bins.

    Raises:
        BadData: There is no slice, the arrays differ in length, or a confidence is outside [0, 1].

    Example:
        >>> round(reliability(np.array([0.9, 0.9]), np.array([True, False])).ece, 3)
        0.4
    """
    sure, hit = np.asarray(confidence, dtype=np.float64), np.asarray(right, dtype=bool)
    if sure.ndim != 1 or sure.shape != hit.shape or not len(sure):
        raise BadData(f"confidences of shape {sure.shape}, answers of {hit.shape}", "pass (n,) and (n,), n at least 1")
    if not ((sure >= 0.0) & (sure <= 1.0)).all():
        raise BadData("a confidence is not between 0 and 1", "pass probabilities, not logits")
    edges = np.linspace(0.0, 1.0, bins + 1)
    index = np.searchsorted(edges[1:-1], sure, side="left")
    found = tuple(_bin(edges[k], edges[k + 1], sure[index == k], hit[index == k]) for k in range(bins))
    return Reliability(sum(one.slices * one.gap for one in found) / len(sure), found)


def _bin(low: float, high: float, sure: np.ndarray, hit: np.ndarray) -> Bin:
    if not len(sure):
        return Bin(float(low), float(high), 0, None, None)
    return Bin(float(low), float(high), len(sure), float(sure.mean()), float(hit.mean()))
