"""Picture files written by hand, down to the byte, for what no library would write."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np


def grey(height: int = 24, width: int = 20, seed: int = 0) -> np.ndarray:
    """Smooth grey noise, (height, width) uint8."""
    noise = np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8)
    return cv2.GaussianBlur(noise, (5, 5), 0)


def encoded(pixels: np.ndarray, kind: str = ".png") -> bytes:
    return cv2.imencode(kind, pixels)[1].tobytes()


def save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(pixels, path.suffix))
    return path


def bright_disc(height: int = 96, width: int = 80) -> np.ndarray:
    """A dark slice with one bright disc, which the tiny network marks."""
    image = np.full((height, width), 20, np.uint8)
    return cv2.circle(image, (width // 2, height // 3), height // 5, 250, -1)


def chunk(tag: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + tag + body + struct.pack(">I", zlib.crc32(tag + body))


def png(width: int, height: int, depth: int, colour: int, rows: bytes, *extra: bytes) -> bytes:
    """A PNG. rows: filter byte and pixels of each row."""
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = [chunk(b"IHDR", head), *extra, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def tiff(pixels: np.ndarray, changes: dict[int, int] | None = None, following: int = 0) -> bytes:
    """A classic little-endian TIFF in one strip. pixels: (H, W), any dtype. changes: tag -> value."""
    data = pixels.tobytes()
    height, width = pixels.shape
    tags = {
        256: width,
        257: height,
        258: pixels.itemsize * 8,
        259: 1,
        262: 1,
        273: 8,
        277: 1,
        278: height,
        279: len(data),
        339: 3 if pixels.dtype.kind == "f" else 1,
    }
    tags = dict(sorted({**tags, **(changes or {})}.items()))
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    start = struct.pack("<I", 8 + len(data))
    return b"II*\0" + start + data + struct.pack("<H", len(tags)) + entries + struct.pack("<I", following)


def with_exif(jpeg: bytes, exif: bytes) -> bytes:
    """A JPEG with an EXIF segment right after its first mark."""
    body = b"Exif\0\0" + exif
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]
