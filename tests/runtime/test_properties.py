"""The table of properties, cell by cell: a file for each, which is read, mapped or refused as the cell says."""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from edgebrain.errors import BadImage
from edgebrain.runtime.header import read_header
from edgebrain.runtime.image import decode
from edgebrain.runtime.properties import JPEG, KINDS, PNG, RULES, TIFF, as_markdown
from tests.runtime.pictures import chunk, encoded, grey, png, with_exif

DOCS = Path(__file__).parents[2] / "docs" / "explanation" / "your-files.md"
HEIGHT, WIDTH = 24, 20
PICTURE = grey(HEIGHT, WIDTH)
THREE = np.stack([PICTURE] * 3, axis=-1)
ROWS = b"".join(b"\0" + row.tobytes() for row in PICTURE)
GREYS = chunk(b"PLTE", bytes(level for level in range(256) for _ in range(3)))


def packed(levels: np.ndarray, bits: int) -> list[bytes]:
    """Rows of samples of fewer than 8 bits, the first in the high bits, each row padded to a whole byte."""
    width = -(-levels.shape[1] * bits // 8) * 8
    spread = [(levels >> bit) & 1 for bit in reversed(range(bits))]
    rows = np.stack(spread, axis=-1).reshape(len(levels), -1)
    return [np.packbits(np.pad(row, (0, width - row.size))).tobytes() for row in rows]


def few(bits: int) -> np.ndarray:
    """The picture in fewer levels."""
    return PICTURE >> (8 - bits)


def png_grey(bits: int) -> bytes:
    return png(WIDTH, HEIGHT, bits, 0, b"".join(b"\0" + row for row in packed(few(bits), bits)))


def png_palette(bits: int) -> bytes:
    palette = chunk(b"PLTE", bytes(level * 255 // (2**bits - 1) for level in range(2**bits) for _ in range(3)))
    return png(WIDTH, HEIGHT, bits, 3, b"".join(b"\0" + row for row in packed(few(bits), bits)), palette)


def png_with(*extra: bytes) -> bytes:
    return png(WIDTH, HEIGHT, 8, 0, ROWS, *extra)


def turned_note(orientation: int) -> bytes:
    return b"II*\0" + struct.pack("<IHHHII", 8, 1, 0x112, 3, 1, orientation) + b"\0\0\0\0"


def tiff(data: bytes, tags: dict[int, list[int]] | None = None, text: bytes = b"", strips: int = 1) -> bytes:
    """A classic little-endian TIFF; tags: number -> SHORT values, in place of those of an 8-bit grey picture."""
    usual = {256: [WIDTH], 257: [HEIGHT], 258: [8], 259: [1], 262: [1], 277: [1], 278: [HEIGHT]}
    start = 8 + len(data) + len(data) % 2
    values = {tag: (3, found) for tag, found in {**usual, **(tags or {})}.items()}
    values[273] = (4, [8 + len(data) // strips * strip for strip in range(strips)])
    values[279] = (4, [len(data) // strips] * strips)
    if text:
        values[270] = (2, list(text + b"\0"))
    entries, extra = b"", b""
    after = start + 2 + 12 * len(values) + 4
    for tag, (kind, found) in sorted(values.items()):
        body = struct.pack(f"<{len(found)}{'_BBHI'[kind]}", *found)
        if len(body) > 4:
            body, extra = struct.pack("<I", after + len(extra)), extra + body + b"\0" * (len(body) % 2)
        entries += struct.pack("<HHI", tag, kind, len(found)) + body.ljust(4, b"\0")
    head = b"II*\0" + struct.pack("<I", start) + data.ljust(start - 8, b"\0")
    return head + struct.pack("<H", len(values)) + entries + struct.pack("<I", 0) + extra


def tiff_grey(bits: int, photometric: int = 1) -> bytes:
    return tiff(b"".join(packed(few(bits), bits)), {258: [bits], 262: [photometric]})


def tiff_palette(bits: int) -> bytes:
    colours = [level * 65535 // (2**bits - 1) for _ in range(3) for level in range(2**bits)]
    return tiff(b"".join(packed(few(bits), bits)), {258: [bits], 262: [3], 320: colours})


def tiff_of(array: np.ndarray, **tags: list[int]) -> bytes:
    """tags: t262=[2] and the like."""
    return tiff(array.tobytes(), {int(name[1:]): found for name, found in tags.items()})


def pillow(picture: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def jpeg_with_frame(mark: int, depth: int = 8) -> bytes:
    """A JPEG whose frame header says that it is coded otherwise."""
    data = encoded(PICTURE, ".jpg")
    at = data.index(b"\xff\xc0")
    return data[:at] + bytes([0xFF, mark]) + data[at + 2 : at + 4] + bytes([depth]) + data[at + 5 :]


def jpeg_with_segment(mark: int, body: bytes) -> bytes:
    data = encoded(PICTURE, ".jpg")
    return data[:2] + bytes([0xFF, mark]) + struct.pack(">H", len(body) + 2) + body + data[2:]


def jpeg_of_two_channels() -> bytes:
    data = bytearray(encoded(THREE, ".jpg"))
    data[data.index(b"\xff\xc0") + 9] = 2
    return bytes(data)


def with_alpha(channels: np.ndarray, alpha: int) -> np.ndarray:
    return np.concatenate([np.atleast_3d(channels), np.full((HEIGHT, WIDTH, 1), alpha, np.uint8)], axis=-1)


TWO_SHOTS = struct.pack("<4sIHHHII", b"II*\0", 8, 1, 0xB001, 4, 1, 2) + b"\0\0\0\0"
PLAIN = {PNG: png_with(), JPEG: encoded(PICTURE, ".jpg"), TIFF: tiff(PICTURE.tobytes())}
RGB = {PNG: encoded(THREE), JPEG: encoded(THREE, ".jpg"), TIFF: tiff_of(THREE, t258=[8] * 3, t262=[2], t277=[3])}
RGBA = tiff_of(with_alpha(THREE, 255), t258=[8] * 4, t262=[2], t277=[4], t338=[2])

# (property, value) -> a file of each container that can say so.
FILES: dict[tuple[str, str], dict[str, bytes]] = {
    ("frames", "one"): PLAIN,
    ("frames", "several"): {
        PNG: png_with(chunk(b"acTL", struct.pack(">II", 2, 0))),
        JPEG: jpeg_with_segment(0xE2, b"MPF\0" + TWO_SHOTS),
        TIFF: pillow(Image.fromarray(PICTURE), "TIFF", save_all=True, append_images=[Image.fromarray(PICTURE)]),
    },
    ("compression", "deflate"): {
        PNG: PLAIN[PNG],
        TIFF: pillow(Image.fromarray(PICTURE), "TIFF", compression="tiff_adobe_deflate"),
    },
    ("compression", "baseline"): {JPEG: PLAIN[JPEG]},
    ("compression", "extended"): {JPEG: jpeg_with_frame(0xC1)},
    ("compression", "progressive"): {JPEG: pillow(Image.fromarray(PICTURE), "JPEG", progressive=True)},
    ("compression", "lossless"): {JPEG: jpeg_with_frame(0xC3)},
    ("compression", "hierarchical"): {JPEG: jpeg_with_frame(0xC5)},
    ("compression", "arithmetic"): {JPEG: jpeg_with_frame(0xC9)},
    ("compression", "none"): {TIFF: PLAIN[TIFF]},
    ("compression", "LZW"): {TIFF: pillow(Image.fromarray(PICTURE), "TIFF", compression="tiff_lzw")},
    ("compression", "PackBits"): {TIFF: pillow(Image.fromarray(PICTURE), "TIFF", compression="packbits")},
    ("compression", "CCITT"): {
        TIFF: pillow(Image.fromarray(PICTURE > 127).convert("1"), "TIFF", compression="group4")
    },
    ("compression", "JPEG"): {TIFF: pillow(Image.fromarray(PICTURE), "TIFF", compression="jpeg")},
    ("compression", "another"): {TIFF: tiff(PICTURE.tobytes(), {259: [50000]})},
    ("sample format", "unsigned"): PLAIN,
    ("sample format", "signed"): {TIFF: tiff_of(PICTURE ^ 0x80, t339=[2])},
    ("sample format", "floating point"): {TIFF: pillow(Image.fromarray(PICTURE.astype(np.float32)), "TIFF")},
    ("sample format", "undefined"): {TIFF: tiff_of(PICTURE, t339=[4])},
    ("sample format", "complex"): {TIFF: tiff_of(PICTURE.astype(np.complex64), t339=[6], t258=[64])},
    ("bits a sample", "1"): {PNG: png_grey(1), TIFF: tiff_grey(1)},
    ("bits a sample", "2"): {PNG: png_grey(2), TIFF: tiff_grey(2)},
    ("bits a sample", "4"): {PNG: png_grey(4), TIFF: tiff_grey(4)},
    ("bits a sample", "8"): PLAIN,
    ("bits a sample", "12"): {
        JPEG: jpeg_with_frame(0xC1, depth=12),
        TIFF: tiff(b"".join(packed(PICTURE.astype(int) * 16, 12)), {258: [12]}),
    },
    ("bits a sample", "16"): {
        PNG: encoded(PICTURE.astype(np.uint16) * 257),
        TIFF: encoded(PICTURE.astype(np.uint16) * 257, ".tiff"),
    },
    ("bits a sample", "32"): {TIFF: tiff_of(PICTURE.astype(np.uint32), t258=[32])},
    ("bits a sample", "64"): {TIFF: tiff_of(PICTURE.astype(np.uint64), t258=[64])},
    ("bits a sample", "unequal"): {TIFF: tiff_of(THREE, t258=[8, 8, 16], t262=[2], t277=[3])},
    ("bits of a palette", "1"): {PNG: png_palette(1), TIFF: tiff_palette(1)},
    ("bits of a palette", "2"): {PNG: png_palette(2), TIFF: tiff_palette(2)},
    ("bits of a palette", "4"): {PNG: png_palette(4), TIFF: tiff_palette(4)},
    ("bits of a palette", "8"): {PNG: png_palette(8), TIFF: tiff_palette(8)},
    ("photometric", "black is zero"): PLAIN,
    ("photometric", "white is zero"): {TIFF: tiff_of(255 - PICTURE, t262=[0])},
    ("photometric", "colour"): RGB,
    ("photometric", "palette"): {PNG: png_palette(8), TIFF: tiff_palette(8)},
    ("photometric", "several grey channels"): {
        JPEG: jpeg_of_two_channels(),
        TIFF: tiff_of(THREE, t258=[8] * 3, t262=[1], t277=[3]),
    },
    ("photometric", "CMYK"): {
        JPEG: pillow(Image.fromarray(THREE).convert("CMYK"), "JPEG"),
        TIFF: pillow(Image.fromarray(THREE).convert("CMYK"), "TIFF"),
    },
    ("photometric", "YCbCr"): {TIFF: tiff_of(THREE, t258=[8] * 3, t262=[6], t277=[3])},
    ("photometric", "CIELab"): {TIFF: pillow(Image.fromarray(THREE, "LAB"), "TIFF")},
    ("photometric", "a stencil"): {TIFF: tiff_grey(1, photometric=4)},
    ("photometric", "another"): {TIFF: tiff_of(PICTURE, t262=[32844])},
    ("alpha", "none"): PLAIN,
    ("alpha", "alpha channel"): {PNG: pillow(Image.fromarray(with_alpha(PICTURE, 255), "LA"), "PNG"), TIFF: RGBA},
    ("alpha", "transparent colour"): {PNG: png_with(chunk(b"tRNS", struct.pack(">H", 1 + PICTURE.max())))},
    ("alpha", "alpha beside grey"): {TIFF: tiff_of(with_alpha(PICTURE, 255), t258=[8] * 2, t277=[2], t338=[2])},
    ("alpha", "an unnamed channel"): {
        TIFF: tiff_of(with_alpha(THREE, 7), t258=[8] * 4, t262=[2], t277=[4], t338=[0])
    },
    ("orientation", "upright"): PLAIN,
    ("orientation", "turned or mirrored"): {
        PNG: png_with(chunk(b"eXIf", turned_note(6))),
        JPEG: with_exif(PLAIN[JPEG], turned_note(6)),
        TIFF: tiff_of(PICTURE, t274=[6]),
    },
    ("planes", "together"): RGB,
    ("planes", "apart"): {
        TIFF: tiff(THREE.transpose(2, 0, 1).tobytes(), {258: [8] * 3, 262: [2], 277: [3], 284: [2]}, strips=3)
    },
    ("bit order", "high bit first"): PLAIN,
    ("bit order", "low bit first"): {TIFF: tiff_of(PICTURE, t266=[2])},
    ("gamma, profile", "none"): PLAIN,
    ("gamma, profile", "given"): {
        PNG: png_with(chunk(b"gAMA", struct.pack(">I", 100000))),
        JPEG: jpeg_with_segment(0xE2, b"ICC_PROFILE\0\1\1" + bytes(128)),
        TIFF: pillow(Image.fromarray(PICTURE), "TIFF", icc_profile=bytes(128)),
    },
}  # fmt: skip
CELLS = [
    pytest.param(title, value, kind, id=f"{title}: {value} in {kind}")
    for title, values in RULES.items()
    for value, cells in values.items()
    for kind in cells
]


def as_a_viewer_shows_it(data: bytes) -> np.ndarray:
    """The reference: Pillow, which shares no line with OpenCV's readers nor with ours, at 8 bits of grey."""
    with Image.open(io.BytesIO(data)) as picture:
        return np.asarray(ImageOps.exif_transpose(picture).convert("L"))


@pytest.mark.parametrize(("title", "value", "kind"), CELLS)
def test_a_file_of_each_cell_is_read_mapped_or_refused_as_it_says(title: str, value: str, kind: str) -> None:
    data = FILES[title, value][kind]
    header = read_header(data, "x")
    assert (header.kind, header.properties[title]) == (kind, value)
    cell = RULES[title][value][kind]
    if cell.verdict == "refused":
        with pytest.raises(BadImage) as caught:
            decode(data, "scan")
        assert caught.value.message == f"scan: {cell.text}" and caught.value.hint == cell.hint
        return
    pixels, shown = decode(data, "scan"), as_a_viewer_shows_it(data)
    # The two decoders of JPEG round differently by a level.
    assert pixels.shape == shown.shape and np.abs(pixels.astype(int) - shown).max() <= (1 if kind == JPEG else 0)
    assert pixels.dtype == np.uint8 and pixels.flags.c_contiguous


def test_no_file_stands_for_a_cell_that_is_not_there() -> None:
    for (title, value), files in FILES.items():
        assert set(files) <= set(KINDS)
        extra = set(files) - set(RULES[title][value])
        assert not extra, f"{title} {value} has no cell for {extra}"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", KINDS)
def test_every_orientation_is_followed_in_every_container(orientation: int, kind: str) -> None:
    data = {
        PNG: png_with(chunk(b"eXIf", turned_note(orientation))),
        JPEG: with_exif(PLAIN[JPEG], turned_note(orientation)),
        TIFF: tiff_of(PICTURE, t274=[orientation]),
    }[kind]
    shown = as_a_viewer_shows_it(data)
    assert np.abs(decode(data, "x").astype(int) - shown).max() <= (1 if kind == JPEG else 0)
    header = read_header(data, "x")
    assert (header.height, header.width) == shown.shape and header.orientation == orientation


@pytest.mark.parametrize("orientation", [0, 9, 77])
def test_an_orientation_that_does_not_exist_is_taken_as_upright(orientation: int) -> None:
    assert np.array_equal(decode(tiff_of(PICTURE, t274=[orientation]), "x"), PICTURE)


@pytest.mark.parametrize(
    "block",
    [
        b"II*\0" + struct.pack("<IHHHIIHHII", 8, 2, 0x110, 2, 900, 70000, 0x112, 3, 1, 6),
        b"II*\0" + struct.pack("<IHHHII", 8, 9, 0x112, 3, 1, 6),
        b"II*\0" + struct.pack("<IHHHII", 8, 1, 0x112, 3, 1, 6),
        b"MM\0*" + struct.pack(">IHHHIHH", 8, 1, 0x112, 3, 1, 6, 0),
    ],
    ids=["another tag leads nowhere", "more tags announced than there are", "no next directory", "big-endian"],
)  # fmt: skip
@pytest.mark.parametrize("kind", [PNG, JPEG])
def test_an_orientation_is_followed_where_the_rest_of_the_note_is_broken(kind: str, block: bytes) -> None:
    data = {PNG: png_with(chunk(b"eXIf", block)), JPEG: with_exif(PLAIN[JPEG], block)}[kind]
    assert read_header(data, "x").orientation == 6
    assert np.abs(decode(data, "x").astype(int) - np.rot90(decode(PLAIN[kind], "x"), -1)).max() == 0


def test_the_first_of_two_notes_counts() -> None:
    data = with_exif(with_exif(PLAIN[JPEG], turned_note(1)), turned_note(6))
    assert read_header(data, "x").orientation == 6
    assert decode(data, "x").shape == as_a_viewer_shows_it(data).shape == (WIDTH, HEIGHT)


def hidden(kind: str) -> Callable[[int], bytes]:
    return {
        "grey png": lambda level: pillow(Image.fromarray(with_alpha(PICTURE, level), "LA"), "PNG"),
        "colour png": lambda level: pillow(Image.fromarray(with_alpha(THREE, level)), "PNG"),
        "palette png": lambda level: png(WIDTH, HEIGHT, 8, 3, ROWS, GREYS, chunk(b"tRNS", bytes([level]) * 256)),
        "tiff": lambda level: tiff_of(with_alpha(THREE, level), t258=[8] * 4, t262=[2], t277=[4], t338=[2]),
    }[kind]


@pytest.mark.parametrize("kind", ["grey png", "colour png", "palette png", "tiff"])
def test_transparency_is_accepted_where_it_hides_nothing(kind: str) -> None:
    assert np.array_equal(decode(hidden(kind)(255), "x"), PICTURE)
    for level in (0, 100, 254):
        with pytest.raises(BadImage, match=r"x: has transparency that hides 480 pixels"):
            decode(hidden(kind)(level), "x")


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_transparent_grey_level_hides_the_pixels_that_have_it(bits: int) -> None:
    level = int(few(bits)[0, 0])
    rows = b"".join(b"\0" + row for row in packed(few(bits), bits))
    data = png(WIDTH, HEIGHT, bits, 0, rows, chunk(b"tRNS", struct.pack(">H", level)))
    count = int((few(bits) == level).sum())
    with pytest.raises(BadImage, match=f"hides {count} pixels"):
        decode(data, "x")


def test_a_transparent_colour_hides_the_pixels_that_have_it() -> None:
    rows = b"".join(b"\0" + row.tobytes() for row in THREE)
    level = int(PICTURE[3, 4])
    data = png(WIDTH, HEIGHT, 8, 2, rows, chunk(b"tRNS", struct.pack(">HHH", *[level] * 3)))
    with pytest.raises(BadImage, match=f"hides {int((level == PICTURE).sum())} pixels"):
        decode(data, "x")
    spared = png(WIDTH, HEIGHT, 8, 2, rows, chunk(b"tRNS", struct.pack(">HHH", level, level, 1)))
    assert np.array_equal(decode(spared, "x"), PICTURE)


def test_a_stack_that_only_its_description_tells_is_refused() -> None:
    for images, refused in (("1", False), ("20", True)):
        data = tiff(PICTURE.tobytes(), text=f"ImageJ=1.53t\nimages={images}\nslices={images}\n".encode())
        if refused:
            with pytest.raises(BadImage, match="several pictures"):
                decode(data, "x")
        else:
            assert np.array_equal(decode(data, "x"), PICTURE)


def test_three_contrasts_in_one_file_are_never_averaged_without_a_word() -> None:
    contrasts = np.stack([PICTURE, 255 - PICTURE, PICTURE // 3], axis=-1)
    with pytest.raises(BadImage, match="coloured") as caught:
        decode(tiff_of(contrasts, t258=[8] * 3, t262=[2], t277=[3]), "x")
    assert "contrasts" in caught.value.hint and "choose the one channel" in caught.value.hint
    with pytest.raises(BadImage, match="several grey channels") as caught:
        decode(tiff_of(contrasts, t258=[8] * 3, t262=[1], t277=[3]), "x")
    assert "choose one channel" in caught.value.hint


@pytest.mark.parametrize("place", range(60, 800, 37))
def test_decoders_say_nothing_on_the_terminal(place: int, capfd: pytest.CaptureFixture[str]) -> None:
    data = encoded(grey(64, 64), ".jpg")
    broken = data[:place] + b"\x12\x34" + data[place + 2 :]
    with suppress(BadImage):
        decode(broken, "x")
    assert capfd.readouterr() == ("", "")


def test_the_documents_table_is_the_codes() -> None:
    text = DOCS.read_text()
    table = re.search(r"(?m)^\| property \| value .*\n(?:\|.*\n)+", text)
    assert table and table[0] == as_markdown()
