"""How similar two slices are: as they are, mirrored and turned, re-windowed, or with their edges cut off.

Similarity is always a correlation of details: slices without slowly varying brightness, with mean 0 and length 1.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edgebrain.runtime.opencv import cv2

# Sides in px of a slice as it comes, as it is compared, and as candidates for it are looked up.
SIDE, DETAIL_SIDE, COARSE_SIDE = 128, 64, 32
# Brightness that varies slower than this share of the side comes from coil and window, and is similar in all heads.
SLOW = 1 / 16
# The 8 mirror images and rotations of a square (the dihedral group D4).
DIHEDRAL_NAMES = (
    "upright",
    "mirrored left-right",
    "mirrored top-bottom",
    "turned by 180",
    "mirrored about the diagonal",
    "turned by 90 clockwise",
    "turned by 90 anticlockwise",
    "mirrored about the other diagonal",
)
# The transform that undoes each one: all but the two quarter turns undo themselves.
INVERSE = (0, 1, 2, 3, 4, 6, 5, 7)
# Share of height and width that is cut off, and where the rest lies down and right: 0 at the low edge, 1 at the high.
CROPS = ((0.05, 0.5, 0.5), (0.05, 0.0, 0.0), (0.05, 0.0, 1.0), (0.05, 1.0, 0.0), (0.05, 1.0, 1.0), (0.10, 0.5, 0.5))

# A crop that is merely shifted reaches 0.93 and more, unrelated slices stay below 0.85, and ECC refinement is costly.
_REFINED_FROM, _REFINED_ENOUGH = 0.70, 0.985
_HOPELESS = 0.5
_ECC_STEPS, _ECC_GAIN, _ECC_SMOOTH_PX = 30, 1e-4, 5
# A refinement that stretches or squeezes more than this has converged to nonsense.
_MOST_STRETCH = 1.15


def details_of(thumbs: np.ndarray) -> np.ndarray:
    """Remove slowly varying brightness from slices.

    Args:
        thumbs: (n, side, side) uint8 or float, grey levels.

    Returns:
        (n, side, side) float32, each with mean 0 and length 1; all 0 for a flat slice.

    Example:
        >>> bool(details_of(np.full((1, 32, 32), 7, np.uint8)).any())
        False
    """
    details = thumbs.astype(np.float32)
    for detail in details:
        detail -= cv2.GaussianBlur(detail, (0, 0), SLOW * len(detail))
    flat = details.reshape(len(details), -1)
    flat -= flat.mean(axis=1, keepdims=True)
    lengths = np.sqrt(np.einsum("ij,ij->i", flat, flat))[:, np.newaxis]
    # Less than one grey level of detail in the whole slice is rounding.
    np.divide(flat, lengths, out=flat, where=lengths > 1.0)
    flat *= lengths > 1.0
    return details


def halved(image: np.ndarray) -> np.ndarray:
    """A slice at half its size.

    Args:
        image: (side, side) uint8 grey levels.

    Returns:
        (side / 2, side / 2) uint8, means of 2 x 2 pixels.
    """
    thumb: np.ndarray = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    return thumb


def dihedral_transforms(block: np.ndarray) -> Iterator[np.ndarray]:
    """The 8 mirror images and rotations of slices.

    Args:
        block: (n, side, side) of any type.

    Yields:
        (n, side, side) of the same type, in the order of DIHEDRAL_NAMES.
    """
    for turned in (block, block.transpose(0, 2, 1)):
        for flipped in (turned, turned[:, ::-1]):
            yield np.ascontiguousarray(flipped)
            yield np.ascontiguousarray(flipped[:, :, ::-1])


def dihedral_transform(image: np.ndarray, index: int) -> np.ndarray:
    """One of the 8 mirror images and rotations of a slice.

    Args:
        image: (side, side) of any type.
        index: Position in DIHEDRAL_NAMES.

    Returns:
        (side, side) of the same type.

    Example:
        >>> dihedral_transform(np.array([[1, 2], [3, 4]]), DIHEDRAL_NAMES.index("mirrored left-right"))
        array([[2, 1],
               [4, 3]])
    """
    turned = image.T if index & 4 else image
    turned = turned[::-1] if index & 2 else turned
    return np.ascontiguousarray(turned[:, ::-1] if index & 1 else turned)


def mapped_similarity(one: np.ndarray, other: np.ndarray) -> float:
    """Correlation of details after the grey levels of one slice were mapped onto those of the other.

    The mapping gives both the same histogram (histogram specification, as in Gonzalez and Woods, Digital Image
    Processing), which undoes every rising change of brightness: gamma, window, contrast. It is tried both ways,
    because what one of the two has clipped cannot be restored.

    Args:
        one: (64, 64) uint8 grey levels.
        other: (64, 64) uint8 grey levels.

    Returns:
        The higher correlation of the two ways, in [-1, 1].
    """
    shares = [np.cumsum(np.bincount(thumb.ravel(), minlength=256)) / thumb.size for thumb in (one, other)]
    there = _correlation(_mapped(one, shares[0], shares[1]), other)
    # Clipping costs less than this, so the other way cannot help.
    return there if there < _HOPELESS else max(there, _correlation(_mapped(other, shares[1], shares[0]), one))


def coarse_crops(thumb: np.ndarray) -> np.ndarray:
    """A slice with its edges cut off in the six ways of CROPS.

    Args:
        thumb: (64, 64) uint8 grey levels.

    Returns:
        (6, 32, 32) uint8 grey levels.
    """
    ways = range(len(CROPS))
    return np.stack([_warped(thumb, _crop_matrix(crop, DETAIL_SIDE, COARSE_SIDE), COARSE_SIDE) for crop in ways])


def aligned_similarity(whole: np.ndarray, part: np.ndarray, crop: int) -> float:
    """Similarity of a slice and a suspected crop of it after registration.

    The crop's shift is found by phase correlation (Kuglin and Hines 1975), then all six degrees of freedom by ECC
    (Evangelidis and Psarakis 2008).

    Args:
        whole: (128, 128) uint8 grey levels.
        part: (128, 128) uint8 grey levels, mirrored and turned as `whole` is.
        crop: Position in CROPS from where the search starts.

    Returns:
        `mapped_similarity` of the overlap, in [-1, 1].
    """
    start = _crop_matrix(crop, SIDE, SIDE)
    shift = _shift_px(_warped(whole, start, SIDE), part)
    # The shift is in pixels of the part, which is enlarged: in pixels of the whole it is smaller.
    start[:, 2] += start[:, :2] @ shift
    similarity = _similarity_under(whole, part, start)
    if not _REFINED_FROM <= similarity < _REFINED_ENOUGH:
        return similarity
    matrix = _refined(whole, part, start)
    return similarity if matrix is None else max(similarity, _similarity_under(whole, part, matrix))


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    first, second = details_of(np.stack([one, other]).astype(np.float32))
    return float((first * second).sum())


def _mapped(thumb: np.ndarray, shares: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Grey levels replaced by those at the same quantile of the other's histogram: (64, 64) float32."""
    table = np.interp(shares, wanted, np.arange(256)).astype(np.float32)
    mapped: np.ndarray = table[thumb]
    return mapped


