"""How far two outlines are apart: the 95th percentile Hausdorff distance and the surface Dice.

Tools differ in these figures by up to 100 mm for the same masks (Podobnik and Vrtovec 2024, arXiv 2410.02630),
so there is one: google-deepmind/surface-distance 0.1 (Nikolov et al. 2018, arXiv 1809.04430), whose distances are
weighted by the length of the outline that they belong to. Distances are in pixels of the slice's own size: the
pictures that we judge carry no millimetres.

Empty masks: where both are empty neither figure is defined (NaN). Where one is, the surface Dice is 0 and the distance
is the slice's diagonal, the largest that there is: a lost tumour must not leave the mean.
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

# Pixels by which an outline may be off and still count as right: about the line that a person draws.
TOLERANCE_PX = 2.0


@cache
def installed() -> bool:
    """Whether the library is here; without it the figures are not known, and nothing else changes."""
    return find_spec("surface_distance") is not None


def surface_figures(predicted: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """HD95 in pixels and surface Dice at TOLERANCE_PX of one slice.

    Args: predicted, truth: (H, W) bool, of one shape. Returns: distance in [0, diagonal] px, share in [0, 1]; NaN both
    where both masks are empty. Raises MissingExtra: the library is not installed.
    """
    if not predicted.any() and not truth.any():
        return math.nan, math.nan
    if not predicted.any() or not truth.any():
        return math.hypot(*truth.shape), 0.0
    library = _library()
    with warnings.catch_warnings():
        # It takes `correlate` from where SciPy kept it until version 2.
        warnings.simplefilter("ignore", DeprecationWarning)
        distances = library.compute_surface_distances(truth, predicted, (1.0, 1.0))
    far = float(library.compute_robust_hausdorff(distances, 95))
    return far, float(library.compute_surface_dice_at_tolerance(distances, TOLERANCE_PX))


@cache
def _library() -> Any:
    with importing("surface-distance", "bench", "the distance between outlines"):
        return import_module("surface_distance")
