"""OpenCV, or the line that installs it: a plain `pip install edgebrain` does not bring it."""

from __future__ import annotations

from edgebrain.libraries import importing

with importing("opencv-python-headless", "edge", "reading pictures"):
    import cv2

# What decoders complain of is heard by `image`, which makes one error of it.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)

__all__ = ["cv2"]
