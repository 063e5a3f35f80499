from __future__ import annotations

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from edgebrain.errors import BadData
from edgebrain.evaluation.reliability import reliability


@pytest.mark.parametrize("bins", [5, 10, 15])
def test_bins_are_those_of_an_independent_reference(bins: int) -> None:
    rng = np.random.default_rng(3)
    sure = np.concatenate([rng.uniform(size=400), np.linspace(0.0, 1.0, bins + 1)])
    right = rng.uniform(size=len(sure)) < sure**2
    accuracy, confidence = calibration_curve(right, sure, n_bins=bins, strategy="uniform")
    filled = [one for one in reliability(sure, right, bins).bins if one.slices]
    np.testing.assert_allclose([one.accuracy for one in filled], accuracy)
    np.testing.assert_allclose([one.confidence for one in filled], confidence)


def test_the_error_is_the_mean_gap_over_slices() -> None:
    # Two bins: (0.2, 0.4] with one slice, wrong; (0.8, 1] with three slices, two of them right.
    found = reliability(np.array([0.3, 0.9, 0.9, 1.0]), np.array([False, True, False, True]), bins=5)
    assert found.ece == pytest.approx((1 * 0.3 + 3 * abs(2 / 3 - 2.8 / 3)) / 4)
    assert [one.slices for one in found.bins] == [0, 1, 0, 0, 3]
    assert found.bins[0].accuracy is None and found.bins[0].gap == 0.0


def test_who_is_as_right_as_sure_has_no_error() -> None:
    assert reliability(np.full(4, 0.75), np.array([True, True, True, False])).ece == 0.0


@pytest.mark.parametrize(
    ("confidence", "right"), [([], []), ([0.5], [True, False]), ([1.2], [True]), ([float("nan")], [True])]
)
def test_what_is_no_probability_is_refused(confidence: list[float], right: list[bool]) -> None:
    with pytest.raises(BadData):
        reliability(np.array(confidence), np.array(right))
