"""OpenCV, or the line that installs it: a plain `pip install edgebrain` does not bring it."""

from __future__ import annotations

from edgebrain.errors import MissingExtra

try:
    import cv2
except ImportError as problem:
    raise MissingExtra("opencv-python-headless", "edge", "reading pictures") from problem

# Its own log would stand beside our error on the terminal, with a traceback of C++ in it.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

__all__ = ["cv2"]
