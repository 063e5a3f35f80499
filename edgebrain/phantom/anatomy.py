"""Heads without lesion: three planes with scalp, skull, tissue, ventricles, face, and what is bright in healthy heads.

Plausible, not anatomically exact: there is enough in a head that a network has to learn shape, position and texture,
because brightness alone does not separate lesions. Lesions are in `lesion.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgebrain.phantom.canvas import Canvas, blob, grown, mirrored, smooth_field
from edgebrain.runtime.opencv import cv2


@dataclass(frozen=True)
class Tissue:
    """Grey values (0 to 255) of the tissues of one head, before bias, gain and noise.

    Attributes:
        scalp: Skin and fat.
        bone: Skull.
        fluid: Cerebrospinal fluid.
        grey: Grey matter.
        white: White matter.
        bright: Whatever contrast agent makes bright.
    """

    scalp: float
    bone: float
    fluid: float
    grey: float
    white: float
    bright: float


@dataclass(frozen=True)
class Anatomy:
    """What lesions need to know of a drawn head.

    Attributes:
        brain: (n, 2) float64, outline of the brain in head units.
        inside: (H, W) uint8, 1 in the brain.
        sella: x and y in head units of where a pituitary lies.
        fine: (H // 2, W // 2) float32, a smooth field of small bumps.
        tissue: The head's grey values.
    """

    brain: np.ndarray
    inside: np.ndarray
    sella: tuple[float, float]
    fine: np.ndarray
    tissue: Tissue


def draw_head(canvas: Canvas, rng: np.random.Generator, plane: str, at_sella: bool, drift: float) -> Anatomy:
    """Draw a head.

    Args:
        canvas: Is drawn on.
        rng: Source of everything that is random.
        plane: axial, coronal or sagittal.
        at_sella: Draw the level at which the pituitary lies.
        drift: Distance of this slice from the head's first one, about -0.5 to 0.5; neighbours share all else.
    """
    tissue = _tissue(rng)
    fine = smooth_field(rng, canvas.half_shape, 40, drift)
    level = 0 if at_sella else int(rng.integers(0, 3))
    draw = {"axial": _axial, "coronal": _coronal, "sagittal": _sagittal}[plane]
    return draw(canvas, rng, tissue, fine, level, drift)


def _tissue(rng: np.random.Generator) -> Tissue:
    """Random grey values; the window differs between heads, and white matter is not always far from grey."""
    grey = rng.uniform(70, 110)
    white = grey * rng.uniform(1.06, 1.42)
    return Tissue(
        scalp=rng.uniform(150, 235),
        bone=rng.uniform(8, 28),
        fluid=grey * rng.uniform(0.25, 0.5),
        grey=grey,
        white=white,
        bright=white * rng.uniform(1.25, 1.8),
    )


def _axial(
    canvas: Canvas, rng: np.random.Generator, tissue: Tissue, fine: np.ndarray, level: int, drift: float
) -> Anatomy:
    width, wobble = rng.uniform(0.70, 0.80), np.random.default_rng(rng.integers(1 << 32))
    size = (1.0 - 0.05 * abs(drift)) * (1.0, 0.98, 0.9)[level]
    outline = blob(wobble, (0.0, 0.0), (width * size, 0.96 * size), 0.03)
    _shells(canvas, tissue, outline)
    brain = outline * 0.86
    if level == 0:
        brain = brain * (1.0, 0.8) + np.array([0.0, 0.17])
        _orbits(canvas, rng, tissue, fine)
    inside = _brain(canvas, rng, tissue, fine, brain, drift)
    if level == 0:
        _skull_base(canvas, rng, tissue, fine)
    elif level == 1:
        _ventricles_axial(canvas, rng, tissue, drift)
    _midline(canvas, rng, tissue, (0.0, -0.8 if level else -0.3), (0.0, 0.82))
    _vessels(canvas, rng, tissue, brain)
    return Anatomy(brain, inside, (0.0, -0.17), fine, tissue)


def _coronal(
    canvas: Canvas, rng: np.random.Generator, tissue: Tissue, fine: np.ndarray, level: int, drift: float
) -> Anatomy:
    width = rng.uniform(0.66, 0.76) * (1.0 - 0.05 * abs(drift))
    _neck(canvas, rng, tissue, fine, rng.uniform(0.5, 0.64))
    outline = blob(rng, (0.0, -0.2), (width, 0.72), 0.03)
    _shells(canvas, tissue, outline)
    brain = (outline - (0.0, -0.2)) * (0.87, 0.83) + (0.0, -0.22)
    _airways(canvas, rng, tissue, level)
    inside = _brain(canvas, rng, tissue, fine, brain, drift)
    if level == 2:
        _cerebellum(canvas, rng, tissue, (0.0, 0.17), (0.5, 0.22))
    else:
        _temporal_gap(canvas, rng, tissue)
    _ventricles_coronal(canvas, rng, tissue, drift, wide=level == 2)
    _midline(canvas, rng, tissue, (0.0, -0.85), (0.0, -0.35))
    _vessels(canvas, rng, tissue, brain)
    return Anatomy(brain, inside, (0.0, 0.29), fine, tissue)


def _sagittal(
    canvas: Canvas, rng: np.random.Generator, tissue: Tissue, fine: np.ndarray, level: int, drift: float
) -> Anatomy:
    _profile(canvas, rng, tissue, fine)
    length = rng.uniform(0.84, 0.92) * (1.0 - 0.05 * abs(drift))
    outline = blob(rng, (0.02, -0.22), (length, 0.70), 0.03)
    _shells(canvas, tissue, outline)
    brain = (outline - (0.02, -0.22)) * (0.88, 0.82) + (0.02, -0.26)
    inside = _brain(canvas, rng, tissue, fine, brain, drift)
    _cerebellum(canvas, rng, tissue, (0.42, 0.2), (0.3, 0.2))
    if level == 2:
        _lateral_sagittal(canvas, rng, tissue)
    else:
        _midline_sagittal(canvas, rng, tissue)
    _vessels(canvas, rng, tissue, brain)
    return Anatomy(brain, inside, (-0.2, 0.2), fine, tissue)


def _shells(canvas: Canvas, tissue: Tissue, outline: np.ndarray) -> None:
    """Scalp, bone and the fluid under it, one in the other."""
    centre = outline.mean(axis=0)
    for scale, value in ((1.0, tissue.scalp), (0.945, tissue.bone), (0.925, tissue.bone * 1.5), (0.9, tissue.fluid)):
        canvas.fill((outline - centre) * scale + centre, value)


def _brain(
    canvas: Canvas, rng: np.random.Generator, tissue: Tissue, fine: np.ndarray, outline: np.ndarray, drift: float
) -> np.ndarray:
    """Folded cortex around white matter.

    Returns:
        (H, W) uint8, 1 in the brain.
    """
    inside = canvas.region(outline)
    # A blurred small copy of the brain measures depth at little cost: 0.5 at its edge, 1 within.
    small = cv2.resize(inside, (64, 64), interpolation=cv2.INTER_NEAREST)
    depth = grown(cv2.blur(small.astype(np.float32), (11, 11)), canvas.half_shape)
    folds = smooth_field(rng, canvas.half_shape, 24, drift)
    white = np.clip((depth - 0.8 + 0.2 * folds) * 5.0 + 0.5, 0.0, 1.0)
    sulci = np.maximum(1.0 - np.abs(folds + 0.3 * fine) * rng.uniform(3.0, 6.5), 0.0)
    sulci *= np.clip((1.04 - depth) * 3.0, 0.0, 1.0) * rng.uniform(0.5, 1.0)
    texture = tissue.grey + (tissue.white - tissue.grey) * white + (0.07 * tissue.grey) * fine
    texture -= (tissue.grey - tissue.fluid) * sulci
    canvas.put(grown(texture, canvas.shape), inside)
    return inside


def _midline(
    canvas: Canvas, rng: np.random.Generator, tissue: Tissue, start: tuple[float, float], end: tuple[float, float]
) -> None:
    """The falx: a thin line, dark or enhancing, that ends in a bright sinus."""
    bend = rng.normal(0.0, 0.012)
    middle = ((start[0] + end[0]) / 2 + bend, (start[1] + end[1]) / 2)
    value = tissue.bright if rng.random() < 0.4 else tissue.fluid
    canvas.line(np.array([start, middle, end]), 0.012, value)
    sinus = end if end[1] > 0.5 else start
    if rng.random() < 0.7:
        canvas.fill(blob(rng, sinus, (0.05, 0.04), 0.15), tissue.bright)


def _vessels(canvas: Canvas, rng: np.random.Generator, tissue: Tissue, brain: np.ndarray) -> None:
    """Vessels and spots that contrast agent makes bright in every head, so that brightness is no sign of a lesion."""
    centre = brain.mean(axis=0)
    for _ in range(int(rng.integers(3, 9))):
        corner = brain[int(rng.integers(len(brain)))]
        start = centre + (corner - centre) * rng.uniform(0.35, 0.98)
        # Inward, so that no vessel leaves the head.
        steps = rng.normal(0.0, 0.05, (3, 2)).cumsum(axis=0) + np.outer((0.1, 0.2, 0.3), centre - start)
        canvas.line(np.vstack([start, start + steps]), rng.uniform(0.008, 0.02), tissue.bright * rng.uniform(0.75, 1.1))
    for _ in range(int(rng.integers(0, 3))):
        spot = centre + (brain[int(rng.integers(len(brain)))] - centre) * rng.uniform(0.2, 0.9)
        radii = (rng.uniform(0.015, 0.045), rng.uniform(0.015, 0.045))
        canvas.fill(blob(rng, (spot[0], spot[1]), radii, 0.1), tissue.bright)


def _ventricles_axial(canvas: Canvas, rng: np.random.Generator, tissue: Tissue, drift: float) -> None:
    """Frontal and occipital horns, with the bright choroid plexus in the latter."""
    size = rng.uniform(0.7, 1.5) * (1.0 + 0.4 * drift)
    shift = np.array([rng.normal(0.0, 0.01), 0.0])
    front = blob(rng, (0.085, -0.2), (0.045 * size, 0.17), 0.08, -0.25)
    back = blob(rng, (0.16, 0.24), (0.05 * size, 0.19), 0.08, 0.35)
    plexus = blob(rng, (0.15, 0.2), (0.025 * size, 0.07), 0.2, 0.35)
    shows = rng.random() < 0.7
    for outline in (front, back, mirrored(front), mirrored(back)):
        canvas.fill(outline + shift, tissue.fluid)
    if shows:
        for outline in (plexus, mirrored(plexus)):
            canvas.fill(outline + shift, tissue.bright)
    canvas.fill(blob(rng, (shift[0], 0.02), (0.016 * size, 0.1), 0.0), tissue.fluid)
    if rng.random() < 0.4:
        canvas.fill(blob(rng, (shift[0], 0.16), (0.03, 0.03), 0.1), tissue.bright)


def _orbits(canvas: Canvas, rng: np.random.Generator, tissue: Tissue, fine: np.ndarray) -> None:
    """Eyes in bright fat, and the nose between them, in front of the brain at the base."""
    front = canvas.region(blob(rng, (0.0, -0.55), (0.58, 0.32), 0.05))
    canvas.put(grown(tissue.scalp * 0.55 + 22.0 * fine, canvas.shape), front)
    eye = rng.uniform(0.12, 0.15)
    for side in (-1.0, 1.0):
        canvas.fill(blob(rng, (0.3 * side, -0.62), (eye * 1.25, eye * 1.5), 0.06), tissue.scalp * 0.95)
        canvas.line(np.array([(0.28 * side, -0.5), (0.12 * side, -0.28)]), 0.03, tissue.grey)
        canvas.fill(blob(rng, (0.3 * side, -0.7), (eye, eye), 0.02), tissue.fluid)
        canvas.fill(blob(rng, (0.3 * side, -0.81), (eye * 0.4, eye * 0.2), 0.0), tissue.grey)
    for column in (-0.06, 0.0, 0.06):
        canvas.fill(blob(rng, (column, -0.55), (0.026, 0.2), 0.1), tissue.bone)


def _skull_base(canvas: Canvas, rng: np.random.Generator, tissue: Tissue, fine: np.ndarray) -> None:
    """Petrous bone, brainstem, cerebellum and the bright arteries around the sella."""
    for side in (-1.0, 1.0):
        canvas.fill(blob(rng, (0.36 * side, 0.16), (0.22, 0.045), 0.15, -0.5 * side), tissue.bone * 1.6)
    canvas.fill(blob(rng, (0.0, -0.16), (0.19, 0.13), 0.12), tissue.fluid * 1.1)
    canvas.fill(blob(rng, (0.0, -0.18), (0.09, 0.055), 0.15), tissue.grey * rng.uniform(0.9, 1.4))
    canvas.fill(blob(rng, (0.0, 0.1), (0.15, 0.13), 0.05), tissue.white)
    _cerebellum(canvas, rng, tissue, (0.0, 0.5), (0.45, 0.26))
    canvas.fill(blob(rng, (0.0, 0.27), (0.06, 0.035), 0.1), tissue.fluid)
    _arteries(canvas, rng, tissue, (0.0, -0.17))


def _arteries(canvas: Canvas, rng: np.random.Generator, tissue: Tissue, sella: tuple[float, float]) -> None:
    """The carotids beside the sella, bright or (fast flow) black."""
    value = tissue.bright * 1.1 if rng.random() < 0.7 else tissue.bone
    for side in (-1.0, 1.0):
        centre = (sella[0] + side * rng.uniform(0.1, 0.14), sella[1] + rng.normal(0.0, 0.01))
        canvas.fill(blob(rng, centre, (rng.uniform(0.022, 0.04), rng.uniform(0.022, 0.04)), 0.1), value)


def _cerebellum(
    canvas: Canvas, rng: np.random.Generator, tissue: Tissue, centre: tuple[float, float], radii: tuple[float, float]
) -> None:
    """Fine dark furrows in a rounded body under a dark tentorium."""
    canvas.fill(blob(rng, centre, (radii[0] * 1.07, radii[1] * 1.1), 0.03), tissue.fluid)
    canvas.fill(blob(rng, centre, radii, 0.03), tissue.grey * 1.05)
    for row in np.linspace(-0.7, 0.7, 6):
        reach = radii[0] * float(np.sqrt(1.0 - row * row)) * 0.85
        bend = np.array([(-reach, 0.0), (0.0, 0.03 * rng.standard_normal()), (reach, 0.0)])
        bend += np.array([centre[0], centre[1] + row * radii[1]])
        canvas.line(bend, 0.01, tissue.grey * 0.78)


def _ventricles_coronal(canvas: Canvas, rng: np.random.Generator, tissue: Tissue, drift: float, wide: bool) -> None:
    """The two bodies, apart (`wide`) at the back of the head, and the third ventricle."""
    size = rng.uniform(0.7, 1.5) * (1.0 + 0.4 * drift)
    body = blob(rng, (0.2 if wide else 0.09, -0.22), (0.05 * size, 0.13 if wide else 0.08), 0.1, 0.5)
    plexus = blob(rng, (0.2 if wide else 0.08, -0.17), (0.025, 0.035), 0.2)
    shows = rng.random() < 0.6
    for outline in (body, mirrored(body)):
        canvas.fill(outline, tissue.fluid)
    if shows:
        for outline in (plexus, mirrored(plexus)):
            canvas.fill(outline, tissue.bright)
    if not wide:
        canvas.fill(blob(rng, (0.0, -0.06), (0.014 * size, 0.08), 0.0), tissue.fluid)


def _temporal_gap(canvas: Canvas, rng: np.random.Generator, tissue: Tissue) -> None:
    """What lies between the temporal lobes: fluid, the gland in its place, and the arteries beside it."""
    gap = np.array([(-0.13, 0.12), (0.13, 0.12), (0.22, 0.46), (-0.22, 0.46)])
    canvas.fill(gap + rng.normal(0.0, 0.012, (4, 2)), tissue.bone * 2.0)
    canvas.fill(blob(rng, (0.0, 0.19), (0.15, 0.06), 0.1), tissue.fluid)
    canvas.fill(blob(rng, (0.0, 0.28), (0.085, 0.035), 0.12), tissue.grey * rng.uniform(0.9, 1.4))
    for side in (-1.0, 1.0):
        canvas.line(np.array([(0.62 * side, -0.02), (0.42 * side, 0.02), (0.3 * side, -0.06)]), 0.02, tissue.fluid)
    _arteries(canvas, rng, tissue, (0.0, 0.28))


def _neck(canvas: Canvas, rng: np.random.Generator, tissue: Tissue, fine: np.ndarray, half: float) -> None:
    """Face and neck below the skull: fat, muscle and marrow, brighter and rougher than brain."""
    right = np.array([(half, 0.1), (half * 1.02, 0.4), (half * 0.86, 0.7), (half * 0.95, 1.0), (half * 1.3, 1.4)])
    corners = np.vstack([right, mirrored(right)[::-1]])
    canvas.fill(corners * (1.12, 1.0), tissue.scalp)
    _flesh(canvas, rng, tissue, fine, corners)


def _flesh(canvas: Canvas, rng: np.random.Generator, tissue: Tissue, fine: np.ndarray, outline: np.ndarray) -> None:
    rough = smooth_field(rng, canvas.half_shape, 18)
    flesh = np.maximum(0.75 * tissue.grey + (0.55 * rough + 0.25 * fine) * tissue.grey, 4.0)
    canvas.put(grown(flesh, canvas.shape), canvas.region(outline))
    for _ in range(int(rng.integers(2, 6))):
        spot = (rng.uniform(outline[:, 0].min(), outline[:, 0].max()) * 0.8, rng.uniform(0.45, 0.95))
        canvas.fill(blob(rng, spot, (rng.uniform(0.03, 0.12), rng.uniform(0.03, 0.09)), 0.2), tissue.bright)


def _airways(canvas: Canvas, rng: np.random.Generator, tissue: Tissue, level: int) -> None:
    """Black sinuses and pharynx at the midline, with bright lining; eyes where the slice is far in front."""
    canvas.fill(blob(rng, (0.0, 0.55), (0.16, 0.13), 0.15), tissue.bright)
    canvas.fill(blob(rng, (0.0, 0.55), (0.12, 0.1), 0.15), tissue.bone * 0.5)
    canvas.fill(blob(rng, (0.0, 0.85), (0.08, 0.14), 0.2), tissue.bone * 0.5)
    if level == 1:
        for side in (-1.0, 1.0):
            canvas.fill(blob(rng, (0.33 * side, 0.55), (0.14, 0.13), 0.05), tissue.scalp)
            canvas.fill(blob(rng, (0.33 * side, 0.55), (0.1, 0.1), 0.03), tissue.fluid)


def _profile(canvas: Canvas, rng: np.random.Generator, tissue: Tissue, fine: np.ndarray) -> None:
    """The face to the left and the neck to the right, below the skull."""
    nose_and_chin = [(-0.8, -0.3), (-0.86, 0.05), (-0.98, 0.3), (-0.82, 0.36), (-0.88, 0.55), (-0.75, 0.85)]
    throat_and_neck = [(-0.35, 0.95), (-0.05, 1.4), (0.55, 1.4), (0.6, 0.6), (0.75, 0.1)]
    face = np.array([*nose_and_chin, *throat_and_neck])
    face = face + rng.normal(0.0, 0.02, face.shape)
    canvas.fill(face * 1.05, tissue.scalp)
    _flesh(canvas, rng, tissue, fine, face)
    canvas.fill(blob(rng, (-0.48, 0.33), (0.24, 0.06), 0.2), tissue.bone * 0.5)
    canvas.fill(blob(rng, (-0.3, 0.3), (0.07, 0.07), 0.15), tissue.bone * 0.6)
    canvas.fill(blob(rng, (-0.45, 0.6), (0.2, 0.04), 0.2), tissue.bone * 0.7)
    canvas.line(np.array([(-0.1, 0.5), (-0.06, 0.8), (-0.04, 1.4)]), 0.06, tissue.bone)


def _midline_sagittal(canvas: Canvas, rng: np.random.Generator, tissue: Tissue) -> None:
    """Corpus callosum over the ventricle, thalamus, brainstem down into the neck, and the sella in front of it."""
    angles = np.linspace(np.pi * 1.08, np.pi * 1.95, 12)
    arch = np.stack([0.38 * np.cos(angles), -0.16 + 0.25 * np.sin(angles)], axis=1)
    canvas.fill(blob(rng, (0.0, -0.23), (0.3, 0.11), 0.08), tissue.fluid)
    canvas.line(arch, 0.07, tissue.white * 1.08)
    canvas.fill(blob(rng, (0.02, -0.13), (0.17, 0.09), 0.06), tissue.grey * 1.05)
    stem = np.array([(-0.06, -0.08), (0.12, -0.06), (0.16, 0.12), (0.13, 0.3), (0.2, 0.6), (0.24, 1.4)])
    back = np.array([(0.1, 1.4), (0.06, 0.6), (-0.01, 0.3), (-0.08, 0.14)])
    canvas.fill(np.vstack([stem, back]) * (1.25, 1.0) - (0.01, 0.0), tissue.fluid)
    canvas.fill(np.vstack([stem, back]), tissue.white)
    canvas.fill(blob(rng, (0.19, 0.16), (0.03, 0.08), 0.1), tissue.fluid)
    canvas.fill(blob(rng, (-0.2, 0.22), (0.11, 0.09), 0.15), tissue.bone * 2.0)
    canvas.fill(blob(rng, (-0.2, 0.18), (0.06, 0.035), 0.15), tissue.grey * rng.uniform(0.9, 1.4))
    canvas.fill(blob(rng, (-0.08, 0.34), (0.07, 0.12), 0.15, 0.4), tissue.bright * rng.uniform(0.5, 1.1))
    if rng.random() < 0.5:
        canvas.fill(blob(rng, (0.24, -0.04), (0.03, 0.03), 0.1), tissue.bright)


def _lateral_sagittal(canvas: Canvas, rng: np.random.Generator, tissue: Tissue) -> None:
    """Away from the midline: the Sylvian fissure, a ventricle's horn, and an eye."""
    canvas.line(np.array([(-0.45, 0.02), (-0.1, -0.08), (0.25, -0.2)]), 0.025, tissue.fluid)
    canvas.fill(blob(rng, (0.18, -0.1), (0.14, 0.05), 0.15, 0.5), tissue.fluid)
    if rng.random() < 0.6:
        canvas.fill(blob(rng, (0.18, -0.08), (0.06, 0.025), 0.2), tissue.bright)
    canvas.fill(blob(rng, (-0.74, 0.22), (0.15, 0.14), 0.05), tissue.scalp)
    canvas.fill(blob(rng, (-0.77, 0.22), (0.1, 0.1), 0.03), tissue.fluid)
    canvas.fill(blob(rng, (-0.25, 0.25), (0.2, 0.12), 0.1), tissue.grey)
