"""Warn of pictures that do not look like a slice of a head. Cheap statistics; they never refuse a picture.

The bounds leave room on both sides: of 6,595 slices of BRISC 2025 and of Cheng's figshare set none is warned about
(contrast at least 82, 158 grey levels, 35 % of a frame dark, correlation 0.65), while blank pictures, masks, noise,
pages of text and charts are.
"""

from __future__ import annotations

import numpy as np

from edgebrain.runtime.transform import downsample

NOT_A_HEAD = "this does not look like a head slice"
# Between the 1st and the 99th percentile of the grey levels.
LEAST_CONTRAST = 32
FEWEST_LEVELS = 32
# Statistics of shape are taken at this side, in pixels.
SIDE = 64
# A pixel is dark up to this share of the brightest level. Air around a head fills most of the edge, or of a frame a
# little further in where somebody drew a white edge around the picture.
DARK_SHARE, DARK_LEVEL = 0.2, 24
INSETS = (0, 2, 4, 6)
LEAST_DARK_FRAME = 0.25
# Between horizontal neighbours, at SIDE.
LEAST_CORRELATION = 0.4


def implausible_head(image: np.ndarray) -> str:
    """Say why a picture does not look like a head slice; empty where it may be one.

    Args:
        image: (H, W) uint8, 0 to 255, any size.
    """
    reason = _reason(image)
    return f"{NOT_A_HEAD}: {reason}" if reason else ""


def _reason(image: np.ndarray) -> str:
    counts = np.bincount(image.ravel(), minlength=256)
    low, high = np.searchsorted(np.cumsum(counts), (0.01 * image.size, 0.99 * image.size))
    if high - low < LEAST_CONTRAST:
        return f"nearly all of it lies between the grey levels {low} and {high}"
    levels = int(np.count_nonzero(counts))
    if levels < FEWEST_LEVELS:
        return f"it has {levels} grey levels only, as a mask has"
    small = downsample(image, SIDE, SIDE).astype(np.int32)
    is_dark = small <= max(DARK_LEVEL, DARK_SHARE * small.max())
    dark = max(float(_frame(is_dark, inset).mean()) for inset in INSETS)
    if dark < LEAST_DARK_FRAME:
        return f"only {100 * dark:.0f} % of its edge is dark"
    correlation = float(np.corrcoef(small[:, :-1].ravel(), small[:, 1:].ravel())[0, 1])
    if correlation < LEAST_CORRELATION:
        return "neighbouring pixels have little to do with each other, as in noise"
    return ""


def _frame(array: np.ndarray, inset: int) -> np.ndarray:
    """The values of a (SIDE, SIDE) array on the frame that lies `inset` pixels inside its edge, one-dimensional."""
    inner = array[inset : SIDE - inset, inset : SIDE - inset]
    return np.concatenate([inner[0], inner[-1], inner[1:-1, 0], inner[1:-1, -1]])
