"""What a picture says of itself before a pixel is decoded: kind, size, depth, channels, and whether it is whole.

PNG, JPEG and TIFF, found by content, never by the file's name. Nothing here allocates by a number that the file
gives, so a header that lies costs nothing.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from edgebrain.errors import BadImage, IncompleteImage
from edgebrain.runtime.properties import (
    ALPHA,
    BIT_ORDER,
    BITS,
    BLACK,
    CHANNELS,
    COLOUR,
    COLOURS,
    COMPRESSION,
    FRAMES,
    OPAQUE_CHANNEL,
    ORIENTATION,
    PALETTE,
    PALETTE_BITS,
    PLANES,
    PROFILE,
    SAMPLES,
    TRANSPARENT_COLOUR,
    WHITE,
)

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
TIFF_COMPRESSIONS = {
    1: "none", 2: "CCITT", 3: "CCITT", 4: "CCITT", 5: "LZW", 6: "JPEG", 7: "JPEG",
    8: "deflate", 32773: "PackBits", 32946: "deflate",
}  # fmt: skip
TIFF_SAMPLES = {1: "unsigned", 2: "signed", 3: "floating point", 4: "undefined", 5: "complex", 6: "complex"}
TIFF_COLOURS = {0: WHITE, 1: BLACK, 2: COLOUR, 3: PALETTE, 4: "a stencil", 5: "CMYK", 6: "YCbCr", 8: "CIELab"}
TIFF_COLOURS |= {9: "CIELab", 10: "CIELab"}
TIFF_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
# A TIFF lists strips and tiles; more of them than this is no picture that fits the budget of pixels.
TIFF_MOST_VALUES = 1 << 20
# A chain of pages that is longer, or goes in circles, is not followed to its end: it has several either way.
TIFF_MOST_PAGES = 1000
ORIENTATION_TAG, DESCRIPTION_TAG, COUNT_TAG = 274, 270, 0xB001
# Start-of-frame marks of JPEG (ITU-T T.81, table B.1). The others code differences between pictures.
JPEG_CODINGS = {0xC0: "baseline", 0xC1: "extended", 0xC2: "progressive", 0xC3: "lossless"}
JPEG_CODINGS |= {mark: "hierarchical" for mark in (0xC5, 0xC6, 0xC7)}
JPEG_COLOURS = {1: BLACK, 2: CHANNELS, 3: COLOUR, 4: "CMYK"}
PNG_COLOURS = {0: BLACK, 2: COLOUR, 3: PALETTE, 4: BLACK, 6: COLOUR}
PNG_PROFILES = (b"gAMA", b"iCCP", b"cHRM", b"sRGB", b"cICP")


@dataclass(frozen=True)
class Header:
    """What a picture's file says of it.

    kind: PNG, JPEG or TIFF. width, height: pixels, as a viewer shows it. channels: colour channels, 3 for a palette.
    orientation: 1 to 8 as in EXIF, 1 is upright. alpha: it has transparency. transparent: the stored grey level or
    colour that PNG calls transparent, empty for none. properties: property -> value, as in `properties.RULES`.
    """

    kind: str
    width: int
    height: int
    channels: int
    orientation: int
    alpha: bool
    transparent: tuple[int, ...]
    properties: Mapping[str, str]


def read_header(data: bytes, name: str) -> Header:
    """The header of a picture that is there to its last byte.

    Raises:
        IncompleteImage: Empty, cut short, or with a header that makes no sense.
        BadImage: Of another type, which is named.
    """
    if not data:
        raise IncompleteImage(f"{name}: is empty (0 bytes)", AGAIN)
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


def _header(
    kind: str,
    size: tuple[int, int],
    channels: int,
    properties: Mapping[str, str],
    orientation: int = 1,
    transparent: tuple[int, ...] = (),
) -> Header:
    """size: width and height as they are stored. properties: those of the kind; what every picture has is added."""
    turned = orientation if 1 <= orientation <= 8 else 1
    width, height = size if turned < 5 else size[::-1]
    usual = {FRAMES: "one", SAMPLES: "unsigned", PLANES: "together", BIT_ORDER: "high bit first", ALPHA: "none"}
    seen = {**usual, ORIENTATION: "upright" if turned == 1 else "turned or mirrored", **properties}
    return Header(kind, width, height, channels, turned, seen[ALPHA] != "none", transparent, seen)


def _png(data: bytes, name: str) -> Header:
    chunks: dict[bytes, bytes] = {}
    at = 8
    while b"IEND" not in chunks:
        size, tag = struct.unpack_from(">I4s", data, at)
        body = data[at + 8 : at + 8 + size]
        (checksum,) = struct.unpack_from(">I", data, at + 8 + size)
        if zlib.crc32(tag + body) != checksum:
            raise IncompleteImage(f"{name}: is damaged (checksum of PNG part {tag.decode('latin-1')!r})", AGAIN)
        chunks.setdefault(tag, body)
        at += 12 + size
    width, height, depth, colour = struct.unpack_from(">IIBB", chunks.get(b"IHDR", b""))
    keyed = b"tRNS" in chunks and colour in (0, 2)
    frames = struct.unpack_from(">I", chunks[b"acTL"])[0] if b"acTL" in chunks else 1
    properties = {
        FRAMES: "one" if frames == 1 else "several",
        COMPRESSION: "deflate",
        PALETTE_BITS if colour == 3 else BITS: str(depth),
        COLOURS: PNG_COLOURS.get(colour, "another"),
        ALPHA: TRANSPARENT_COLOUR if keyed else OPAQUE_CHANNEL if colour in (4, 6) or b"tRNS" in chunks else "none",
        PROFILE: "given" if any(tag in chunks for tag in PNG_PROFILES) else "none",
    }
    transparent = struct.unpack_from(">H" if colour == 0 else ">HHH", chunks[b"tRNS"]) if keyed else ()
    orientation = _orientation(chunks.get(b"eXIf", b""))
    return _header("PNG", (width, height), 3 if colour in (2, 3, 6) else 1, properties, orientation, transparent)


def _jpeg(data: bytes, name: str) -> Header:
    """Walk the segments to the end-of-image mark: a thumbnail inside a segment has one too, which must not count."""
    frame: tuple[int, int, int, int] | None = None
    properties: dict[str, str] = {PROFILE: "none"}
    exif: bytes | None = None
    at = 2
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
            body = data[at + 4 : at + 2 + size]
            # The first frame header counts: a decoder allocates by it, whatever a later one says.
            if frame is None and 0xC0 <= mark <= 0xCF and mark not in (0xC4, 0xC8, 0xCC):
                frame = struct.unpack_from(">BHHB", data, at + 4)
                properties[COMPRESSION] = JPEG_CODINGS.get(mark, "arithmetic")
            elif mark == 0xE1 and body.startswith(b"Exif\0\0") and exif is None:
                exif = body
            elif mark == 0xE2 and body.startswith(b"MPF\0"):
                properties[FRAMES] = "several" if _exif_value(body[4:], COUNT_TAG, 1) > 1 else "one"
            elif mark == 0xE2 and body.startswith(b"ICC_PROFILE\0"):
                properties[PROFILE] = "given"
            at += 2 + size
    if frame is None:
        raise _cut_short(name)
    depth, height, width, channels = frame
    properties |= {BITS: str(depth), COLOURS: JPEG_COLOURS.get(channels, f"of {channels} channels")}
    return _header("JPEG", (width, height), channels, properties, _orientation(exif or b""))


def _tiff(data: bytes, name: str) -> Header:
    order = "<" if data[:1] == b"I" else ">"
    tags, pages = _tiff_pages(data, order)
    if pages == 1:
        _check_tiff(data, name, tags)
    samples, photometric = _first(tags, 277, 1), _first(tags, 262, 1)
    extra = tags.get(338, ())
    depths = set(tags.get(258, (1,)))
    palette = photometric == 3
    colours = 3 if palette else samples - len(extra)
    properties = {
        FRAMES: "one" if pages == 1 and _imagej_images(tags) == 1 else "several",
        COMPRESSION: TIFF_COMPRESSIONS.get(_first(tags, 259, 1), "another"),
        SAMPLES: "/".join(sorted({TIFF_SAMPLES.get(value, str(value)) for value in tags.get(339, (1,))})),
        PALETTE_BITS if palette else BITS: str(depths.pop()) if len(depths) == 1 else "unequal",
        COLOURS: _tiff_colours(photometric, samples - len(extra)),
        ALPHA: _tiff_alpha(extra, photometric),
        PLANES: "apart" if _first(tags, 284, 1) == 2 and samples > 1 else "together",
        BIT_ORDER: "high bit first" if _first(tags, 266, 1) == 1 else "low bit first",
        PROFILE: "given" if any(tag in tags for tag in (291, 301, 34675)) else "none",
    }
    return _header(
        "TIFF", (_first(tags, 256, 0), _first(tags, 257, 0)), colours, properties, _first(tags, ORIENTATION_TAG, 1)
    )


def _tiff_colours(photometric: int, channels: int) -> str:
    name = TIFF_COLOURS.get(photometric, "another")
    if name in (BLACK, WHITE, PALETTE) and channels > 1:
        return CHANNELS
    return f"colour of {channels} channels" if name == COLOUR and channels != 3 else name


def _tiff_alpha(extra: tuple[int, ...], photometric: int) -> str:
    if not extra:
        return "none"
    if len(extra) > 1 or extra[0] not in (1, 2):
        return "an unnamed channel"
    return OPAQUE_CHANNEL if photometric == 2 else "alpha beside grey"


def _tiff_pages(data: bytes, order: str) -> tuple[Mapping[int, tuple[int, ...]], int]:
    """The tags of the first page, and how many pages there are."""
    (start,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, start)
    first = dict(_tiff_tag(data, order, start + 2 + 12 * index) for index in range(count))
    (start,) = struct.unpack_from(f"{order}I", data, start + 2 + 12 * count)
    pages = 1
    while start and pages < TIFF_MOST_PAGES:
        pages += 1
        try:
            (count,) = struct.unpack_from(f"{order}H", data, start)
            (start,) = struct.unpack_from(f"{order}I", data, start + 2 + 12 * count)
        except struct.error:
            break
    return first, pages


def _tiff_tag(data: bytes, order: str, at: int) -> tuple[int, tuple[int, ...]]:
    """One entry of the directory: its number and its whole-number values, or the bytes of a text (others are empty)."""
    tag, kind, count = struct.unpack_from(f"{order}HHI", data, at)
    size = TIFF_SIZES.get(kind, 1) * count
    if kind not in (1, 2, 3, 4) or count > TIFF_MOST_VALUES:
        return tag, ()
    offset = at + 8 if size <= 4 else struct.unpack_from(f"{order}I", data, at + 8)[0]
    return tag, struct.unpack_from(f"{order}{count}{'_BBHI'[kind]}", data, offset)


def _check_tiff(data: bytes, name: str, tags: Mapping[int, tuple[int, ...]]) -> None:
    if max((*tags.get(322, ()), *tags.get(323, ())), default=0) > 4096:
        raise BadImage(f"{name}: a TIFF with tiles above 4096 pixels", "save it as PNG")
    starts = tags.get(273) or tags.get(324) or ()
    sizes = tags.get(279) or tags.get(325) or ()
    if not starts or len(starts) != len(sizes):
        raise IncompleteImage(f"{name}: is damaged (the TIFF does not say where its pixels are)", AGAIN)
    if any(start + size > len(data) for start, size in zip(starts, sizes, strict=True)):
        raise _cut_short(name)


def _imagej_images(tags: Mapping[int, tuple[int, ...]]) -> int:
    """How many slices a TIFF of ImageJ holds: large stacks have one directory, and the count in the description."""
    description = bytes(tags.get(DESCRIPTION_TAG, ()))
    count = re.search(rb"\bimages=(\d{1,9})\b", description) if description.startswith(b"ImageJ=") else None
    return int(count[1]) if count else 1


def _orientation(exif: bytes) -> int:
    """The orientation in an EXIF block, 1 to 8; 1 where it has none, or cannot be read, as viewers take it."""
    return _exif_value(exif, ORIENTATION_TAG, 1)


def _exif_value(block: bytes, tag: int, default: int) -> int:
    """A whole number in the first directory of a block that is laid out like a TIFF.

    Entry by entry, and only as far as they are there: cameras and converters write blocks with other parts broken.
    """
    block = block.removeprefix(b"Exif\0\0")
    order = "<" if block[:2] == b"II" else ">"
    try:
        (start,) = struct.unpack_from(f"{order}I", block, 4)
        (count,) = struct.unpack_from(f"{order}H", block, start)
        for at in range(start + 2, start + 2 + 12 * count, 12):
            found, kind, _, value = struct.unpack_from(f"{order}HHI4s", block, at)
            if found == tag and kind in (1, 3, 4):
                return int(struct.unpack_from(f"{order}{'_B_HI'[kind]}", value)[0])
    except struct.error:
        pass
    return default


def has_whole_deflate(data: bytes, most_bytes: int) -> bool:
    """Whether each strip or tile of a deflated TIFF ends with the checksum of what it holds, which libtiff skips.

    most_bytes: a strip that unpacks to more is none.
    """
    tags, _ = _tiff_pages(data, "<" if data[:1] == b"I" else ">")
    starts, sizes = tags.get(273) or tags.get(324) or (), tags.get(279) or tags.get(325) or ()
    for start, size in zip(starts, sizes, strict=True):
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
    order = "<" if data[:1] == b"I" else ">"
    (start,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, start)
    for at in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind = struct.unpack_from(f"{order}HH", data, at)
        if tag == ORIENTATION_TAG and kind in (3, 4):
            return data[: at + 8] + struct.pack(f"{order}{'HI'[kind - 3]}", 1) + data[at + (10, 12)[kind - 3] :]
    return data


def _first(tags: Mapping[int, tuple[int, ...]], tag: int, default: int) -> int:
    values = tags.get(tag)
    return values[0] if values else default


def _cut_short(name: str) -> IncompleteImage:
    return IncompleteImage(f"{name}: is cut short (the end of the picture is missing)", AGAIN)


def _other_type(data: bytes, name: str) -> BadImage:
    for offset, mark, kind, way_out in OTHERS:
        if data[offset : offset + len(mark)] == mark:
            return BadImage(f"{name}: is not a picture but {kind}", way_out)
    head = data[:512]
    if head[:4] in (b"II+\0", b"MM\0+"):
        return BadImage(f"{name}: is a BigTIFF", "save it as PNG")
    if all(byte in b"\t\n\r\f\x1b" or 32 <= byte < 127 for byte in head):
        return BadImage(f"{name}: is not a picture but text", "pass PNG, JPEG or TIFF pictures")
    # Programs that reserve a file's room before they copy begin it with zeros.
    return IncompleteImage(f"{name}: is no PNG, JPEG or TIFF", "save it as 8-bit PNG")
