"""Drawing in head units: a canvas of grey values, smooth random fields, and outlines that wobble.

Head units: the centre of the head is (0, 0), x points right, y points down, and a head reaches about 1 in each
direction. Only fast whole-image operations are used, so that a phantom is made about as fast as it is read.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

# OpenCV takes polygon corners in fixed point; 4 bits are a sixteenth of a pixel.
SHIFT = 4
_ANGLES = np.linspace(0.0, 2.0 * np.pi, 48, endpoint=False)
_CIRCLE = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)
_ORDERS = np.arange(2, 7)
_WAVES = np.exp(1j * _ANGLES[:, np.newaxis] * _ORDERS)


@dataclass(frozen=True)
class Easel:
    """A canvas and where the head lies on it.

    canvas: (H, W) float32, grey values. matrix: (2, 2) head units to pixels (scale and turn). centre: (2,) pixels.
    """

    canvas: np.ndarray
    matrix: np.ndarray
    centre: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the canvas in pixels."""
        return self.canvas.shape[0], self.canvas.shape[1]

    @property
    def half_shape(self) -> tuple[int, int]:
        """Half the canvas's height and width: where textures are computed."""
        return self.canvas.shape[0] // 2, self.canvas.shape[1] // 2

    @property
    def unit_px(self) -> float:
        """Pixels of one head unit."""
        return float(np.hypot(self.matrix[0, 0], self.matrix[1, 0]))

    def fill(self, outline: np.ndarray, grey: float) -> None:
        """Fill an outline, (n, 2) in head units."""
        cv2.fillPoly(self.canvas, [self._corners(outline)], grey, cv2.LINE_8, SHIFT)

    def line(self, points: np.ndarray, width: float, grey: float) -> None:
        """Draw an open line, (n, 2) in head units; width in head units, one pixel at least."""
        pixels = max(1, round(width * self.unit_px))
        cv2.polylines(self.canvas, [self._corners(points)], False, grey, pixels, cv2.LINE_8, SHIFT)

    def region(self, outline: np.ndarray) -> np.ndarray:
        """The inside of an outline, (n, 2) in head units. Returns: (H, W) uint8, 1 inside."""
        inside: np.ndarray = np.zeros(self.canvas.shape, dtype=np.uint8)
        cv2.fillPoly(inside, [self._corners(outline)], 1, cv2.LINE_8, SHIFT)
        return inside

    def put(self, values: np.ndarray, inside: np.ndarray) -> None:
        """Copy values, (H, W) float32, to the canvas where `inside`, (H, W) uint8, is not 0."""
        cv2.copyTo(values, inside, self.canvas)

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
    """An ellipse whose radius wobbles by about `wobble` of itself; turn in radians. Returns: (48, 2) head units."""
    radius = 1.0
    if wobble:
        parts = rng.standard_normal((2, len(_ORDERS))) * (wobble / _ORDERS)
        radius = (1.0 + (_WAVES @ (parts[0] + 1j * parts[1])).real)[:, np.newaxis]
    outline = _CIRCLE * radius * radii
    if turn:
        outline = outline @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    return outline + centre


def smooth_field(rng: np.random.Generator, shape: tuple[int, int], cells: int, drift: float = 0.0) -> np.ndarray:
    """A smooth random field with `cells` bumps along the slice, mean about 0 and deviation about 0.6.

    drift: radians towards a second, unrelated field; slices of one head that drift a little are neighbours.
    Returns: shape, float32.
    """
    coarse = rng.standard_normal((2, cells, cells), dtype=np.float32)
    mixed = np.float32(np.cos(drift)) * coarse[0] + np.float32(np.sin(drift)) * coarse[1]
    field: np.ndarray = cv2.resize(mixed, shape[::-1], interpolation=cv2.INTER_CUBIC)
    return field


def grown(values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """A field that was computed at half size (a quarter of the work), at the canvas's size. Returns: shape, float32."""
    field: np.ndarray = cv2.resize(values, shape[::-1], interpolation=cv2.INTER_LINEAR)
    return field


def mirrored(outline: np.ndarray) -> np.ndarray:
    """The outline on the other side of the midline, (n, 2) head units."""
    return outline * (-1.0, 1.0)
