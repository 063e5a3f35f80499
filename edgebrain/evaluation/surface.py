"""How far two outlines are apart: the 95th percentile Hausdorff distance and the surface Dice.

Tools differ in these figures by up to 100 mm for the same masks (Podobnik and Vrtovec 2024, arXiv 2410.02630), so
only one is used: google-deepmind/surface-distance 0.1 (Nikolov et al. 2018, arXiv 1809.04430), which weights distances
by the length of the outline that they belong to. Distances are in pixels of the slice's own size, because pictures
carry no millimetres.

Empty masks: where both are empty neither figure is defined (NaN). Where one is empty, the surface Dice is 0 and the
distance is the slice's diagonal, the largest possible one, so that a lost tumour does not drop out of the mean.
"""

from __future__ import annotations

import math
import warnings
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from edgebrain.libraries import importing

# An outline that is off by this many pixels still counts as right: lines drawn by hand are no more exact.
TOLERANCE_PX = 2.0


@cache
def installed() -> bool:
    """Whether the library is installed; without it the two figures are NaN, and nothing else changes."""
    return find_spec("surface_distance") is not None


def surface_figures(predicted: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """HD95 and surface Dice of one slice.

    Args:
        predicted: (H, W) bool, predicted mask.
        truth: (H, W) bool, true mask.

    Returns:
        Distance in px, from 0 to the slice's diagonal, and share of the outline within TOLERANCE_PX, in [0, 1]. Both
        are NaN where both masks are empty.

    Raises:
        MissingExtra: The library is not installed.

    Example:
        >>> surface_figures(np.zeros((3, 4), bool), np.eye(3, 4, dtype=bool))
        (5.0, 0.0)
    """
    if not predicted.any() and not truth.any():
        return math.nan, math.nan
    if not predicted.any() or not truth.any():
        return math.hypot(*truth.shape), 0.0
    library = _library()
    with warnings.catch_warnings():
        # It imports `correlate` from a namespace that SciPy 2 removes.
        warnings.simplefilter("ignore", DeprecationWarning)
        distances = library.compute_surface_distances(truth, predicted, (1.0, 1.0))
    far = float(library.compute_robust_hausdorff(distances, 95))
    return far, float(library.compute_surface_dice_at_tolerance(distances, TOLERANCE_PX))


@cache
def _library() -> Any:
    with importing("surface-distance", "bench", "the distance between outlines"):
        return import_module("surface_distance")
