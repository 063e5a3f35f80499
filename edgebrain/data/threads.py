"""OpenCV's own threads, kept out of the way: a slice is too small to share, and waiting threads cost a busy core."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import cv2


@contextmanager
def opencv_alone() -> Iterator[None]:
    """Let OpenCV work in the calling thread only, for the length of the block."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
