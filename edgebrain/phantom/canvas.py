"""Drawing in head units: a canvas of grey values, smooth random fields, and irregular outlines.

Head units: the centre of the head is (0, 0), x points right, y points down, and a head reaches about 1 in each
direction. Only fast operations on whole images are used, so that drawing a phantom is about as fast as reading one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgebrain.runtime.opencv import cv2

# OpenCV takes polygon corners in fixed point; with 4 fractional bits outlines are exact to a sixteenth of a pixel.
SHIFT = 4
_ANGLES = np.linspace(0.0, 2.0 * np.pi, 48, endpoint=False)
_CIRCLE = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)
_ORDERS = np.arange(2, 7)
_WAVES = np.exp(1j * _ANGLES[:, np.newaxis] * _ORDERS)


@dataclass(frozen=True)
class Canvas:
    """Pixels, and where the head lies on them.

    Attributes:
        pixels: (H, W) float32 grey values, drawn on in place.
        matrix: (2, 2) float64, head units to px (scale and rotation).
        centre: (2,) float64, x and y of the head's centre in px.
    """

    pixels: np.ndarray
    matrix: np.ndarray
    centre: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the canvas in pixels."""
        return self.pixels.shape[0], self.pixels.shape[1]

    @property
    def half_shape(self) -> tuple[int, int]:
        """Half the height and width, the size at which textures are computed."""
        return self.pixels.shape[0] // 2, self.pixels.shape[1] // 2

    @property
    def unit_px(self) -> float:
        """Length of one head unit in px."""
        return float(np.hypot(self.matrix[0, 0], self.matrix[1, 0]))

    def fill(self, outline: np.ndarray, grey: float) -> None:
        """Fill an outline: (n, 2) float64 in head units; grey: 0 to 255."""
        cv2.fillPoly(self.pixels, [self._corners(outline)], grey, cv2.LINE_8, SHIFT)

    def line(self, points: np.ndarray, width: float, grey: float) -> None:
        """Draw an open line: (n, 2) float64 in head units; width in head units, at least one pixel; grey: 0 to 255."""
        pixels = max(1, round(width * self.unit_px))
        cv2.polylines(self.pixels, [self._corners(points)], False, grey, pixels, cv2.LINE_8, SHIFT)

    def region(self, outline: np.ndarray) -> np.ndarray:
        """The inside of an outline: (n, 2) float64 in head units to (H, W) uint8, 1 inside."""
        inside: np.ndarray = np.zeros(self.pixels.shape, dtype=np.uint8)
        cv2.fillPoly(inside, [self._corners(outline)], 1, cv2.LINE_8, SHIFT)
        return inside

    def put(self, values: np.ndarray, inside: np.ndarray) -> None:
        """Copy values, (H, W) float32 grey values, to the canvas where `inside`, (H, W) uint8, is not 0."""
        cv2.copyTo(values, inside, self.pixels)

    def _corners(self, outline: np.ndarray) -> np.ndarray:
        pixels: np.ndarray = (outline @ self.matrix.T + self.centre) * (1 << SHIFT)
        return pixels.astype(np.int32)


def blob(
    rng: np.random.Generator,
    centre: tuple[float, float],
    radii: tuple[float, float],
    wobble: float = 0.0,
    turn: float = 0.0,
) -> np.ndarray:
    """An ellipse with an irregular radius.

    Args:
        rng: Source of the irregularity.
        centre: x and y in head units.
        radii: Half axes in head units.
        wobble: Relative deviation of the radius.
        turn: Rotation in radians.

    Returns:
        (48, 2) float64, corners in head units.
    """
    radius = 1.0
    if wobble:
        parts = rng.standard_normal((2, len(_ORDERS))) * (wobble / _ORDERS)
        radius = (1.0 + (_WAVES @ (parts[0] + 1j * parts[1])).real)[:, np.newaxis]
    outline = _CIRCLE * radius * radii
    if turn:
        outline = outline @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    return outline + centre


def smooth_field(rng: np.random.Generator, shape: tuple[int, int], cells: int, drift: float = 0.0) -> np.ndarray:
    """A smooth random field with mean about 0 and standard deviation about 0.6.

    Args:
        rng: Source of the field.
        shape: Height and width in px.
        cells: Number of bumps along each side.
        drift: Mixing angle in radians towards a second, unrelated field. Slices of one head share both fields and
            differ a little in drift, which makes them neighbours.

    Returns:
        (H, W) float32 of the given shape.
    """
    coarse = rng.standard_normal((2, cells, cells), dtype=np.float32)
    mixed = np.float32(np.cos(drift)) * coarse[0] + np.float32(np.sin(drift)) * coarse[1]
    field: np.ndarray = cv2.resize(mixed, shape[::-1], interpolation=cv2.INTER_CUBIC)
    return field


def grown(values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Enlarge a field that was computed at half size, which is a quarter of the work.

    Args:
        values: (h, w) float32.
        shape: Wanted height and width in px.

    Returns:
        (H, W) float32 of the given shape.
    """
    field: np.ndarray = cv2.resize(values, shape[::-1], interpolation=cv2.INTER_LINEAR)
    return field


def mirrored(outline: np.ndarray) -> np.ndarray:
    """An outline mirrored at the midline: (n, 2) to (n, 2) float64 in head units."""
    return outline * (-1.0, 1.0)
