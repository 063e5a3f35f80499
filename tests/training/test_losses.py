"""The Dice loss against the Dice that is reported."""

from __future__ import annotations

import numpy as np

from edgebrain.evaluation import metrics


def loss(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    from keras import ops

    from edgebrain.training.losses import dice_loss

    return ops.convert_to_numpy(dice_loss(truth[..., None].astype(np.float32), predicted[..., None].astype(np.float32)))


def test_loss_of_binary_masks_is_one_minus_dice_but_for_one_pixel() -> None:
    rng = np.random.default_rng(1)
    truth, predicted = rng.random((5, 40, 40)) < 0.3, rng.random((5, 40, 40)) < 0.4
    total = truth.sum(axis=(1, 2)) + predicted.sum(axis=(1, 2))
    expected = 1 - (metrics.dice(predicted, truth) * total + 1) / (total + 1)
    np.testing.assert_allclose(loss(truth, predicted), expected, rtol=1e-5)


def test_an_empty_mask_costs_nothing_only_when_nothing_is_marked() -> None:
    empty = np.zeros((1, 16, 16))
    marked = empty.copy()
    marked[0, 3, 3] = 1.0
    assert loss(empty, empty)[0] == 0.0
    assert loss(empty, marked)[0] == 0.5


def test_each_slice_has_a_loss_of_its_own() -> None:
    truth = np.zeros((2, 8, 8))
    truth[:, 2:5, 2:5] = 1.0
    right_and_wrong = np.stack([truth[0], 1.0 - truth[1]])
    good, bad = loss(truth, right_and_wrong)
    assert good < 1e-6
    assert bad > 0.95


def test_pixel_cross_entropy_is_added_as_scikit_learn_counts_it() -> None:
    from keras import ops
    from sklearn.metrics import log_loss

    from edgebrain.training.losses import mask_loss

    rng = np.random.default_rng(2)
    truth, predicted = rng.random((3, 8, 8, 1)) < 0.4, rng.uniform(0.05, 0.95, (3, 8, 8, 1))
    pair = truth.astype(np.float32), predicted.astype(np.float32)
    alone, both = (ops.convert_to_numpy(mask_loss(weight)(*pair)) for weight in (0.0, 2.0))
    np.testing.assert_allclose(alone, loss(truth[..., 0], predicted[..., 0]), rtol=1e-6)
    expected = [log_loss(t.ravel(), p.ravel()) for t, p in zip(truth, predicted, strict=True)]
    np.testing.assert_allclose((both - alone) / 2.0, expected, rtol=1e-4)
