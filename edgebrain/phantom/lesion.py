"""Lesions for phantom heads: each kind at its usual places, with its usual outline and inside.

Size and brightness overlap between the kinds, and with the bright things of healthy heads: kind follows from place,
outline and texture together.
"""

from __future__ import annotations

import numpy as np

from edgebrain.phantom.anatomy import Anatomy
from edgebrain.phantom.canvas import Easel, blob, grown


def draw_lesion(easel: Easel, rng: np.random.Generator, anatomy: Anatomy, label: str, drift: float) -> np.ndarray:
    """Draw a lesion of this kind on a head. Returns: (H, W) bool, True is lesion; never empty.

    drift: how far this slice is from the middle of the lesion, about -0.5 to 0.5: neighbours are smaller.
    """
    draw = {"glioma": _glioma, "meningioma": _meningioma, "pituitary": _pituitary}[label]
    return draw(easel, rng, anatomy, 1.0 - 0.5 * abs(drift)) > 0


def _glioma(easel: Easel, rng: np.random.Generator, anatomy: Anatomy, shrunk: float) -> np.ndarray:
    """Ragged, uneven, in a hemisphere; often a bright ring around a dark middle, and dark oedema around it."""
    tissue = anatomy.tissue
    radius = _radius(rng, 0.155) * shrunk
    corner = anatomy.brain[int(rng.integers(len(anatomy.brain)))]
    middle = anatomy.brain.mean(axis=0)
    centre = middle + (corner - middle) * rng.uniform(0.3, 0.75)
    radii = (radius * rng.uniform(0.8, 1.3), radius * rng.uniform(0.8, 1.1))
    outline = blob(rng, (centre[0], centre[1]), radii, 0.26, rng.uniform(0.0, 3.1))
    if rng.random() < 0.7:
        halo = easel.region((outline - centre) * rng.uniform(1.25, 1.7) + centre) & anatomy.inside
        _stain(easel, halo, tissue.grey * rng.uniform(0.72, 0.92), 0.7)
    mask: np.ndarray = easel.region(outline) & anatomy.inside
    rim = tissue.grey * rng.uniform(1.15, 1.85)
    core = tissue.grey * (rng.uniform(0.45, 0.85) if rng.random() < 0.6 else rng.uniform(0.95, 1.5))
    inner = easel.region((outline - centre) * rng.uniform(0.45, 0.78) + centre)
    values = np.where(inner > 0, np.float32(core), np.float32(rim))
    easel.put(values + _bumps(easel, anatomy, 0.28), mask)
    return mask


def _meningioma(easel: Easel, rng: np.random.Generator, anatomy: Anatomy, shrunk: float) -> np.ndarray:
    """Smooth and even, on the dura: at the skull, or at the falx."""
    tissue = anatomy.tissue
    radius = _radius(rng, 0.165) * shrunk
    middle = anatomy.brain.mean(axis=0)
    if rng.random() < 0.2:
        side = rng.choice([-1.0, 1.0])
        centre = np.array([side * radius * 0.85, middle[1] - rng.uniform(0.3, 0.6)])
    else:
        corner = anatomy.brain[int(rng.integers(len(anatomy.brain)))]
        reach = float(np.linalg.norm(corner - middle))
        centre = middle + (corner - middle) * (1.0 - rng.uniform(0.5, 0.8) * radius / reach)
    outline = blob(rng, (centre[0], centre[1]), (radius, radius * rng.uniform(0.8, 1.1)), 0.07, rng.uniform(0.0, 3.1))
    if rng.random() < 0.4:
        halo = easel.region((outline - centre) * 1.12 + centre) & anatomy.inside
        _stain(easel, halo, tissue.fluid * 1.2, 0.6)
    mask: np.ndarray = easel.region(outline) & anatomy.inside
    easel.put(np.float32(tissue.grey * rng.uniform(1.2, 1.9)) + _bumps(easel, anatomy, 0.05), mask)
    return mask


def _pituitary(easel: Easel, rng: np.random.Generator, anatomy: Anatomy, shrunk: float) -> np.ndarray:
    """Rounded, at the midline over the sella; the bigger it is the more it looks like a snowman."""
    tissue = anatomy.tissue
    radius = float(np.clip(_radius(rng, 0.125), 0.08, 0.26)) * shrunk
    centre = (anatomy.sella[0] + rng.normal(0.0, 0.015), anatomy.sella[1] + rng.normal(0.0, 0.015) - 0.25 * radius)
    mask = easel.region(blob(rng, centre, (radius * rng.uniform(0.85, 1.25), radius), 0.1))
    if rng.random() < 0.4:
        above = (centre[0], centre[1] - 0.8 * radius)
        mask |= easel.region(blob(rng, above, (radius * 0.75, radius * 0.6), 0.1))
    rough = rng.uniform(0.04, 0.2)
    easel.put(np.float32(tissue.grey * rng.uniform(1.05, 1.75)) + _bumps(easel, anatomy, rough), mask)
    return mask


def _bumps(easel: Easel, anatomy: Anatomy, share: float) -> np.ndarray:
    """The head's small bumps, `share` of its grey matter high. Returns: (H, W) float32."""
    return grown(anatomy.fine * np.float32(share * anatomy.tissue.grey), easel.shape)


def _radius(rng: np.random.Generator, median: float) -> float:
    """Head units: median, half as much again one deviation up, within what a network at 128 px can see."""
    return float(np.clip(median * np.exp(rng.normal(0.0, 0.38)), 0.075, 0.34))


def _stain(easel: Easel, inside: np.ndarray, grey: float, share: float) -> None:
    """Mix a grey value into a region of the canvas."""
    easel.put(easel.canvas * np.float32(1.0 - share) + np.float32(grey * share), inside)
