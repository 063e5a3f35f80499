"""Bytes -> uint8 slice, under a budget of pixels and bytes. The only place where a picture is decoded.

Pixels are taken as they are stored: an EXIF note that a JPEG be turned is not followed, so that the mask always
lies on the pixels of the file. The budget is checked on the header, before a pixel is decoded.
"""

from __future__ import annotations

import numpy as np

from edgebrain.errors import BadImage
from edgebrain.runtime.header import AGAIN, Header, read_header
from edgebrain.runtime.opencv import cv2

MOST_BYTES = 256 << 20
MOST_PIXELS = 64 << 20
# A long thin picture would fit the budget and still grow beyond it when it is brought to the network's shape.
MOST_SIDE = 16384
# Colour subsampling moves the three channels of a grey JPEG apart by a few levels; a drawn line moves them by far more.
GREY_TOLERANCE = 16


def decode(data: bytes, name: str) -> np.ndarray:
    """The slice in a PNG, JPEG or TIFF file.

    Args: data: the whole file. name: how errors call it.
    Returns: (H, W) uint8, C-contiguous; three channels that agree (within 16 levels) give their rounded mean.
    Raises BadImage: empty, cut short, damaged, another type, over the budget (64 Mpixel, 16384 a side, 256 MiB), not
    8 bit, floating point, transparent, or coloured.
    """
    if len(data) > MOST_BYTES:
        raise BadImage(f"{name}: has {len(data) >> 20} MiB, the limit is {MOST_BYTES >> 20}", "pass a single slice")
    header = read_header(data, name)
    _check_size(header, name)
    _check_kind(header, name)
    flag = cv2.IMREAD_GRAYSCALE if header.channels == 1 else cv2.IMREAD_COLOR
    pixels = _decoded(data, name, flag | cv2.IMREAD_IGNORE_ORIENTATION)
    if pixels.dtype != np.uint8 or pixels.shape[:2] != (header.height, header.width):
        raise BadImage(f"{name}: is damaged (its pixels do not fit its header)", AGAIN)
    return pixels if pixels.ndim == 2 else _grey(pixels, name)


def _check_size(header: Header, name: str) -> None:
    size = f"{header.width}x{header.height}"
    if header.width < 1 or header.height < 1:
        raise BadImage(f"{name}: is damaged (its header says {size} pixels)", AGAIN)
    if header.width * header.height > MOST_PIXELS or max(header.width, header.height) > MOST_SIDE:
        raise BadImage(
            f"{name}: has {size} pixels, the limit is {MOST_PIXELS >> 20} million and {MOST_SIDE} a side",
            "pass a single slice at its own size",
        )


def _check_kind(header: Header, name: str) -> None:
    if header.real:
        raise BadImage(
            f"{name}: holds floating-point numbers, maybe NaN", "window it to 8 bit first (0 black, 255 white)"
        )
    if header.depth > 8:
        raise BadImage(
            f"{name}: has {header.depth} bits a pixel, not 8", "window it to 8 bit first (0 black, 255 white)"
        )
    if header.alpha:
        raise BadImage(f"{name}: has a transparency channel", "save it without transparency, in grey")
    if header.channels not in (1, 3):
        raise BadImage(f"{name}: has {header.channels} colour channels", "save it in grey")


def _decoded(data: bytes, name: str, flags: int) -> np.ndarray:
    try:
        pixels: np.ndarray | None = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), flags)
    except cv2.error as problem:
        raise BadImage(f"{name}: is damaged and cannot be decoded", AGAIN) from problem
    if pixels is None:
        raise BadImage(f"{name}: is damaged and cannot be decoded", AGAIN)
    return pixels


def _grey(pixels: np.ndarray, name: str) -> np.ndarray:
    """One channel of three that agree. pixels: (H, W, 3) uint8. Returns: (H, W) uint8."""
    blue, green, red = (pixels[..., channel] for channel in range(3))
    spread = int((np.maximum(np.maximum(blue, green), red) - np.minimum(np.minimum(blue, green), red)).max())
    if spread > GREY_TOLERANCE:
        raise BadImage(
            f"{name}: is coloured (channels differ by {spread} of 255)", "save it in grey, without drawings on it"
        )
    if spread == 0:
        return np.ascontiguousarray(green)
    total: np.ndarray = blue.astype(np.uint16) + green + red
    return ((total + 1) // 3).astype(np.uint8)
