from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edgebrain.cli.data import app
from edgebrain.data.readers import open_dataset
from edgebrain.data.summary import summarise
from edgebrain.errors import BadData, EdgebrainError
from tests.data.pictures import put_image, put_mask
from tests.runtime.pictures import chunk


def test_a_whole_set_is_counted_by_side_class_plane_and_size(brisc: Path) -> None:
    found = summarise(brisc)
    assert (found.slices, found.masks, found.missing_masks, found.unreadable, found.strays) == (6, 4, (), (), ())
    assert found.folders == ("test", "train")
    assert found.count("train", "glioma", "axial") == 1 and found.count("train", "glioma", "coronal") == 0
    assert found.count("train") == 3 and found.count("test", plane="sagittal") == 1
    assert found.sizes == {"48x40": 6}


def test_broken_files_are_named_with_their_reason_and_still_counted(brisc: Path) -> None:
    images, masks = brisc / "segmentation_task/train/images", brisc / "segmentation_task/train/masks"
    gone, cut = "brisc2025_train_00001_gl_ax_t1", "brisc2025_train_00001_me_co_t1"
    (masks / f"{gone}.png").unlink()
    (images / f"{cut}.jpg").write_bytes((images / f"{cut}.jpg").read_bytes()[:200])
    bad_mask = brisc / "segmentation_task/test/masks/brisc2025_test_10001_gl_ax_t1.png"
    bad_mask.write_bytes(b"x" * 50)
    put_image(images / "scan.jpg", 0)
    found = summarise(brisc)
    assert found.slices == 6 and found.count("train", "meningioma") == 1
    assert found.missing_masks == (f"{gone}.jpg",)
    assert [Path(file).name for file, _ in found.unreadable] == [bad_mask.name, f"{cut}.jpg"]
    assert all(reason and file not in reason for file, reason in found.unreadable)
    assert [Path(file).name for file in found.strays] == ["scan.jpg"]
    assert found.masks == 1 and found.sizes == {"48x40": 5}


def test_a_set_that_cannot_be_trained_on_is_still_described(few_phantoms: Path) -> None:
    for mask in (few_phantoms / "masks").iterdir():
        mask.unlink()
    with pytest.raises(BadData):
        open_dataset(few_phantoms)
    found = summarise(few_phantoms)
    assert found.masks == 0 and len(found.missing_masks) == found.slices - found.count("all", "no_tumor")


def test_the_command_prints_within_80_columns_and_names_what_is_broken(few_phantoms: Path) -> None:
    bad = sorted((few_phantoms / "images").iterdir())[2]
    bad.write_bytes(b"")
    result = CliRunner().invoke(app, ["summary", str(few_phantoms)], catch_exceptions=False)
    assert result.exit_code == 1, "what could not be read is not passed over"
    assert f"{bad}: " in result.stdout and "unreadable: 1" in result.stdout
    table = [line for line in result.stdout.splitlines() if str(few_phantoms) not in line]
    assert max(len(line) for line in table) <= 80
    assert any(line.split()[:2] == ["all", "glioma"] for line in table)


def test_the_command_writes_json_that_holds_the_same_counts(brisc: Path) -> None:
    result = CliRunner().invoke(app, ["summary", str(brisc), "--json", "-"], catch_exceptions=False)
    content = json.loads(result.stdout)
    assert content["slices"] == 6 and content["counts"]["test"]["no_tumor"]["sagittal"] == 1
    assert sum(n for side in content["counts"].values() for label in side.values() for n in label.values()) == 6


def test_the_phantom_command_writes_a_set_that_opens(tmp_path: Path) -> None:
    words = ["phantom", str(tmp_path / "set"), "--count", "5", "--seed", "4"]
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0 and len(open_dataset(tmp_path / "set").records) == 5
    again = CliRunner().invoke(app, words)
    assert isinstance(again.exception, EdgebrainError)


