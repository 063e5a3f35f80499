"""Bytes -> uint8 slice, under a budget of pixels and bytes. The only place where a picture is decoded.

A slice is turned as a viewer shows it: an orientation in the header is followed, in every format. `properties` lists
what else a header may say. The budget is checked on the header, before a pixel is decoded.
"""

from __future__ import annotations

import os
import select
import stat
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgebrain.errors import BadImage, IncompleteImage
from edgebrain.runtime.header import AGAIN, Header, read_header
from edgebrain.runtime.opencv import cv2
from edgebrain.runtime.properties import BITS, COMPRESSION, NO_ALPHA, TIFF, check_properties
from edgebrain.runtime.stderr import captured_stderr
from edgebrain.runtime.tiff_tags import has_whole_deflate, upright_tiff

MOST_BYTES = 256 << 20
MOST_PIXELS = 64 << 20
# A long thin picture would fit the budget and still grow beyond it when it is brought to the network's shape.
MOST_SIDE = 16384
# Colour subsampling moves the three channels of a grey JPEG apart by a few levels; a drawn line moves them by far more.
GREY_TOLERANCE = 16

# How libjpeg, and OpenCV's log for libtiff and its own readers, begin their lines.
DECODER_ERRORS = (b"Corrupt JPEG data", b"Premature end of JPEG", b"[ERROR:", b"[ WARN:", b"libpng error")
# Reading a pipe that nobody writes to would never end.
PIPE_PATIENCE_S = 5.0


def read_file(path: Path, name: str) -> tuple[bytes, os.stat_result]:
    """Read a file whose size is within the budget; the size is checked first, so that memory stays within it too.

    Args:
        path: The file.
        name: How errors call it.

    Returns:
        Its bytes, and what `os.fstat` says of it.

    Raises:
        BadImage: It is over the budget (256 MiB), or a pipe that nobody writes to.
        IncompleteImage: It cannot be read.
    """
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as stream:
            state = os.fstat(stream.fileno())
            if stat.S_ISFIFO(state.st_mode):
                _wait_for_writer(stream.fileno(), name)
            os.set_blocking(stream.fileno(), True)
            data = stream.read(MOST_BYTES + 1) if state.st_size <= MOST_BYTES else b""
    except OSError as problem:
        reason = f"{name}: cannot be read ({problem.strerror or problem})"
        # Another program may still hold it, or may grant permission later: `watch` tries such a file again.
        raise IncompleteImage(reason, "check path and permissions") from problem
    size = max(state.st_size, len(data))
    if size > MOST_BYTES:
        raise BadImage(f"{name}: has {size >> 20} MiB, the limit is {MOST_BYTES >> 20}", "pass a single slice")
    return data, state


def _wait_for_writer(descriptor: int, name: str) -> None:
    """Raise BadImage where nothing comes through a pipe."""
    if not select.select([descriptor], [], [], PIPE_PATIENCE_S)[0]:
        raise BadImage(f"{name}: is a pipe that nobody writes to", "name a file")


def decode(data: bytes, name: str) -> np.ndarray:
    """The slice in a PNG, JPEG or TIFF file, as a viewer shows it.

    Args:
        data: The whole file.
        name: How errors call it.

    Returns:
        (H, W) uint8, 0 to 255, C-contiguous; three channels that agree (within 16 levels) give their rounded mean.

    Raises:
        BadImage: It is of another type, over the budget (64 Mpixel, 16384 a side, 256 MiB), coloured, partly
            transparent, or has a property that is refused (see `properties`).
        IncompleteImage: It is empty, cut short or damaged.
    """
    if len(data) > MOST_BYTES:
        raise BadImage(f"{name}: has {len(data) >> 20} MiB, the limit is {MOST_BYTES >> 20}", "pass a single slice")
    header = read_header(data, name)
    check_properties(header.kind, header.properties, name)
    _check_size(header, name)
    pixels = _as_shown(_decoded(data, header, name), header.orientation)
    if pixels.dtype != np.uint8 or pixels.shape[:2] != (header.height, header.width):
        raise IncompleteImage(f"{name}: is damaged (its pixels do not fit its header)", AGAIN)
    if header.alpha:
        pixels = _opaque(pixels, header, name)
    return pixels if pixels.ndim == 2 else _grey(pixels, name)


