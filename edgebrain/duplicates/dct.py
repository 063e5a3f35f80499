"""Slices as a few cosine coefficients, in which mirroring and turning change only signs and places.

A mirror image changes the signs of the coefficients c(u, v) with odd u or odd v; a transposition swaps u and v. So all
8 dihedral transforms of a slice can be compared without turning pixels, and what depends on neither sign nor order
describes all of them at once.
"""

from __future__ import annotations

import numpy as np
from scipy.fft import dctn

# Frequencies with 1 <= u + v <= BAND are kept.
BAND = 16


def dct_of(details: np.ndarray) -> np.ndarray:
    """Discrete cosine transform (type II, orthonormal) of slices, cut off at BAND.

    Args:
        details: (n, side, side) float32, as `similarity.details_of` makes them.

    Returns:
        (n, BAND + 1, BAND + 1) float32; 0 where u + v is above BAND, and at the mean, c(0, 0).

    Example:
        >>> dct_of(np.ones((2, 32, 32), np.float32)).shape
        (2, 17, 17)
    """
    kept: np.ndarray = dctn(details, axes=(-2, -1), norm="ortho")[..., : BAND + 1, : BAND + 1]
    return kept * _in_band(BAND)


def invariant_descriptors(coefficients: np.ndarray, band: int) -> np.ndarray:
    """What all 8 dihedral transforms of a slice share.

    That is |c(u, u)|, and for u unlike v the sum and the difference of |c(u, v)| and |c(v, u)|.

    Args:
        coefficients: (n, BAND + 1, BAND + 1) float32, as of `dct_of`.
        band: Highest u + v that is used, at most BAND.

    Returns:
        (n, descriptors) float32, scaled so that two descriptors are at most as far apart as their coefficients are.
    """
    down, right = np.nonzero(np.triu(_in_band(band)))
    size = np.abs(coefficients)
    one, other = size[:, down, right], size[:, right, down]
    pairs = np.concatenate([one + other, np.abs(one - other)], axis=1) / np.float32(np.sqrt(2.0))
    # On the diagonal both members of the pair are the same coefficient, which would count twice.
    pairs[:, np.flatnonzero(down == right)] /= np.float32(np.sqrt(2.0))
    return pairs


def unit_vectors_of_transforms(coefficients: np.ndarray, band: int) -> np.ndarray:
    """Unit vectors of the 8 dihedral transforms of slices.

    Args:
        coefficients: (n, BAND + 1, BAND + 1) float32, as of `dct_of`.
        band: Highest u + v that is used, at most BAND.

    Returns:
        (8, n, components) float32, in the order of `similarity.DIHEDRAL_NAMES`.
    """
    odd = (1 - 2 * (np.arange(BAND + 1) % 2)).astype(np.float32)
    signs = (np.float32(1), odd[np.newaxis, :], odd[:, np.newaxis], odd[:, np.newaxis] * odd)
    transposed = (coefficients, np.swapaxes(coefficients, -1, -2))
    return np.stack([unit_vectors(one * sign, band) for one in transposed for sign in signs])


def unit_vectors(coefficients: np.ndarray, band: int) -> np.ndarray:
    """Coefficients as vectors of length 1, whose inner products are correlations of band-limited details.

    Args:
        coefficients: (..., BAND + 1, BAND + 1) float32, as of `dct_of`.
        band: Highest u + v that is used, at most BAND.

    Returns:
        (..., components) float32; all 0 for a flat slice.
    """
    vectors = coefficients[..., _in_band(band)].astype(np.float32)
    lengths = np.sqrt(np.einsum("...i,...i->...", vectors, vectors))[..., np.newaxis]
    found: np.ndarray = vectors / np.maximum(lengths, np.float32(1e-9))
    return found


def _in_band(band: int) -> np.ndarray:
    """Which coefficients belong to a band, (BAND + 1, BAND + 1) bool; the mean, c(0, 0), never does."""
    down, right = np.indices((BAND + 1, BAND + 1))
    inside: np.ndarray = (down + right <= band) & (down + right > 0)
    return inside
