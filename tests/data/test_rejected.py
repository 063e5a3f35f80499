from __future__ import annotations

from pathlib import Path

import pytest

from edgebrain.data.readers import open_dataset
from edgebrain.data.rejected import as_json, left_out, read_sound, refuse_losses
from edgebrain.data.sample import Record
from edgebrain.errors import BadData, BadImage
from tests.data.pictures import put_image, put_mask

ROOT = Path("/set")


def records(tumours: int = 20, healthy: int = 5) -> list[Record]:
    """Records of a set that is not there: glioma and healthy slices."""
    drawn = [Record(f"t{n}", ROOT / f"t{n}", ROOT / f"t{n}m", "glioma", "axial") for n in range(tumours)]
    return drawn + [Record(f"h{n}", ROOT / f"h{n}", None, "no_tumor", "axial") for n in range(healthy)]


def lost(*names: str) -> list[tuple[str, str]]:
    return [(name, f"{name}: is broken") for name in names]


def test_a_tenth_of_the_masks_may_be_lost_and_no_more() -> None:
    refuse_losses(records(), lost("t0", "t1"), ROOT)
    with pytest.raises(BadData, match=r"3 of 20 masks cannot be used, more than a tenth; the first: t0: is") as error:
        refuse_losses(records(), lost("t0", "t1", "t2"), ROOT)
    assert "--allow-rejected" in error.value.hint and "data summary /set" in error.value.hint
    refuse_losses(records(), lost("t0", "t1", "t2"), ROOT, allowed=True)


def test_a_class_may_not_be_lost_even_where_it_needs_no_mask() -> None:
    refuse_losses(records(), lost("h0", "h1", "h2", "h3"), ROOT)
    with pytest.raises(BadData, match="not one slice of no_tumor can be used"):
        refuse_losses(records(), lost(*(f"h{n}" for n in range(5))), ROOT)


def test_what_is_left_out_is_one_sentence_with_the_first_reason() -> None:
    told = as_json(lost("t3", "t4"), 25, ROOT)
    assert told["left_out"] == "2 of 25 slices left out: t3: is broken (see edgebrain data summary /set)"
    assert told["rejected"][1] == {"name": "t4", "reason": "t4: is broken"}
    assert as_json([], 25, ROOT) == {"rejected": [], "left_out": None} and left_out([], 25, ROOT) is None


def test_sound_records_are_those_that_load(brisc: Path) -> None:
    put_mask(brisc / "segmentation_task/train/masks/brisc2025_train_00001_gl_ax_t1.png", shape=(20, 20))
    (brisc / "segmentation_task/test/masks/brisc2025_test_10001_gl_ax_t1.png").unlink()
    dataset = open_dataset(brisc)
    kept, rejected = read_sound(dataset.records, lambda record, sample: record)
    assert [name for name, _ in rejected] == ["brisc2025_test_10001_gl_ax_t1.jpg", "brisc2025_train_00001_gl_ax_t1.jpg"]
    assert len(kept) == 4 and "without mask" in rejected[0][1] and "the mask is 20x20" in rejected[1][1]


def test_image_and_mask_that_are_turned_differently_are_refused(tmp_path: Path) -> None:
    from PIL import Image

    put_image(tmp_path / "a.png", 1, shape=(40, 40))
    put_mask(tmp_path / "a_mask.png", shape=(40, 40))
    turned = Image.Exif()
    turned[274] = 6
    Image.open(tmp_path / "a.png").save(tmp_path / "a.jpg", exif=turned)
    record = Record("a.jpg", tmp_path / "a.jpg", tmp_path / "a_mask.png", "glioma", "axial")
    with pytest.raises(BadImage, match=r"a_mask\.png: is turned by its header as 1, its image as 6"):
        record.load()
    Image.open(tmp_path / "a_mask.png").save(tmp_path / "b_mask.jpg", exif=turned, quality=95)
    both = Record("a.jpg", tmp_path / "a.jpg", tmp_path / "b_mask.jpg", "glioma", "axial")
    assert both.load().mask.sum() == 100
