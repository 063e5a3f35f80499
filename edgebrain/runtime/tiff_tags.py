"""The directory of a TIFF file, tag by tag (TIFF 6.0), and that of an EXIF block, which is laid out alike.

Values are read as the file's own length allows; a count or an offset that lies raises `struct.error`, and allocates
nothing. What the tags mean for a picture is up to `header`.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Mapping

# Types of whole numbers and texts -> how `struct` calls them. No tag of another type is needed.
TYPE_CODES = {1: "B", 2: "B", 3: "H", 4: "I"}
# A TIFF lists strips and tiles; more of them than this is no picture that fits the budget of pixels.
MOST_VALUES = 1 << 20
# A chain of pages that is longer, or goes in circles, is not followed to its end: it has several either way.
MOST_PAGES = 1000
ORIENTATION_TAG, DESCRIPTION_TAG = 274, 270

Tags = Mapping[int, tuple[int, ...]]


def byte_order(data: bytes) -> str:
    """The sign that `struct` has for the byte order of a TIFF file or EXIF block."""
    return "<" if data[:1] == b"I" else ">"


def read_directory(data: bytes) -> tuple[Tags, int]:
    """Read the tags of the first page, and count the pages.

    Args:
        data: A TIFF file.

    Returns:
        Tag -> its whole-number values, or the bytes of a text (empty for other types); and the number of pages.

    Raises:
        struct.error: The file ends before its directory does.
    """
    order = byte_order(data)
    (start,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, start)
    first = dict(_tag(data, order, start + 2 + 12 * index) for index in range(count))
    (start,) = struct.unpack_from(f"{order}I", data, start + 2 + 12 * count)
    pages = 1
    while start and pages < MOST_PAGES:
        pages += 1
        try:
            (count,) = struct.unpack_from(f"{order}H", data, start)
            (start,) = struct.unpack_from(f"{order}I", data, start + 2 + 12 * count)
        except struct.error:
            break
    return first, pages


def first_value(tags: Tags, tag: int, default: int) -> int:
    """The first value of a tag; the default where the tag is missing or empty."""
    values = tags.get(tag)
    return values[0] if values else default


def pixel_parts(tags: Tags) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Where the strips or tiles with the pixels start and how many bytes each has; empty where that is missing."""
    return tags.get(273) or tags.get(324) or (), tags.get(279) or tags.get(325) or ()


def imagej_slices(tags: Tags) -> int:
    """How many slices a TIFF of ImageJ holds: large stacks have one directory, and the count in the description."""
    description = bytes(tags.get(DESCRIPTION_TAG, ()))
    count = re.search(rb"\bimages=(\d{1,9})\b", description) if description.startswith(b"ImageJ=") else None
    return int(count[1]) if count else 1


def exif_value(block: bytes, tag: int, default: int) -> int:
    """A whole number in the first directory of an EXIF block, or of another block that is laid out like a TIFF.

    Entry by entry, and only as far as they are there: cameras and converters write blocks with other parts broken.

    Args:
        block: With or without the `Exif` mark before it.
        tag: Number of the tag.
        default: Result where the block has no such tag, or cannot be read.
    """
    block = block.removeprefix(b"Exif\0\0")
    order = "<" if block[:2] == b"II" else ">"
    try:
        (start,) = struct.unpack_from(f"{order}I", block, 4)
        (count,) = struct.unpack_from(f"{order}H", block, start)
        for at in range(start + 2, start + 2 + 12 * count, 12):
            found, kind, _, value = struct.unpack_from(f"{order}HHI4s", block, at)
            if found == tag and kind in (1, 3, 4):
                return int(struct.unpack_from(f"{order}{TYPE_CODES[kind]}", value)[0])
    except struct.error:
        pass
    return default


def has_whole_deflate(data: bytes, most_bytes: int) -> bool:
    """Whether each strip or tile of a deflated TIFF ends with the checksum of what it holds, which libtiff skips.

    Args:
        data: The TIFF file.
        most_bytes: A strip that unpacks to more counts as damaged.
    """
    for start, size in zip(*pixel_parts(read_directory(data)[0]), strict=True):
        unpacker = zlib.decompressobj()
        try:
            unpacker.decompress(data[start : start + size], most_bytes)
        except zlib.error:
            return False
        if not unpacker.eof:
            return False
    return True


def upright_tiff(data: bytes) -> bytes:
    """A TIFF's bytes with its orientation set to upright, so that no decoder turns the picture."""
    order = byte_order(data)
    (start,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, start)
    for at in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind = struct.unpack_from(f"{order}HH", data, at)
        if tag == ORIENTATION_TAG and kind in (3, 4):
            value = struct.pack(f"{order}{TYPE_CODES[kind]}", 1)
            return data[: at + 8] + value + data[at + 8 + len(value) :]
    return data


def _tag(data: bytes, order: str, at: int) -> tuple[int, tuple[int, ...]]:
    """One entry of a directory: its number and its values."""
    tag, kind, count = struct.unpack_from(f"{order}HHI", data, at)
    if kind not in TYPE_CODES or count > MOST_VALUES:
        return tag, ()
    # Values of up to four bytes lie in the entry itself.
    inside = struct.calcsize(TYPE_CODES[kind]) * count <= 4
    offset = at + 8 if inside else struct.unpack_from(f"{order}I", data, at + 8)[0]
    return tag, struct.unpack_from(f"{order}{count}{TYPE_CODES[kind]}", data, offset)