@pytest.mark.slow
def test_the_real_brisc_has_no_broken_file(real_brisc: Path) -> None:
    found = summarise(real_brisc)
    assert found.unreadable == () and found.missing_masks == () and found.strays == ()
    assert found.masks == found.slices - sum(found.count(folder, "no_tumor") for folder in found.folders)


def test_a_mask_that_reads_as_empty_is_named_and_not_counted(brisc: Path) -> None:
    empty = next(brisc.rglob("train/masks/*_gl_*.png"))
    put_mask(empty, on=0, off=0)
    dark = next(brisc.rglob("test/masks/*_gl_*.png"))
    put_mask(dark, on=1, off=0)
    found = summarise(brisc)
    assert found.masks == 2 and found.missing_masks == ()
    assert found.contradictions == ((str(empty), "an empty mask for a glioma slice"),)
    assert found.unreadable == ((str(dark), "the mask holds 0 and 1, the set's masks 0 and 255"),)
    assert len(found.rejected) == 2
    said = CliRunner().invoke(app, ["summary", str(brisc)], catch_exceptions=False).stdout
    assert "masks: 2 tumour slices with one" in said and "2 of 6 slices are left out by every command" in said
    assert f"  {empty}: an empty mask for a glioma slice" in said


def test_the_summary_says_how_masks_are_written(brisc: Path) -> None:
    for mask in brisc.rglob("masks/*.png"):
        put_mask(mask, on=1, off=0)
    said = CliRunner().invoke(app, ["summary", str(brisc)], catch_exceptions=False).stdout
    assert "masks: 4 tumour slices with one" in said and "masks: 0/1 (not 0/255): 1 is read as lesion" in said
    content = json.loads(CliRunner().invoke(app, ["summary", str(brisc), "--json", "-"], catch_exceptions=False).stdout)
    assert content["mask_encoding"] == {"name": "0/1", "above": 0, "levels": [0, 1]}
    assert content["left_out"] is None and content["rejected"] == [] and content["lone_masks"] == []


def test_the_summary_agrees_with_the_pack_on_what_is_left_out(brisc: Path) -> None:
    from edgebrain.data.pack import open_pack

    masks = sorted(brisc.rglob("masks/*.png"))
    put_mask(masks[0], shape=(20, 20))
    put_mask(masks[1], on=0, off=0)
    masks[2].write_bytes(b"x")
    found, pack = summarise(brisc), open_pack(open_dataset(brisc))
    assert dict(found.rejected) == dict(pack.rejected) and len(found.rejected) == 3
    content = json.loads(CliRunner().invoke(app, ["summary", str(brisc), "--json", "-"], catch_exceptions=False).stdout)
    assert content["left_out"].startswith("3 of 6 slices left out: ")


def test_files_that_look_like_masks_and_belong_to_no_picture_are_named(brisc: Path) -> None:
    orphan = brisc / "segmentation_task/train/masks/brisc2025_train_00404_gl_ax_t1.png"
    put_mask(orphan)
    assert summarise(brisc).lone_masks == (str(orphan),)
    said = CliRunner().invoke(app, ["summary", str(brisc)], catch_exceptions=False).stdout
    assert "files that look like masks and belong to no picture: 1" in said


def test_a_mask_that_is_turned_otherwise_than_its_picture_is_named_by_the_summary_too(few_phantoms: Path) -> None:
    mask = sorted((few_phantoms / "masks").iterdir())[0]
    note = b"II*\0" + struct.pack("<IHHHII", 8, 1, 0x112, 3, 1, 3) + b"\0\0\0\0"
    data = mask.read_bytes()
    mask.write_bytes(data[:33] + chunk(b"eXIf", note) + data[33:])
    found = summarise(few_phantoms)
    assert [(Path(file).name, reason.split(",")[0]) for file, reason in found.unreadable] == [
        (mask.name, "is turned by its header as 3")
    ]
    assert [name for name, _ in found.rejected] == [mask.name]
