from __future__ import annotations

import math
import sys

import numpy as np
import pytest
from scipy.ndimage import binary_erosion, distance_transform_edt

from edgebrain.errors import MissingExtra
from edgebrain.evaluation import surface
from edgebrain.evaluation.scores import score_image
from edgebrain.evaluation.surface import surface_figures

EMPTY = np.zeros((60, 80), dtype=bool)


def square(row: int, column: int, side: int) -> np.ndarray:
    mask = EMPTY.copy()
    mask[row : row + side, column : column + side] = True
    return mask


def test_equal_outlines_are_no_distance_apart() -> None:
    assert surface_figures(square(10, 10, 20), square(10, 10, 20)) == (0.0, 1.0)


@pytest.mark.parametrize("shift", [1, 2, 3, 5, 9])
def test_a_shifted_square_is_as_far_off_as_it_was_shifted(shift: int) -> None:
    far, share = surface_figures(square(10, 10 + shift, 30), square(10, 10, 30))
    assert far == pytest.approx(shift, abs=0.5)
    assert (share == 1.0) == (shift <= surface.TOLERANCE_PX)


def test_the_distance_is_near_that_of_borders_found_otherwise() -> None:
    rng = np.random.default_rng(0)
    for _ in range(5):
        one, other = (square(*rng.integers(5, 20, 2), int(rng.integers(10, 35))) for _ in range(2))
        borders = [mask & ~binary_erosion(mask) for mask in (one, other)]
        distances = [distance_transform_edt(~border) for border in borders]
        expected = max(np.quantile(distances[0][borders[1]], 0.95), np.quantile(distances[1][borders[0]], 0.95))
        assert surface_figures(one, other)[0] == pytest.approx(expected, abs=1.0)


def test_one_empty_mask_is_the_largest_distance_and_two_are_none() -> None:
    for pair in ((EMPTY, square(1, 1, 5)), (square(1, 1, 5), EMPTY)):
        assert surface_figures(*pair) == (100.0, 0.0)
    assert all(math.isnan(value) for value in surface_figures(EMPTY, EMPTY))


def test_without_the_library_the_figures_are_not_known_and_the_rest_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surface, "installed", lambda: False)
    monkeypatch.setitem(sys.modules, "surface_distance", None)
    surface._library.cache_clear()
    with pytest.raises(MissingExtra, match="surface-distance is not installed"):
        surface_figures(square(1, 1, 5), square(2, 2, 5))
    one = score_image("a", "g", "glioma", "axial", ["glioma"], square(1, 1, 5), square(1, 1, 5), [1.0])
    assert one.dice == 1.0 and math.isnan(one.hd95_px) and math.isnan(one.surface_dice)
