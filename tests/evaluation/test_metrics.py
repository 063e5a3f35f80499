from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import accuracy_score, f1_score, jaccard_score, recall_score

from edgebrain.errors import BadData
from edgebrain.evaluation import metrics

Metric = Callable[[np.ndarray, np.ndarray], np.ndarray]
ALL: list[Metric] = [metrics.dice, metrics.iou, metrics.pixel_accuracy, metrics.sensitivity, metrics.specificity]
masks = arrays(np.bool_, (3, 4, 5))
HEALTHY = np.zeros((1, 4, 5), dtype=bool)
LESION = np.zeros((1, 4, 5), dtype=bool)
LESION[0, 1:3, 1:4] = True


@given(masks, masks)
def test_each_slice_agrees_with_scikit_learn(predicted: np.ndarray, truth: np.ndarray) -> None:
    for row in range(len(truth)):
        a, b = truth[row].ravel(), predicted[row].ravel()
        one = [float(metric(predicted, truth)[row]) for metric in ALL]
        nan = float("nan")
        wanted = [
            f1_score(a, b, zero_division=nan),
            jaccard_score(a, b, zero_division=0) if (a | b).any() else nan,
            accuracy_score(a, b),
            recall_score(a, b, zero_division=nan),
            recall_score(~a, ~b, zero_division=nan),
        ]
        np.testing.assert_allclose(one, wanted, rtol=1e-12)


@given(masks, masks)
def test_dice_follows_from_iou_and_both_are_symmetric(predicted: np.ndarray, truth: np.ndarray) -> None:
    dice, iou = metrics.dice(predicted, truth), metrics.iou(predicted, truth)
    np.testing.assert_allclose(dice, 2 * iou / (1 + iou), rtol=1e-12)
    np.testing.assert_array_equal(dice, metrics.dice(truth, predicted))
    np.testing.assert_array_equal(iou, metrics.iou(truth, predicted))


@given(masks, masks)
def test_sensitivity_is_specificity_of_the_complement(predicted: np.ndarray, truth: np.ndarray) -> None:
    np.testing.assert_array_equal(metrics.sensitivity(predicted, truth), metrics.specificity(~predicted, ~truth))


@given(masks, masks)
def test_every_figure_is_between_0_and_1_or_undefined(predicted: np.ndarray, truth: np.ndarray) -> None:
    for metric in ALL:
        found = metric(predicted, truth)
        assert found.shape == (3,) and found.dtype == np.float64
        assert ((found >= 0) & (found <= 1) | np.isnan(found)).all()


@given(masks, masks, st.permutations(range(3)))
def test_slices_are_judged_one_by_one(predicted: np.ndarray, truth: np.ndarray, order: list[int]) -> None:
    for metric in ALL:
        np.testing.assert_array_equal(metric(predicted, truth)[order], metric(predicted[order], truth[order]))


@given(masks, masks)
def test_the_four_counts_cover_every_pixel(predicted: np.ndarray, truth: np.ndarray) -> None:
    counts = metrics.count_pixels(predicted, truth)
    total = counts.true_positive + counts.false_positive + counts.false_negative + counts.true_negative
    assert (total == 20).all()


def test_an_empty_answer_to_a_healthy_slice_is_no_perfect_score() -> None:
    assert np.isnan(metrics.dice(HEALTHY, HEALTHY)).all()
    assert np.isnan(metrics.iou(HEALTHY, HEALTHY)).all()
    assert np.isnan(metrics.sensitivity(LESION, HEALTHY)).all()
    assert metrics.pixel_accuracy(HEALTHY, HEALTHY) == 1.0 == metrics.specificity(HEALTHY, HEALTHY)


def test_one_empty_mask_of_two_scores_0() -> None:
    assert metrics.dice(HEALTHY, LESION) == metrics.dice(LESION, HEALTHY) == metrics.iou(HEALTHY, LESION) == 0.0
    assert metrics.sensitivity(HEALTHY, LESION) == 0.0
    assert np.isnan(metrics.specificity(LESION, np.ones_like(LESION))).all()


def test_a_lesion_half_found_has_known_figures() -> None:
    half = LESION.copy()
    half[0, 2] = False
    assert metrics.dice(half, LESION) == pytest.approx(2 / 3)
    assert metrics.iou(half, LESION) == pytest.approx(1 / 2)
    assert metrics.sensitivity(half, LESION) == pytest.approx(1 / 2)
    assert metrics.pixel_accuracy(half, LESION) == pytest.approx(17 / 20)


@pytest.mark.parametrize("metric", ALL)
def test_masks_that_do_not_fit_or_are_not_bool_are_refused(metric: Metric) -> None:
    with pytest.raises(BadData, match=r"\(1, 4, 5\), the true ones \(1, 5, 4\)"):
        metric(LESION, LESION.transpose(0, 2, 1))
    with pytest.raises(BadData, match="predicted masks are uint8"):
        metric(LESION.astype(np.uint8) * 255, LESION)
    with pytest.raises(BadData, match=r"of shape \(4, 5\)"):
        metric(LESION[0], LESION[0])
