"""Tiny pictures and masks, written where a test wants them."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np


def put_image(path: Path, seed: int, shape: tuple[int, int] = (40, 48), channels: int = 1) -> None:
    """Write a smooth random picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 255, (5, 6), dtype=np.uint8)
    image = cv2.resize(noise, shape[::-1], interpolation=cv2.INTER_LINEAR)
    assert cv2.imwrite(str(path), image if channels == 1 else np.dstack([image] * channels))


def put_mask(path: Path, shape: tuple[int, int] = (40, 48), on: int = 250, off: int = 5) -> None:
    """Write a mask with a 10x10 lesion; its values are off by a few levels, as compression leaves them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = np.full(shape, off, dtype=np.uint8)
    mask[10:20, 12:22] = on
    assert cv2.imwrite(str(path), mask)


@contextmanager
def no_file_above(size_bytes: int) -> Iterator[None]:
    """Let every write past this size fail, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
