"""Slices as a few cosine coefficients, in which mirroring and turning are changes of sign and place.

A mirror image changes the signs of the coefficients c(u, v) with odd u or odd v; a transposition swaps u and v. So all
8 states of a slice can be compared without turning pixels, and what does not depend on sign and order describes all of
them at once.
"""

from __future__ import annotations

import numpy as np
from scipy.fft import dctn

# Frequencies with 1 <= u + v <= BAND are kept.
BAND = 16


def spectra_of(details: np.ndarray) -> np.ndarray:
    """Discrete cosine transform (type II, orthonormal) of details, cut off at BAND.

    Args: details: (n, side, side) float32. Returns: (n, BAND + 1, BAND + 1) float32, 0 above BAND.
    """
    kept: np.ndarray = dctn(details, axes=(-2, -1), norm="ortho")[..., : BAND + 1, : BAND + 1]
    return kept * _inside(BAND)


def described(spectra: np.ndarray, band: int) -> np.ndarray:
    """What all 8 states of a slice share: |c(u, v)|, and for u unlike v the sum and difference of |c(u, v)|, |c(v, u)|.

    Args: spectra: (n, BAND + 1, BAND + 1). band: up to BAND. Returns: (n, coefficients), scaled so that the distance of
    two descriptions is at most that of the spectra.
    """
    down, right = np.nonzero(np.triu(_inside(band)))
    size = np.abs(spectra)
    one, other = size[:, down, right], size[:, right, down]
    pairs = np.concatenate([one + other, np.abs(one - other)], axis=1) / np.float32(np.sqrt(2.0))
    # On the diagonal the pair is one coefficient, told twice.
    pairs[:, np.flatnonzero(down == right)] /= np.float32(np.sqrt(2.0))
    return pairs


def in_all_states(spectra: np.ndarray, band: int) -> np.ndarray:
    """Unit vectors of slices in the 8 states, in the order of likeness.STATES.

    Args: spectra: (n, BAND + 1, BAND + 1). band: up to BAND. Returns: (8, n, coefficients) float32.
    """
    odd = (1 - 2 * (np.arange(BAND + 1) % 2)).astype(np.float32)
    signs = (np.float32(1), odd[np.newaxis, :], odd[:, np.newaxis], odd[:, np.newaxis] * odd)
    turned = (spectra, np.swapaxes(spectra, -1, -2))
    return np.stack([unit(one * sign, band) for one in turned for sign in signs])


def unit(spectra: np.ndarray, band: int) -> np.ndarray:
    """Coefficients with u + v <= band as vectors of length 1; their products are correlations of band-limited details.

    Args: spectra: (..., BAND + 1, BAND + 1). Returns: (..., coefficients) float32; 0 for an empty one.
    """
    vectors = spectra[..., _inside(band)].astype(np.float32)
    lengths = np.sqrt(np.einsum("...i,...i->...", vectors, vectors))[..., np.newaxis]
    found: np.ndarray = vectors / np.maximum(lengths, np.float32(1e-9))
    return found


def _inside(band: int) -> np.ndarray:
    """Which coefficients belong to a band, (BAND + 1, BAND + 1) bool; the mean, c(0, 0), never does."""
    down, right = np.indices((BAND + 1, BAND + 1))
    inside: np.ndarray = (down + right <= band) & (down + right > 0)
    return inside
