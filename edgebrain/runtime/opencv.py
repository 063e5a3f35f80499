"""OpenCV, or the line that installs it: a plain `pip install edgebrain` does not bring it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from edgebrain.libraries import importing

with importing("opencv-python-headless", "edge", "reading pictures"):
    import cv2

# What decoders complain of is heard by `image`, which makes one error of it.
LOG_ERRORS = 2
# OpenCV 5 has moved the function.
getattr(cv2.utils, "logging", cv2).setLogLevel(LOG_ERRORS)

__all__ = ["cv2", "opencv_alone"]


@contextmanager
def opencv_alone() -> Iterator[None]:
    """Keep OpenCV to the calling thread for the length of the block.

    A slice is too small to share between threads, and threads that wait for work keep a core busy.
    """
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
