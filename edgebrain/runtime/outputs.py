"""What `predict` leaves behind for a picture: mask, overlay with the lesion's outline, and its row in results.csv."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgebrain.bundle import HEALTHY
from edgebrain.errors import BadImage, EdgebrainError
from edgebrain.files import refuse_to_overwrite, write_bytes
from edgebrain.runtime.image import read_file
from edgebrain.runtime.opencv import cv2
from edgebrain.runtime.plausibility import implausible_head
from edgebrain.runtime.results import FileState, RecordedState, ResultsTable
from edgebrain.runtime.results_file import MASK, OVERLAY
from edgebrain.runtime.session import Prediction, Session
from edgebrain.runtime.transform import resize_exact
from edgebrain.text import in_one_line

OUTLINE_BGR = (0, 220, 255)
# An outline on a thumbnail cannot be seen: overlays are drawn at least this wide and high, in pixels.
SMALLEST_OVERLAY = 384
CAPTION_PIXELS = 28
CHANGED = "predicted again: the file has changed since its last row"


@dataclass(frozen=True)
class PictureResult:
    """The prediction for one picture.

    Attributes:
        name: The file, as tables and messages show it.
        label: The most probable class.
        probability: Its probability, 0 to 1.
        area_px: Lesion area in pixels of the picture's own size.
        area_cm2: The same in cm2; None where the pixel size is not known.
        width: Columns of the picture, in pixels.
        height: Rows of the picture, in pixels.
        class_probabilities: Class -> probability, 0 to 1.
        mask: Name of the mask that was written, relative to the output folder.
        overlay: Name of the overlay, likewise.
        warning: What a person should look at before believing the result; empty where nothing is odd.
    """

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
        """The result as a JSON object."""
        return {**vars(self), "error": None, "warning": self.warning or None}

    def sentence(self) -> str:
        """The result in one line."""
        doubt = f" (warning: {self.warning})" if self.warning else ""
        return f"{in_one_line(self.name)}: {caption(self.label, self.probability, self.area_px, self.area_cm2)}{doubt}"

    def cells(self) -> dict[str, Any]:
        """Column -> cell of the picture's row in results.csv."""
        known = {**vars(self), **{name: f"{value:.6f}" for name, value in self.class_probabilities.items()}}
        del known["class_probabilities"]
        known["probability"] = f"{self.probability:.6f}"
        known["area_cm2"] = "" if self.area_cm2 is None else f"{self.area_cm2:.4f}"
        return known


def predict_and_record(
    session: Session,
    path: Path,
    name: str,
    stem: str,
    table: ResultsTable,
    pixel_mm: float | None = None,
    changed: bool = False,
) -> PictureResult:
    """Predict one file: write its mask and overlay, and last its row in the table.

    The row comes last, so that a file whose pictures were only half written when the process ended has none, and is
    predicted again by the next run, over the same file names.

    Args:
        session: The opened model.
        path: The picture's file.
        name: How table and messages call it.
        stem: Name of mask and overlay without their endings, relative to the output folder.
        table: The table of the output folder.
        pixel_mm: Side of a pixel in mm; None where it is not known.
        changed: Whether the table has a row of the file in another state.

    Raises:
        BadImage: The file cannot be used; it has no row yet (see `record_failure`).
        CannotWrite: The disk is full, or the folder cannot be written to.
    """
    data, status = read_file(path, name)
    state = FileState.of(status)
    image, prediction = session.predict_file(data, name)
    warnings = [implausible_head(image), CHANGED if changed else ""]
    result = _result(prediction, name, stem, pixel_mm, "; ".join(filter(None, warnings)))
    table.begin(stem)
    _write_pictures(table.path.parent, image, prediction, result)
    table.append({**result.cells(), "bytes": state.size_bytes, "modified": state.modified})
    return result


def record_failure(table: ResultsTable, path: Path, name: str, problem: BadImage, changed: bool = False) -> None:
    """Write the row of a file that cannot be used, unless the table says just that already.

    Args:
        table: The table of the output folder.
        path: The picture's file.
        name: How table and messages call it.
        problem: Why it cannot be used.
        changed: Whether the table has a row of the file in another state.

    Raises:
        CannotWrite: The disk is full, or the folder cannot be written to.
    """
    cells = {"name": name, "error": problem.message, "warning": CHANGED if changed else ""}
    with suppress(OSError):
        state = FileState.of(path.stat())
        if table.recorded.get(name) == RecordedState(state, problem.message):
            return
        cells |= {"bytes": str(state.size_bytes), "modified": state.modified}
    table.append(cells)


