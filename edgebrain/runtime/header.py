"""What a picture says of itself before a pixel is decoded: kind, size, depth, channels, and whether it is whole.

PNG, JPEG and TIFF, found by content, never by the file's name. Nothing here allocates by a number that the file
gives, so a header that lies costs nothing.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from edgebrain.errors import BadImage

AGAIN = "copy or export the picture again"

# First bytes (offset, bytes) of files that people pass by mistake, and what to do with each.
OTHERS = (
    (128, b"DICM", "DICOM", "window it to 8 bit and save the slice as PNG"),
    (344, b"n+1\0", "NIfTI", "save single slices as 8-bit PNG"),
    (344, b"ni1\0", "NIfTI", "save single slices as 8-bit PNG"),
    (0, b"\x1f\x8b", "gzip (a NIfTI volume?)", "unpack it and save single slices as 8-bit PNG"),
    (0, b"%PDF", "PDF", "export the picture itself as PNG"),
    (0, b"PK\x03\x04", "ZIP", "unpack it and pass the pictures"),
    (0, b"GIF8", "GIF", "save it as PNG"),
    (0, b"BM", "BMP", "save it as PNG"),
    (0, b"RIFF", "WebP or another RIFF file", "save it as PNG"),
    (4, b"jP  ", "JPEG 2000", "save it as PNG"),
    (4, b"ftyp", "HEIF, AVIF or a video", "save it as PNG"),
    (0, b"\x93NUMPY", "NumPy", "save the array as 8-bit PNG"),
    (0, b"\x89HDF", "HDF5", "save single slices as 8-bit PNG"),
    (0, b"\x7fELF", "a program", "pass PNG, JPEG or TIFF pictures"),
)
TIFF_COMPRESSIONS = {1: "none", 5: "LZW", 8: "deflate", 32773: "PackBits", 32946: "deflate"}
TIFF_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
# A TIFF lists strips and tiles; more of them than this is no picture that fits the budget of pixels.
TIFF_MOST_VALUES = 1 << 20


@dataclass(frozen=True)
class Header:
    """kind: PNG, JPEG or TIFF. width, height: pixels. depth: bits a channel. channels: colour channels, 3 for a
    palette. alpha: it has transparency. real: pixels are floating-point numbers."""

    kind: str
    width: int
    height: int
    depth: int
    channels: int
    alpha: bool = False
    real: bool = False


def read_header(data: bytes, name: str) -> Header:
    """The header of a picture that is there to its last byte.

    Raises BadImage: empty, of another type (named), cut short, or with a header that makes no sense.
    """
    if not data:
        raise BadImage(f"{name}: is empty (0 bytes)", AGAIN)
    try:
        if data.startswith(b"\x89PNG\r\n\x1a\n"):
            return _png(data, name)
        if data.startswith(b"\xff\xd8\xff"):
            return _jpeg(data, name)
        if data[:4] in (b"II*\0", b"MM\0*"):
            return _tiff(data, name)
    except (struct.error, IndexError) as problem:
        raise _cut_short(name) from problem
    raise _other_type(data, name)


def _png(data: bytes, name: str) -> Header:
    chunks: dict[bytes, bytes] = {}
    at = 8
    while b"IEND" not in chunks:
        size, tag = struct.unpack_from(">I4s", data, at)
        body = data[at + 8 : at + 8 + size]
        (checksum,) = struct.unpack_from(">I", data, at + 8 + size)
        if zlib.crc32(tag + body) != checksum:
            raise BadImage(f"{name}: is damaged (checksum of PNG part {tag.decode('latin-1')!r})", AGAIN)
        chunks.setdefault(tag, body)
        at += 12 + size
    width, height, depth, colour = struct.unpack_from(">IIBB", chunks.get(b"IHDR", b""))
    channels = 3 if colour in (2, 3, 6) else 1
    return Header("PNG", width, height, depth, channels, colour in (4, 6) or b"tRNS" in chunks)


def _jpeg(data: bytes, name: str) -> Header:
    """Walk the segments to the end-of-image mark: a thumbnail inside a segment has one too, which must not count."""
    header, at = None, 2
    while True:
        at = data.find(b"\xff", at)
        if at < 0 or at + 1 >= len(data):
            raise _cut_short(name)
        mark = data[at + 1]
        if mark == 0xD9:
            break
        if mark == 0xFF:  # fill byte
            at += 1
        elif mark in (0x00, 0x01) or 0xD0 <= mark <= 0xD8:  # stuffed byte, restart mark: no length follows
            at += 2
        else:
            (size,) = struct.unpack_from(">H", data, at + 2)
            # The first frame header counts: a decoder allocates by it, whatever a later one says.
            if header is None and 0xC0 <= mark <= 0xCF and mark not in (0xC4, 0xC8, 0xCC):
                depth, height, width, channels = struct.unpack_from(">BHHB", data, at + 4)
                header = Header("JPEG", width, height, depth, channels)
            at += 2 + size
    if header is None:
        raise _cut_short(name)
    return header


def _tiff(data: bytes, name: str) -> Header:
    order = "<" if data[:1] == b"I" else ">"
    (start,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, start)
    tags = dict(_tiff_tag(data, order, start + 2 + 12 * place) for place in range(count))
    (following,) = struct.unpack_from(f"{order}I", data, start + 2 + 12 * count)
    _check_tiff(data, name, tags, following)
    channels = 3 if _first(tags, 262, 1) == 3 else _first(tags, 277, 1)
    alpha = bool(tags.get(338))
    return Header(
        "TIFF",
        _first(tags, 256, 0),
        _first(tags, 257, 0),
        _first(tags, 258, 1),
        channels - len(tags.get(338, ())),
        alpha,
        real=_first(tags, 339, 1) == 3,
    )


def _tiff_tag(data: bytes, order: str, at: int) -> tuple[int, tuple[int, ...]]:
    """One entry of the directory: its number and its whole-number values (others are left out)."""
    tag, kind, count = struct.unpack_from(f"{order}HHI", data, at)
    size = TIFF_SIZES.get(kind, 1) * count
    if kind not in (1, 3, 4) or count > TIFF_MOST_VALUES:
        return tag, ()
    place = at + 8 if size <= 4 else struct.unpack_from(f"{order}I", data, at + 8)[0]
    return tag, struct.unpack_from(f"{order}{count}{'_B_HI'[kind]}", data, place)


def _check_tiff(data: bytes, name: str, tags: Mapping[int, tuple[int, ...]], following: int) -> None:
    if following:
        raise BadImage(f"{name}: is a TIFF of several pages", "save the slice you want as a file of its own")
    if _first(tags, 259, 1) not in TIFF_COMPRESSIONS:
        raise BadImage(f"{name}: TIFF compression {_first(tags, 259, 1)} is not read", "save it as PNG")
    if _first(tags, 274, 1) != 1:
        # OpenCV would turn the picture; the mask would then not lie on the pixels of the file.
        raise BadImage(f"{name}: a TIFF tag says that the picture is turned", "save it upright, as PNG")
    if max((*tags.get(322, ()), *tags.get(323, ())), default=0) > 4096:
        raise BadImage(f"{name}: a TIFF with tiles above 4096 pixels", "save it as PNG")
    starts = tags.get(273) or tags.get(324) or ()
    sizes = tags.get(279) or tags.get(325) or ()
    if not starts or len(starts) != len(sizes):
        raise BadImage(f"{name}: is damaged (the TIFF does not say where its pixels are)", AGAIN)
    if any(start + size > len(data) for start, size in zip(starts, sizes, strict=True)):
        raise _cut_short(name)


def _first(tags: Mapping[int, tuple[int, ...]], tag: int, default: int) -> int:
    values = tags.get(tag)
    return values[0] if values else default


def _cut_short(name: str) -> BadImage:
    return BadImage(f"{name}: is cut short (the end of the picture is missing)", AGAIN)


def _other_type(data: bytes, name: str) -> BadImage:
    for offset, mark, kind, way_out in OTHERS:
        if data[offset : offset + len(mark)] == mark:
            return BadImage(f"{name}: is not a picture but {kind}", way_out)
    head = data[:512]
    if head[:4] in (b"II+\0", b"MM\0+"):
        return BadImage(f"{name}: is a BigTIFF", "save it as PNG")
    if all(byte in b"\t\n\r\f\x1b" or 32 <= byte < 127 for byte in head):
        return BadImage(f"{name}: is not a picture but text", "pass PNG, JPEG or TIFF pictures")
    return BadImage(f"{name}: is no PNG, JPEG or TIFF", "save it as 8-bit PNG")