def _crop_matrix(crop: int, side: int, new_side: int) -> np.ndarray:
    """Pixel of the cropped picture (x, y) -> pixel of the whole one, (2, 3) float32; pixel centres on whole numbers."""
    share, down, right = CROPS[crop]
    step = (1.0 - share) * side / new_side
    x, y = (offset * share * side + (step - 1.0) / 2.0 for offset in (right, down))
    return np.array([[step, 0.0, x], [0.0, step, y]], dtype=np.float32)


def _warped(image: np.ndarray, matrix: np.ndarray, side: int) -> np.ndarray:
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped: np.ndarray = cv2.warpAffine(image, matrix, (side, side), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return warped


def _shift_px(there: np.ndarray, here: np.ndarray) -> np.ndarray:
    """How far right and down the content of `here` lies in `there`: (2,) float32, x and y in px."""
    first, second = details_of(np.stack([halved(there), halved(here)]))
    (x, y), _ = cv2.phaseCorrelate(second, first)
    return np.array([x, y], dtype=np.float32) * (SIDE / DETAIL_SIDE)


def _similarity_under(whole: np.ndarray, part: np.ndarray, matrix: np.ndarray) -> float:
    return mapped_similarity(halved(_warped(whole, matrix, SIDE)), halved(part))


def _refined(whole: np.ndarray, part: np.ndarray, start: np.ndarray) -> np.ndarray | None:
    stop = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, _ECC_STEPS, _ECC_GAIN)
    try:
        _, matrix = cv2.findTransformECC(part, whole, start.copy(), cv2.MOTION_AFFINE, stop, None, _ECC_SMOOTH_PX)
    except cv2.error:  # OpenCV raises this where the refinement does not converge.
        return None
    stretch = np.linalg.svd(matrix[:, :2], compute_uv=False)
    return matrix if 1 / _MOST_STRETCH <= stretch.min() <= stretch.max() <= _MOST_STRETCH else None
