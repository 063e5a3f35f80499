"""What training minimises: Dice loss for the mask, categorical cross-entropy for the class."""

from __future__ import annotations

from typing import Any

from keras import ops


def dice_loss(truth: Any, predicted: Any) -> Any:
    """1 - soft Dice, one value a slice (Milletari 2016, V-Net, with the plain sum below the line).

    One pixel is added above and below, so that an empty mask predicted as empty costs nothing and every
    false pixel on a healthy slice costs something.

    Args: truth, predicted: (N, H, W, 1) in [0, 1]; truth may be the lesion's share of a pixel.
    Returns: (N,) in [0, 1].
    """
    truth = ops.cast(truth, predicted.dtype)
    axes = (1, 2, 3)
    overlap = ops.sum(truth * predicted, axis=axes)
    total = ops.sum(truth, axis=axes) + ops.sum(predicted, axis=axes)
    return 1.0 - (2.0 * overlap + 1.0) / (total + 1.0)
