"""OpenCV, or the line that installs it: a plain `pip install edgebrain` does not bring it."""

from __future__ import annotations

from edgebrain.errors import MissingExtra

try:
    import cv2
except ImportError as problem:
    raise MissingExtra("opencv-python-headless", "edge", "reading pictures") from problem

__all__ = ["cv2"]