def _check_size(header: Header, name: str) -> None:
    size = f"{header.width}x{header.height}"
    if header.width < 1 or header.height < 1:
        raise IncompleteImage(f"{name}: is damaged (its header says {size} pixels)", AGAIN)
    if header.width * header.height > MOST_PIXELS or max(header.width, header.height) > MOST_SIDE:
        raise BadImage(
            f"{name}: has {size} pixels, the limit is {MOST_PIXELS >> 20} million and {MOST_SIDE} a side",
            "pass a single slice at its own size",
        )


def _decoded(data: bytes, header: Header, name: str) -> np.ndarray:
    """Pixels as they are stored, uint8: (H, W), (H, W, 3) BGR, or (H, W, 4) with alpha last."""
    if header.kind == TIFF:
        data = upright_tiff(data)
        # Four samples a pixel, and a tile that hangs over.
        most_bytes = 4 * header.width * header.height + (64 << 20)
        if header.properties[COMPRESSION] == "deflate" and not has_whole_deflate(data, most_bytes):
            raise IncompleteImage(f"{name}: is damaged and cannot be decoded (checksum of a deflated part)", AGAIN)
    if header.alpha and not header.transparent:
        flags = cv2.IMREAD_UNCHANGED
    else:
        flags = cv2.IMREAD_GRAYSCALE if header.channels == 1 else cv2.IMREAD_COLOR
    try:
        with captured_stderr(DECODER_ERRORS) as reported:
            pixels = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), flags | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as problem:
        raise IncompleteImage(f"{name}: is damaged and cannot be decoded", AGAIN) from problem
    # Decoders go on after a damaged part, with whatever follows from it; a line on stderr is the only sign of it.
    if pixels is None or reported:
        raise IncompleteImage(f"{name}: is damaged and cannot be decoded{_reason(reported)}", AGAIN)
    return pixels


def _reason(reported: Sequence[str]) -> str:
    """The first line that a decoder printed, without the place in its code."""
    return f" ({reported[0].split('TIFF_Error ')[-1]})" if reported else ""


def _as_shown(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Turn and mirror stored pixels, (H, W) or (H, W, C), as EXIF's tag 274 says (TIFF 6.0, Orientation)."""
    if orientation == 1:
        return pixels
    if orientation >= 5:
        pixels = np.swapaxes(pixels, 0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def _opaque(pixels: np.ndarray, header: Header, name: str) -> np.ndarray:
    """The pixels, (H, W) or (H, W, 3) uint8, without their transparency. Raises BadImage where it hides some."""
    if header.transparent:
        scale = 255 // ((1 << int(header.properties[BITS])) - 1)
        key = np.array(header.transparent[::-1], dtype=np.int64) * scale
        hidden = int(np.count_nonzero((np.atleast_3d(pixels) == key).all(axis=-1)))
    else:
        shown = pixels.ndim == 3 and pixels.shape[2] == 4
        hidden = int(np.count_nonzero(pixels[..., 3] != 255)) if shown else pixels.size
        pixels = pixels[..., :3]
    if hidden:
        raise BadImage(f"{name}: has transparency that hides {hidden} pixels", NO_ALPHA)
    return pixels


def _grey(pixels: np.ndarray, name: str) -> np.ndarray:
    """The rounded mean of three channels that agree: (H, W, 3) uint8 -> (H, W) uint8. Raises BadImage for colour."""
    blue, green, red = (pixels[..., channel] for channel in range(3))
    spread = int((np.maximum(np.maximum(blue, green), red) - np.minimum(np.minimum(blue, green), red)).max())
    if spread > GREY_TOLERANCE:
        raise BadImage(
            f"{name}: is coloured (channels differ by {spread} of 255)",
            "save it without drawings; if its channels are contrasts, choose the one channel that the model knows "
            "(saving it in grey would average them)",
        )
    if spread == 0:
        return np.ascontiguousarray(green)
    total: np.ndarray = blue.astype(np.uint16) + green + red
    return ((total + 1) // 3).astype(np.uint8)
