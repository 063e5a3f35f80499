"""What is no head slice is warned about; phantoms and real slices are not."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgebrain.phantom.generator import generate
from edgebrain.runtime.image import decode
from edgebrain.runtime.plausibility import implausible_head


def text_page() -> np.ndarray:
    page = np.full((240, 208), 255, np.uint8)
    for line in range(10):
        cv2.putText(page, "report of a patient", (5, 20 + 20 * line), 0, 0.5, 0, 1)
    return cv2.GaussianBlur(page, (3, 3), 0)


OTHERS = {
    "black": (np.zeros((240, 208), np.uint8), "grey levels 0 and 0"),
    "one grey": (np.full((50, 40), 128, np.uint8), "grey levels 128 and 128"),
    "dark noise of a scanner": (np.random.default_rng(0).integers(0, 8, (240, 208)).astype(np.uint8), "grey levels"),
    "a mask": (cv2.circle(np.zeros((240, 208), np.uint8), (100, 120), 80, 255, -1), "2 grey levels"),
    "noise": (np.random.default_rng(0).integers(0, 256, (240, 208)).astype(np.uint8), "edge is dark"),
    "a page": (text_page(), "edge is dark"),
    "a negative": (255 - generate(3, 0).image, "edge is dark"),
    "dots": (
        (np.random.default_rng(0).random((64, 64)) < 0.3).astype(np.uint8) * (np.arange(64, dtype=np.uint8) * 3 + 60),
        "noise",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_head_is_warned_about(name: str) -> None:
    image, reason = OTHERS[name]
    assert implausible_head(image).startswith("this does not look like a head slice: ")
    assert reason in implausible_head(image)


def test_phantoms_are_not_warned_about() -> None:
    for index in range(40):
        assert implausible_head(generate(index, 1).image) == ""


def test_real_slices_are_not_warned_about() -> None:
    root = os.environ.get("EDGEBRAIN_REAL_DATA")
    if not root:
        pytest.skip("EDGEBRAIN_REAL_DATA names no folder with real slices")
    slices = [
        *Path(root, "brisc2025").glob("classification_task/*/*/*.jpg"),
        *Path(root, "figshare-all/images").glob("*"),
    ]
    chosen = sorted(slices)[::20]
    warned = [path.name for path in chosen if implausible_head(decode(path.read_bytes(), path.name))]
    assert len(chosen) > 100 and warned == []
