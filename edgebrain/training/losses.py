"""What training minimises for the mask: Dice loss, and pixel cross-entropy where a recipe asks for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import ops


def dice_loss(truth: Any, predicted: Any) -> Any:
    """1 - soft Dice, one value a slice (Milletari 2016, V-Net, with the plain sum below the line).

    One pixel is added above and below, so that an empty mask predicted as empty costs nothing and every
    false pixel on a healthy slice costs something.

    Args:
        truth: (N, H, W, 1) in [0, 1]; truth may be the lesion's share of a pixel.
        predicted: (N, H, W, 1) in [0, 1]; truth may be the lesion's share of a pixel.

    Returns:
        (N,) in [0, 1].
    """
    truth = ops.cast(truth, predicted.dtype)
    axes = (1, 2, 3)
    overlap = ops.sum(truth * predicted, axis=axes)
    total = ops.sum(truth, axis=axes) + ops.sum(predicted, axis=axes)
    return 1.0 - (2.0 * overlap + 1.0) / (total + 1.0)


def mask_loss(cross_entropy: float) -> Callable[[Any, Any], Any]:
    """Dice loss plus `cross_entropy` times the mean cross-entropy of a slice's pixels.

    The Dice loss alone has no gradient left once a network marks nothing anywhere, and a fast rate gets there.

    Returns:
        A function of truth and prediction, (N, H, W, 1) in [0, 1], to (N,).
    """

    def loss(truth: Any, predicted: Any) -> Any:
        overlap = dice_loss(truth, predicted)
        if not cross_entropy:
            return overlap
        truth = ops.cast(truth, predicted.dtype)
        sure = ops.clip(predicted, 1e-7, 1.0 - 1e-7)
        pixels = -truth * ops.log(sure) - (1.0 - truth) * ops.log(1.0 - sure)
        return overlap + cross_entropy * ops.mean(pixels, axis=(1, 2, 3))

    return loss
