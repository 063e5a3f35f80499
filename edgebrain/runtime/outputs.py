"""What `predict` leaves behind for a picture: mask, overlay with the lesion's outline, and the cells of its line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgebrain.bundle import HEALTHY
from edgebrain.errors import EdgebrainError
from edgebrain.files import refuse_to_overwrite, write_bytes
from edgebrain.runtime.opencv import cv2
from edgebrain.runtime.results import MASK, OVERLAY
from edgebrain.runtime.session import Prediction
from edgebrain.runtime.transform import resize_exact
from edgebrain.text import in_one_line

OUTLINE_BGR = (0, 220, 255)
# An outline on a thumbnail cannot be seen: overlays are drawn at least this wide and high, in pixels.
SMALLEST_OVERLAY = 384
CAPTION_PIXELS = 28


@dataclass(frozen=True)
class Result:
    """One picture's answer. area_px: lesion pixels at the picture's own size. area_cm2: None where nobody gave the
    pixel size. mask, overlay: names of the files written, relative to the output folder. warning: what a person should
    look at before believing the answer, empty where nothing is odd."""

    name: str
    label: str
    probability: float
    area_px: int
    area_cm2: float | None
    width: int
    height: int
    class_probabilities: dict[str, float]
    mask: str
    overlay: str
    warning: str = ""

    def as_json(self) -> dict[str, Any]:
        """The answer as JSON object."""
        return {**vars(self), "error": None, "warning": self.warning or None}

    def sentence(self) -> str:
        """The answer in one line."""
        doubt = f" (warning: {self.warning})" if self.warning else ""
        return f"{in_one_line(self.name)}: {caption(self.label, self.probability, self.area_px, self.area_cm2)}{doubt}"

    def cells(self) -> dict[str, Any]:
        """Column -> cell of the picture's line in results.csv."""
        known = {**vars(self), **{name: f"{value:.6f}" for name, value in self.class_probabilities.items()}}
        del known["class_probabilities"]
        known["probability"] = f"{self.probability:.6f}"
        known["area_cm2"] = "" if self.area_cm2 is None else f"{self.area_cm2:.4f}"
        return known


def result_of(prediction: Prediction, name: str, stem: str, pixel_mm: float | None, warning: str = "") -> Result:
    """The answer for one picture. stem: of the files that are written. pixel_mm: side of a pixel in mm, or None."""
    area_px = int(np.count_nonzero(prediction.mask))
    height, width = prediction.mask.shape
    return Result(
        name=name,
        label=prediction.label,
        probability=float(prediction.class_probabilities.max()),
        area_px=area_px,
        area_cm2=None if pixel_mm is None else area_px * pixel_mm * pixel_mm / 100.0,
        width=width,
        height=height,
        class_probabilities=dict(zip(prediction.classes, prediction.class_probabilities.tolist(), strict=True)),
        mask=f"{stem}{MASK}",
        overlay=f"{stem}{OVERLAY}",
        warning=warning,
    )


def write_pictures(out: Path, image: np.ndarray, prediction: Prediction, result: Result) -> None:
    """Write mask and overlay. image: (H, W) uint8. Raises CannotWrite."""
    write_bytes(out / result.mask, png(prediction.mask.astype(np.uint8) * 255))
    text = caption(result.label, result.probability, result.area_px, result.area_cm2)
    write_bytes(out / result.overlay, png(overlay(image, prediction.mask, text)))


def refuse_if_written(out: Path, stems: Sequence[str]) -> None:
    """Raises CannotWrite, before anything is computed: a mask or an overlay is there already."""
    for name in (f"{stem}{ending}" for stem in stems for ending in (MASK, OVERLAY)):
        refuse_to_overwrite(out / name, force=False)


def check_pixel_mm(pixel_mm: float | None) -> None:
    """Raises EdgebrainError: a pixel size that no MRI has."""
    if pixel_mm is not None and not (math.isfinite(pixel_mm) and 0.0 < pixel_mm <= 50.0):
        raise EdgebrainError(f"--pixel-mm {pixel_mm} is no pixel size", "give the side of a pixel in mm, such as 0.5")


def overlay(image: np.ndarray, mask: np.ndarray, text: str) -> np.ndarray:
    """The slice with the lesion's outline on it and a caption below.

    Small slices are enlarged by a whole factor until the outline can be read.

    Args:
        image: (H, W) uint8.
        mask: (H, W) bool.
        text: ASCII.

    Returns:
        (h, w, 3) uint8, BGR.
    """
    height, width = image.shape
    factor = max(1, -(-SMALLEST_OVERLAY // min(height, width))) if max(height, width) < 4 * SMALLEST_OVERLAY else 1
    canvas = cv2.cvtColor(resize_exact(image, height * factor, width * factor), cv2.COLOR_GRAY2BGR)
    large = np.repeat(np.repeat(mask.astype(np.uint8), factor, axis=0), factor, axis=1)
    outlines, _ = cv2.findContours(large, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(canvas, outlines, -1, OUTLINE_BGR, max(1, round(min(canvas.shape[:2]) / 256)))
    return np.vstack([canvas, _strip(text, canvas.shape[1])])


def caption(label: str, probability: float, area_px: int, area_cm2: float | None) -> str:
    """The answer in words: class, its probability, lesion area."""
    square = "" if area_cm2 is None else f" ({area_cm2:.2f} cm2)"
    lesion = f"lesion {area_px} px{square}" if area_px else "no lesion"
    # The two heads answer for themselves; a reader must not overlook that they contradict each other.
    doubt = "" if (label == HEALTHY) == (area_px == 0) else " (class and mask disagree)"
    return f"{label} {100 * probability:.1f} %, {lesion}{doubt}"


def _strip(text: str, width: int) -> np.ndarray:
    """A black strip with a line of text that fits its width, (CAPTION_PIXELS, width, 3) uint8."""
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, 0.45
    (needed, _), _ = cv2.getTextSize(text, font, scale, 1)
    strip = np.zeros((CAPTION_PIXELS, width, 3), dtype=np.uint8)
    fitting = scale * min(1.0, (width - 12) / needed)
    cv2.putText(strip, text, (6, 19), font, fitting, (255, 255, 255), 1, cv2.LINE_AA)
    return strip


def png(pixels: np.ndarray) -> bytes:
    """A PNG file. pixels: (H, W) or (H, W, 3) BGR, uint8."""
    done, encoded = cv2.imencode(".png", pixels)
    assert done, "OpenCV always encodes uint8 as PNG"
    return encoded.tobytes()