def refuse_if_written(out: Path, stems: Sequence[str]) -> None:
    """Raise CannotWrite, before anything is computed, where a mask or an overlay is there already."""
    for name in (f"{stem}{ending}" for stem in stems for ending in (MASK, OVERLAY)):
        refuse_to_overwrite(out / name, force=False)


def check_pixel_mm(pixel_mm: float | None) -> None:
    """Raise EdgebrainError for a pixel size that no MRI has."""
    if pixel_mm is not None and not (math.isfinite(pixel_mm) and 0.0 < pixel_mm <= 50.0):
        raise EdgebrainError(f"--pixel-mm {pixel_mm} is no pixel size", "give the side of a pixel in mm, such as 0.5")


def overlay(image: np.ndarray, mask: np.ndarray, text: str) -> np.ndarray:
    """The slice with the lesion's outline on it and a caption below.

    Small slices are enlarged by a whole factor until the outline can be read.

    Args:
        image: The slice, (H, W) uint8.
        mask: (H, W) bool, True is lesion.
        text: The caption, ASCII: OpenCV draws nothing else.

    Returns:
        (factor * H + CAPTION_PIXELS, factor * W, 3) uint8, BGR.
    """
    height, width = image.shape
    factor = max(1, -(-SMALLEST_OVERLAY // min(height, width))) if max(height, width) < 4 * SMALLEST_OVERLAY else 1
    canvas = cv2.cvtColor(resize_exact(image, height * factor, width * factor), cv2.COLOR_GRAY2BGR)
    large = np.repeat(np.repeat(mask.astype(np.uint8), factor, axis=0), factor, axis=1)
    outlines, _ = cv2.findContours(large, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(canvas, outlines, -1, OUTLINE_BGR, max(1, round(min(canvas.shape[:2]) / 256)))
    return np.vstack([canvas, _caption_strip(text, canvas.shape[1])])


def caption(label: str, probability: float, area_px: int, area_cm2: float | None) -> str:
    """The result in words: class, its probability, lesion area.

    Args:
        label: The most probable class.
        probability: Its probability, 0 to 1.
        area_px: Lesion area in pixels of the slice's own size.
        area_cm2: The same in cm2; None where the pixel size is not known.
    """
    square = "" if area_cm2 is None else f" ({area_cm2:.2f} cm2)"
    lesion = f"lesion {area_px} px{square}" if area_px else "no lesion"
    # Segmentation and classification are two heads that may contradict each other; a reader must not overlook it.
    doubt = "" if (label == HEALTHY) == (area_px == 0) else " (class and mask disagree)"
    return f"{label} {100 * probability:.1f} %, {lesion}{doubt}"


def _caption_strip(text: str, width: int) -> np.ndarray:
    """A black strip with a line of text that fits its width, (CAPTION_PIXELS, width, 3) uint8."""
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, 0.45
    (needed, _), _ = cv2.getTextSize(text, font, scale, 1)
    strip = np.zeros((CAPTION_PIXELS, width, 3), dtype=np.uint8)
    fitting = scale * min(1.0, (width - 12) / needed)
    cv2.putText(strip, text, (6, 19), font, fitting, (255, 255, 255), 1, cv2.LINE_AA)
    return strip


def png(pixels: np.ndarray) -> bytes:
    """Encode a PNG file.

    Args:
        pixels: (H, W) grey or (H, W, 3) BGR, uint8, 0 to 255.
    """
    done, encoded = cv2.imencode(".png", pixels)
    assert done, "OpenCV always encodes uint8 as PNG"
    return encoded.tobytes()


def _result(prediction: Prediction, name: str, stem: str, pixel_mm: float | None, warning: str) -> PictureResult:
    area_px = int(np.count_nonzero(prediction.mask))
    height, width = prediction.mask.shape
    return PictureResult(
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


def _write_pictures(out: Path, image: np.ndarray, prediction: Prediction, result: PictureResult) -> None:
    write_bytes(out / result.mask, png(prediction.mask.astype(np.uint8) * 255))
    text = caption(result.label, result.probability, result.area_px, result.area_cm2)
    write_bytes(out / result.overlay, png(overlay(image, prediction.mask, text)))
