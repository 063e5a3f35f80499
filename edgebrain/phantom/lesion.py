"""Lesions for phantom heads: each kind at its usual locations, with its usual outline and texture.

Size and brightness overlap between the kinds and with bright structures of healthy heads, so that the kind follows only
from location, outline and texture together.
"""

from __future__ import annotations

import numpy as np

from edgebrain.phantom.anatomy import Anatomy
from edgebrain.phantom.canvas import Canvas, blob, grown


def draw_lesion(canvas: Canvas, rng: np.random.Generator, anatomy: Anatomy, label: str, drift: float) -> np.ndarray:
    """Draw a lesion on a head.

    Args:
        canvas: Is drawn on.
        rng: Source of everything that is random.
        anatomy: The head.
        label: glioma, meningioma or pituitary.
        drift: Distance of this slice from the middle of the lesion, about -0.5 to 0.5; the lesion is smaller there.

    Returns:
        (H, W) bool, True is lesion; never empty.
    """
    draw = {"glioma": _glioma, "meningioma": _meningioma, "pituitary": _pituitary}[label]
    return draw(canvas, rng, anatomy, 1.0 - 0.5 * abs(drift)) > 0


def _glioma(canvas: Canvas, rng: np.random.Generator, anatomy: Anatomy, shrunk: float) -> np.ndarray:
    """Ragged, uneven, in a hemisphere; often a bright ring around a dark middle, and dark oedema around it."""
    tissue = anatomy.tissue
    radius = _radius(rng, 0.155) * shrunk
    corner = anatomy.brain[int(rng.integers(len(anatomy.brain)))]
    middle = anatomy.brain.mean(axis=0)
    centre = middle + (corner - middle) * rng.uniform(0.3, 0.75)
    radii = (radius * rng.uniform(0.8, 1.3), radius * rng.uniform(0.8, 1.1))
    outline = blob(rng, (centre[0], centre[1]), radii, 0.26, rng.uniform(0.0, 3.1))
    if rng.random() < 0.7:
        halo = canvas.region((outline - centre) * rng.uniform(1.25, 1.7) + centre) & anatomy.inside
        _stain(canvas, halo, tissue.grey * rng.uniform(0.72, 0.92), 0.7)
    mask: np.ndarray = canvas.region(outline) & anatomy.inside
    rim = tissue.grey * rng.uniform(1.15, 1.85)
    core = tissue.grey * (rng.uniform(0.45, 0.85) if rng.random() < 0.6 else rng.uniform(0.95, 1.5))
    inner = canvas.region((outline - centre) * rng.uniform(0.45, 0.78) + centre)
    values = np.where(inner > 0, np.float32(core), np.float32(rim))
    canvas.put(values + _bumps(canvas, anatomy, 0.28), mask)
    return mask


def _meningioma(canvas: Canvas, rng: np.random.Generator, anatomy: Anatomy, shrunk: float) -> np.ndarray:
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
        halo = canvas.region((outline - centre) * 1.12 + centre) & anatomy.inside
        _stain(canvas, halo, tissue.fluid * 1.2, 0.6)
    mask: np.ndarray = canvas.region(outline) & anatomy.inside
    canvas.put(np.float32(tissue.grey * rng.uniform(1.2, 1.9)) + _bumps(canvas, anatomy, 0.05), mask)
    return mask


def _pituitary(canvas: Canvas, rng: np.random.Generator, anatomy: Anatomy, shrunk: float) -> np.ndarray:
    """Rounded, at the midline over the sella; the bigger it is the more it looks like a snowman."""
    tissue = anatomy.tissue
    radius = float(np.clip(_radius(rng, 0.125), 0.08, 0.26)) * shrunk
    centre = (anatomy.sella[0] + rng.normal(0.0, 0.015), anatomy.sella[1] + rng.normal(0.0, 0.015) - 0.25 * radius)
    mask = canvas.region(blob(rng, centre, (radius * rng.uniform(0.85, 1.25), radius), 0.1))
    if rng.random() < 0.4:
        above = (centre[0], centre[1] - 0.8 * radius)
        mask |= canvas.region(blob(rng, above, (radius * 0.75, radius * 0.6), 0.1))
    rough = rng.uniform(0.04, 0.2)
    canvas.put(np.float32(tissue.grey * rng.uniform(1.05, 1.75)) + _bumps(canvas, anatomy, rough), mask)
    return mask


def _bumps(canvas: Canvas, anatomy: Anatomy, share: float) -> np.ndarray:
    """The head's small bumps, scaled to `share` of its grey matter: (H, W) float32."""
    return grown(anatomy.fine * np.float32(share * anatomy.tissue.grey), canvas.shape)


def _radius(rng: np.random.Generator, median: float) -> float:
    """A log-normal radius in head units, limited to what a network at 128 px can see."""
    return float(np.clip(median * np.exp(rng.normal(0.0, 0.38)), 0.075, 0.34))


def _stain(canvas: Canvas, inside: np.ndarray, grey: float, share: float) -> None:
    """Mix a grey value into a region of the canvas: inside is (H, W) uint8, share in [0, 1]."""
    canvas.put(canvas.pixels * np.float32(1.0 - share) + np.float32(grey * share), inside)
