from __future__ import annotations

import io
import struct

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from edgebrain.errors import BadImage
from edgebrain.runtime import image as module
from edgebrain.runtime.image import decode
from tests.runtime.pictures import chunk, encoded, grey, png, tiff, with_exif

PICTURE = grey()
WHOLE = {kind: encoded(PICTURE, kind) for kind in (".png", ".jpg", ".tiff")}


def refused(data: bytes, *words: str) -> None:
    """Decoding must fail, naming the file, with these words in the message and a way out."""
    with pytest.raises(BadImage) as caught:
        decode(data, "scan/slice7")
    assert caught.value.message.startswith("scan/slice7: ")
    assert caught.value.hint
    for word in words:
        assert word in caught.value.message


@pytest.mark.parametrize("kind", [".png", ".tiff"])
def test_lossless_files_come_back_to_the_byte(kind: str) -> None:
    assert np.array_equal(decode(WHOLE[kind], "x"), PICTURE)


def test_a_grey_jpeg_comes_back_nearly_equal_and_always_the_same() -> None:
    first = decode(WHOLE[".jpg"], "x")
    assert first.shape == PICTURE.shape and first.dtype == np.uint8
    assert np.abs(first.astype(int) - PICTURE).max() < 40
    assert np.array_equal(first, decode(WHOLE[".jpg"], "x"))


def test_three_equal_channels_become_one() -> None:
    assert np.array_equal(decode(encoded(cv2.merge([PICTURE] * 3)), "x"), PICTURE)


def test_channels_that_differ_by_a_few_levels_become_their_rounded_mean() -> None:
    channels = np.stack([np.full((8, 8), level, np.uint8) for level in (100, 101, 104)], axis=-1)
    assert np.array_equal(decode(encoded(channels), "x"), np.full((8, 8), 102, np.uint8))


def test_a_coloured_line_on_a_grey_slice_is_refused() -> None:
    drawn = cv2.line(cv2.merge([PICTURE] * 3), (2, 2), (12, 12), (0, 0, 255))
    refused(encoded(drawn), "coloured")


@pytest.mark.parametrize("kind", WHOLE)
def test_a_file_cut_short_anywhere_is_refused(kind: str) -> None:
    data = WHOLE[kind]
    for end in range(1, len(data)):
        refused(data[:end])


@pytest.mark.parametrize("changes", [{279: 10**6}, {273: 2**31}], ids=["too long", "too far"])
def test_a_tiff_whose_pixels_would_lie_beyond_its_end_is_refused(changes: dict[int, int]) -> None:
    refused(tiff(PICTURE, changes), "cut short")


def test_an_empty_file_is_refused() -> None:
    refused(b"", "empty")


def test_one_changed_byte_in_a_png_is_refused() -> None:
    data = bytearray(WHOLE[".png"])
    data[60] ^= 1
    refused(bytes(data), "damaged")


def test_the_end_of_a_thumbnail_does_not_hide_that_a_jpeg_is_cut_short() -> None:
    data = with_exif(WHOLE[".jpg"], b"II*\0" + WHOLE[".jpg"])
    assert decode(data, "x").shape == PICTURE.shape
    refused(data[:-40], "cut short")


