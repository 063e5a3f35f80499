"""A small data set in BRISC's layout with phantom slices in it, for audits to look at."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from edgebrain.phantom.generator import generate

CODES = {"glioma": "gl", "meningioma": "me", "pituitary": "pi", "no_tumor": "no"}
PLANES = {"axial": "ax", "coronal": "co", "sagittal": "sa"}
# First slices of heads that have nothing in common.
UNRELATED = [start + 12 * turn for turn in range(4) for start in (0, 1, 3, 4, 7, 8, 9)]


@cache
def phantom_head(number: int) -> np.ndarray:
    """A slice of a head of its own, (H, W) uint8."""
    return generate(UNRELATED[number], seed=33).image


class Folder:
    """A data set to be filled. Slices are PNG, so that nothing is lost; a tumour slice gets a square lesion."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._number = 0
        (root / "segmentation_task").mkdir(parents=True)

    def put(
        self,
        image: np.ndarray,
        label: str = "glioma",
        side: str = "train",
        plane: str = "axial",
        mask: np.ndarray | None = None,
        options: Sequence[int] = (),
    ) -> str:
        """Write a slice, with its mask; return its name."""
        self._number += 1
        stem = f"brisc2025_{side}_{self._number:05d}_{CODES[label]}_{PLANES[plane]}_t1"
        healthy = label == "no_tumor"
        task = "classification_task" if healthy and mask is None else "segmentation_task"
        folder = self.root / task / side / ("no_tumor" if task == "classification_task" else "images")
        write(folder / f"{stem}.png", image, options)
        if task == "segmentation_task":
            write(self.root / task / side / "masks" / f"{stem}.png", lesion(image.shape) if mask is None else mask)
        return f"{stem}.png"

    def image(self, name: str) -> Path:
        """Where a slice lies."""
        return next(self.root.rglob(f"images/{name}"), None) or next(self.root.rglob(f"no_tumor/{name}"))

    def mask(self, name: str) -> Path:
        """Where a mask lies."""
        return next(self.root.rglob(f"masks/{name}"))


def lesion(shape: tuple[int, ...], size: int = 20) -> np.ndarray:
    """A mask with a square lesion in the middle."""
    mask = np.zeros(shape, dtype=np.uint8)
    row, column = shape[0] // 2, shape[1] // 2
    mask[row : row + size, column : column + size] = 255
    return mask


def write(path: Path, image: np.ndarray, options: Sequence[int] = ()) -> None:
    """Write a picture, and its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.ascontiguousarray(image), list(options))
