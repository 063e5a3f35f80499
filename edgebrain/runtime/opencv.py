"""OpenCV, or the line that installs it: a plain `pip install edgebrain` does not bring it."""

from __future__ import annotations

from edgebrain.libraries import importing

with importing("opencv-python-headless", "edge", "reading pictures"):
    import cv2

# Its own log would stand beside our error on the terminal, with a traceback of C++ in it.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

__all__ = ["cv2"]