@pytest.mark.parametrize(
    "data",
    [
        png(30000, 30000, 8, 0, b""),
        png(20000, 1, 8, 0, b"\0" * 20001),
        tiff(np.zeros((2, 2), np.uint8), {256: 30000, 257: 30000}),
        WHOLE[".jpg"].replace(struct.pack(">HH", *PICTURE.shape), struct.pack(">HH", 65000, 65000)),
    ],
    ids=["png", "long thin png", "tiff", "jpeg"],
)
def test_a_decompression_bomb_is_refused_before_anything_is_decoded(
    data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module.cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    refused(data, "the limit is")


def test_a_file_over_the_budget_of_bytes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 100)
    refused(WHOLE[".png"], "the limit is")


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (bytes(128) + b"DICM" + bytes(64), "DICOM"),
        (bytes(344) + b"n+1\0", "NIfTI"),
        (b"\x1f\x8b\x08" + bytes(20), "gzip"),
        (b"%PDF-1.7\n", "PDF"),
        (b"GIF89a" + bytes(9), "GIF"),
        (b"PK\x03\x04" + bytes(9), "ZIP"),
        (b"name,group\na,b\n", "text"),
        (b"<html>", "text"),
        (b"II+\0" + bytes(20), "BigTIFF"),
        (bytes(range(200, 256)), "no PNG, JPEG or TIFF"),
    ],
)
def test_a_file_of_another_type_is_refused_by_its_type(data: bytes, kind: str) -> None:
    refused(data, kind)


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (encoded(PICTURE.astype(np.uint16) * 257), "16 bits"),
        (encoded(PICTURE.astype(np.uint16) * 257, ".tiff"), "16 bits"),
        (tiff(np.full((4, 4), np.nan, np.float32)), "NaN"),
        (encoded(np.dstack([PICTURE] * 4)), "transparency"),
        (png(2, 2, 8, 4, b"\0\1\2\3\4" * 2), "transparency"),
        (png(2, 2, 8, 3, b"\0\0\1" * 2, chunk(b"PLTE", bytes(6)), chunk(b"tRNS", b"\0")), "transparency"),
        (tiff(PICTURE, following=8), "several pages"),
        (tiff(PICTURE, {259: 7}), "compression"),
        (tiff(PICTURE, {256: 0}), "damaged"),
        (png(0, 4, 8, 0, b""), "damaged"),
    ],
)
def test_a_picture_that_is_not_8_bit_grey_is_refused_by_what_it_is(data: bytes, word: str) -> None:
    refused(data, word)


@pytest.mark.parametrize(("depth", "levels"), [(1, [0, 255]), (2, [0, 85, 170, 255])])
def test_a_png_of_fewer_bits_is_spread_over_the_whole_range(depth: int, levels: list[int]) -> None:
    packed = {1: 0b01000000, 2: 0b00011011}[depth]
    assert decode(png(len(levels), 1, depth, 0, bytes([0, packed])), "x").ravel().tolist() == levels


def test_a_palette_of_greys_is_read_as_grey() -> None:
    palette = chunk(b"PLTE", bytes([9, 9, 9, 200, 200, 200]))
    assert decode(png(2, 1, 8, 3, b"\0\0\1", palette), "x").tolist() == [[9, 200]]


@given(
    start=st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*"]),
    rest=st.binary(max_size=400),
)
@settings(max_examples=300, deadline=None)
def test_no_bytes_make_anything_but_a_bad_image(start: bytes, rest: bytes) -> None:
    with pytest.raises(BadImage):
        decode(start + rest, "x")


@pytest.mark.parametrize("kind", ["JPEG", "tiff_lzw", "tiff_adobe_deflate", "packbits"])
@pytest.mark.parametrize("filler", [b"\xff", b"\0", b"\x5a"])
def test_a_picture_with_a_damaged_part_is_refused_and_not_answered_by_half(kind: str, filler: bytes) -> None:
    stream = io.BytesIO()
    slice_ = Image.fromarray(grey(240, 208))
    slice_.save(stream, "JPEG") if kind == "JPEG" else slice_.save(stream, "TIFF", compression=kind)
    data = stream.getvalue()
    assert decode(data, "x").shape == (240, 208)
    middle = len(data) // 2
    try:
        answered = decode(data[:middle] + filler * 40 + data[middle + 40 :], "x")
    except BadImage:
        return
    if kind == "tiff_lzw" and int(cv2.__version__.split(".")[0]) < 5:
        pytest.skip("OpenCV 4 does not say that an LZW strip is damaged")
    # Where bytes stand for pixels one by one, no checksum tells what was changed; and nothing else is changed by it.
    assert kind == "packbits" and (answered != decode(data, "x")).sum() <= 60


@given(kind=st.sampled_from(sorted(WHOLE)), place=st.integers(0, 10**6), value=st.integers(0, 255))
@settings(max_examples=300, deadline=None)
def test_a_changed_byte_gives_a_slice_or_a_bad_image(kind: str, place: int, value: int) -> None:
    data = bytearray(WHOLE[kind])
    data[place % len(data)] = value
    try:
        pixels = decode(bytes(data), "x")
    except BadImage:
        return
    assert pixels.ndim == 2 and pixels.dtype == np.uint8 and pixels.size
