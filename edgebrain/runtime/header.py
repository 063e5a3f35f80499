"""What a picture's file says of itself before a pixel is decoded: kind, size, depth, channels, and whether it is whole.

PNG, JPEG and TIFF, found by content, never by the file's name. Nothing here allocates by a number that the file
gives, so a header that lies costs nothing. `tiff_tags` reads the directories of TIFF and of EXIF blocks.

Why not Pillow's lazy `Image.open`? It was tried in place of this reader (Pillow 13.0; only its PNG, JPEG and TIFF
plug-ins, then `verify()`). 20 of 221 tests failed, 4 of them for wording or the order of checks alone:

- It opens files that end too early, and `verify()` checks PNG alone. It took 251 of the 572 ways to cut a JPEG short
  for a whole picture, this reader none; only a line that libjpeg prints would then tell half a slice from a whole one.
- It does not tell the codings of JPEG apart: lossless, hierarchical and arithmetic coding read as baseline.
- It does not describe what it cannot decode. A JPEG of 12 bits or of two channels, and a TIFF of 64 bits, of unequal,
  complex or undefined samples, of several grey channels or of a rare photometric, are "cannot identify image file", so
  that no message could say what to do. A multi-picture JPEG with a broken index counts as one picture.
- The ends of deflated TIFF strips and the orientation of TIFF must be read here anyway: OpenCV decodes the pixels.

It would bring a wheel of 6.5 MB (21 MB installed) and 18 C libraries, WebP, AVIF and FreeType among them, to each
device, and add 18 ms to the import. Its `open` reads 344 bytes of a JPEG of 113 KiB in 0.04 ms; this one walks all of
it in 0.15 ms, and that walk is how it knows that the file is whole.
"""

from __future__ import annotations

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
from edgebrain.runtime.tiff_tags import (
    ORIENTATION_TAG,
    exif_value,
    first_value,
    imagej_slices,
    pixel_parts,
    read_directory,
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
# Frames of a multi-picture JPEG (CIPA DC-007).
COUNT_TAG = 0xB001
# libtiff unpacks a whole tile at once, whatever part of it belongs to the picture.
MOST_TILE_SIDE = 4096
# Start-of-frame marks of JPEG (ITU-T T.81, table B.1). The others code differences between pictures.
JPEG_CODINGS = {0xC0: "baseline", 0xC1: "extended", 0xC2: "progressive", 0xC3: "lossless"}
JPEG_CODINGS |= {mark: "hierarchical" for mark in (0xC5, 0xC6, 0xC7)}
JPEG_COLOURS = {1: BLACK, 2: CHANNELS, 3: COLOUR, 4: "CMYK"}
PNG_COLOURS = {0: BLACK, 2: COLOUR, 3: PALETTE, 4: BLACK, 6: COLOUR}
PNG_PROFILES = (b"gAMA", b"iCCP", b"cHRM", b"sRGB", b"cICP")


@dataclass(frozen=True)
class Header:
    """What a picture's file says of it.

    Attributes:
        kind: PNG, JPEG or TIFF.
        width: Columns in pixels, as a viewer shows the picture: after `orientation` is followed.
        height: Rows in pixels, likewise.
        channels: Colour channels; 3 for a palette.
        orientation: 1 to 8 as in EXIF; 1 is upright.
        alpha: Whether it has transparency.
        transparent: The stored grey level or colour that PNG calls transparent; empty for none.
        properties: Property -> value, as in `properties.RULES`.
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
    """Read the header of a picture, and make sure that the file is there to its last byte.

    Args:
        data: The whole file.
        name: How errors call it.

    Raises:
        IncompleteImage: The file is empty, cut short, or has a header that makes no sense.
        BadImage: It is of another type, which is named.
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
                properties[FRAMES] = "several" if exif_value(body[4:], COUNT_TAG, 1) > 1 else "one"
            elif mark == 0xE2 and body.startswith(b"ICC_PROFILE\0"):
                properties[PROFILE] = "given"
            at += 2 + size
    if frame is None:
        raise _cut_short(name)
    depth, height, width, channels = frame
    properties |= {BITS: str(depth), COLOURS: JPEG_COLOURS.get(channels, f"of {channels} channels")}
    return _header("JPEG", (width, height), channels, properties, _orientation(exif or b""))


def _tiff(data: bytes, name: str) -> Header:
    tags, pages = read_directory(data)
    if pages == 1:
        _check_parts(data, name, tags)
    samples, photometric = first_value(tags, 277, 1), first_value(tags, 262, 1)
    extra = tags.get(338, ())
    depths = set(tags.get(258, (1,)))
    palette = photometric == 3
    colours = 3 if palette else samples - len(extra)
    properties = {
        FRAMES: "one" if pages == 1 and imagej_slices(tags) == 1 else "several",
        COMPRESSION: TIFF_COMPRESSIONS.get(first_value(tags, 259, 1), "another"),
        SAMPLES: "/".join(sorted({TIFF_SAMPLES.get(value, str(value)) for value in tags.get(339, (1,))})),
        PALETTE_BITS if palette else BITS: str(depths.pop()) if len(depths) == 1 else "unequal",
        COLOURS: _tiff_colours(photometric, samples - len(extra)),
        ALPHA: _tiff_alpha(extra, photometric),
        PLANES: "apart" if first_value(tags, 284, 1) == 2 and samples > 1 else "together",
        BIT_ORDER: "high bit first" if first_value(tags, 266, 1) == 1 else "low bit first",
        PROFILE: "given" if any(tag in tags for tag in (291, 301, 34675)) else "none",
    }
    size = first_value(tags, 256, 0), first_value(tags, 257, 0)
    return _header("TIFF", size, colours, properties, first_value(tags, ORIENTATION_TAG, 1))


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


def _check_parts(data: bytes, name: str, tags: Mapping[int, tuple[int, ...]]) -> None:
    """Raise BadImage unless the strips or tiles with the pixels lie within the file."""
    if max((*tags.get(322, ()), *tags.get(323, ())), default=0) > MOST_TILE_SIDE:
        raise BadImage(f"{name}: a TIFF with tiles above {MOST_TILE_SIDE} pixels", "save it as PNG")
    starts, sizes = pixel_parts(tags)
    if not starts or len(starts) != len(sizes):
        raise IncompleteImage(f"{name}: is damaged (the TIFF does not say where its pixels are)", AGAIN)
    if any(start + size > len(data) for start, size in zip(starts, sizes, strict=True)):
        raise _cut_short(name)


def _orientation(exif: bytes) -> int:
    """The orientation in an EXIF block, 1 to 8; 1 where it has none, or cannot be read, as viewers take it."""
    return exif_value(exif, ORIENTATION_TAG, 1)


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
