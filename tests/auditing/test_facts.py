from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edgebrain.auditing.facts import quantisation_tables, scan_pictures
from edgebrain.data.sample import Record
from edgebrain.runtime.transform import downsample
from tests.auditing.factories import lesion, phantom_head, write


def jpeg(image: np.ndarray, quality: int) -> bytes:
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def test_quantisation_tables_depend_on_the_quality_and_not_on_the_picture() -> None:
    assert quantisation_tables(jpeg(phantom_head(0), 90)) == quantisation_tables(jpeg(phantom_head(1), 90)) != ""
    assert quantisation_tables(jpeg(phantom_head(0), 90)) != quantisation_tables(jpeg(phantom_head(0), 75))


@pytest.mark.parametrize("data", [b"", b"\xff\xd8", b"\xff\xd8\xff", b"\xff\xd8\xff\xdb\x00", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_whole_jpeg_has_no_tables(data: bytes) -> None:
    assert quantisation_tables(data) == ""


def test_no_beginning_of_a_jpeg_makes_the_reader_of_tables_fail() -> None:
    data = jpeg(phantom_head(0), 90)
    assert {quantisation_tables(data[:end]) for end in range(700)} <= {"", *{quantisation_tables(data)}} | {
        quantisation_tables(data[:end]) for end in range(20, 160)
    }


def test_the_facts_of_a_picture_are_those_of_the_file(tmp_path: Path) -> None:
    image = np.full((64, 96), 10, dtype=np.uint8)
    image[2:-2, 2:-2] = 200
    (tmp_path / "a.png").write_bytes(b"")
    write(tmp_path / "b.png", np.dstack([image] * 3))
    write(tmp_path / "mask.png", lesion(image.shape, size=10))
    records = [Record("a", tmp_path / "a.png", None, "glioma", "axial")]
    records.append(Record("b", tmp_path / "b.png", tmp_path / "mask.png", "glioma", "axial"))
    steps: list[tuple[str, int, int]] = []
    scan = scan_pictures(records, lambda *step: steps.append(step))
    assert steps == [("reading", 1, 2), ("reading", 2, 2)] and scan.names == ["b"]
    assert [(record.name, reason) for record, reason in scan.unreadable] == [("a", "is empty (0 bytes)")]
    fact = scan.facts[0]
    assert (fact.width, fact.height, fact.channels, fact.kind, fact.tables) == (96, 64, 3, "PNG", "")
    assert fact.size_bytes == (tmp_path / "b.png").stat().st_size
    assert fact.border == pytest.approx(10.0) and fact.mean == pytest.approx(image.mean())
    assert fact.dark == pytest.approx((image == 10).mean())
    assert fact.mask is not None and fact.mask.lesion == 100 and fact.mask.misfit == ""
    assert (scan.images[0] == downsample(image, 128, 128)).all() and scan.images.shape == (1, 128, 128)
    assert scan.masks[0].mean() / 255 == pytest.approx(100 / image.size, rel=0.05)


def test_one_and_three_channels_of_the_same_grey_have_the_same_pixels(tmp_path: Path) -> None:
    write(tmp_path / "a.png", phantom_head(0))
    write(tmp_path / "b.png", np.dstack([phantom_head(0)] * 3))
    write(tmp_path / "c.png", phantom_head(0).T)
    facts = scan_pictures([Record(name, tmp_path / f"{name}.png", None, "", "") for name in "abc"]).facts
    assert facts[0].pixels == facts[1].pixels != facts[2].pixels
    assert len({fact.sha256 for fact in facts}) == 3
