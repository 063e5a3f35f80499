from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import pytest

from edgebrain.data.groups import read_groups
from edgebrain.data.readers import lone_masks, open_dataset, scan, strays
from edgebrain.data.readers.registry import READERS
from edgebrain.errors import BadData, BadImage
from tests.data.pictures import put_image, put_mask


def write_groups(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join(["name,group", *lines]) + "\n")
    return path


def test_brisc_lists_each_slice_once_and_takes_the_one_with_the_mask(brisc: Path) -> None:
    dataset = open_dataset(brisc)
    assert dataset.kind == "brisc"
    assert [(record.label, record.plane, record.folder) for record in dataset.records] == [
        ("glioma", "axial", "test"),
        ("meningioma", "coronal", "test"),
        ("no_tumor", "sagittal", "test"),
        ("glioma", "axial", "train"),
        ("meningioma", "coronal", "train"),
        ("no_tumor", "sagittal", "train"),
    ]
    assert all((record.mask_path is None) == (record.label == "no_tumor") for record in dataset.records)


def test_a_lossy_mask_is_cut_in_the_middle_and_a_healthy_slice_has_an_empty_one(brisc: Path) -> None:
    samples = {record.label: record.load() for record in open_dataset(brisc).records}
    assert samples["glioma"].mask is not None and samples["glioma"].mask.sum() == 100
    assert samples["no_tumor"].mask is not None and not samples["no_tumor"].mask.any()


@pytest.mark.parametrize("code", ["no", "nt"])
def test_both_codes_of_healthy_are_read(brisc: Path, code: str) -> None:
    name = f"brisc2025_train_00777_{code}_ax_t1.jpg"
    put_image(brisc / "classification_task/train/no_tumor" / name, 1)
    assert {record.name: record.label for record in scan(brisc).records}[name] == "no_tumor"


def test_a_three_channel_slice_reads_like_its_grey_twin(brisc: Path) -> None:
    grey = brisc / "segmentation_task/train/images/brisc2025_train_00001_gl_ax_t1.jpg"
    three = grey.with_name("brisc2025_train_00500_gl_ax_t1.png")
    put_image(three, 0, channels=3)
    put_image(three.with_name("brisc2025_train_00501_gl_ax_t1.png"), 0)
    for number in (0, 1):
        put_mask(brisc / f"segmentation_task/train/masks/brisc2025_train_0050{number}_gl_ax_t1.png")
    records = {record.name: record for record in scan(brisc).records}
    image, twin = (records[f"brisc2025_train_0050{n}_gl_ax_t1.png"].load().image for n in (0, 1))
    assert (image == twin).all() and image.ndim == 2


def test_only_the_classification_task_is_a_set_without_masks(brisc: Path) -> None:
    shutil.rmtree(brisc / "segmentation_task")
    with pytest.raises(BadData, match="none of 4 tumour slices has a mask"):
        open_dataset(brisc)


def test_names_that_tell_no_class_are_strays_and_masks_without_image_are_told_apart(brisc: Path) -> None:
    put_image(brisc / "segmentation_task/train/images/holiday.jpg", 1)
    put_image(brisc / "segmentation_task/train/images/._brisc2025_train_00001_gl_ax_t1.jpg", 1)
    put_mask(brisc / "segmentation_task/test/masks/brisc2025_test_00404_gl_ax_t1.png")
    assert [path.name for path in strays(scan(brisc))] == ["holiday.jpg"]
    assert [path.name for path in lone_masks(scan(brisc))] == ["brisc2025_test_00404_gl_ax_t1.png"]
    assert len(open_dataset(brisc).records) == 6


def test_a_mask_of_another_size_is_an_error_that_names_it(brisc: Path) -> None:
    mask = brisc / "segmentation_task/train/masks/brisc2025_train_00001_gl_ax_t1.png"
    put_mask(mask, shape=(41, 48))
    record = next(r for r in scan(brisc).records if r.mask_path == mask)
    with pytest.raises(BadImage, match=f"{mask.name}: the mask is 48x41, its image 48x40"):
        record.load()


def test_the_phantom_reader_returns_what_the_generator_drew(phantoms: Path) -> None:
    from edgebrain.phantom.generator import generate

    dataset = open_dataset(phantoms)
    assert dataset.kind == "phantom" and len(dataset.records) == 84
    for index in (0, 5, 40):
        drawn, read = generate(index, 7), dataset.records[index].load()
        assert read.mask is not None and (read.image == drawn.image).all() and (read.mask == drawn.mask).all()
        assert (read.label, read.plane, read.group) == (drawn.label, drawn.plane, drawn.group)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"groups": 3}', '{"groups": {}}'])
def test_a_damaged_phantom_note_is_an_error_that_names_it(few_phantoms: Path, content: str) -> None:
    (few_phantoms / "phantom.json").write_text(content)
    with pytest.raises(BadData, match=r"phantom\.json"):
        open_dataset(few_phantoms)


def test_a_missing_an_empty_and_an_unknown_folder_say_which_layouts_are_known(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="does not exist"):
        open_dataset(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadData, match="is empty"):
        open_dataset(tmp_path / "empty")
    (tmp_path / "other").mkdir()
    put_image(tmp_path / "other" / "a.jpg", 0)
    with pytest.raises(BadData, match="no data set that edgebrain knows") as error:
        open_dataset(tmp_path / "other")
    assert all(kind in error.value.hint for kind in READERS)
    with pytest.raises(BadData, match="is a file"):
        open_dataset(tmp_path / "other" / "a.jpg")


def test_a_known_layout_without_slices_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "set" / "segmentation_task").mkdir(parents=True)
    with pytest.raises(BadData, match="holds no slices"):
        open_dataset(tmp_path / "set")


def test_a_set_of_one_class_is_refused_by_its_name(brisc: Path) -> None:
    shutil.rmtree(brisc / "classification_task")
    for image in brisc.glob("segmentation_task/*/images/*_me_*"):
        image.unlink()
    with pytest.raises(BadData, match="all 2 slices are glioma"):
        open_dataset(brisc)


def test_groups_come_from_the_folders_own_file_and_a_named_file_goes_before_it(brisc: Path, tmp_path: Path) -> None:
    assert {record.group for record in open_dataset(brisc).records} == {""}
    names = [record.name for record in scan(brisc).records]
    write_groups(brisc / "groups.csv", [f"{name},own" for name in names])
    assert {record.group for record in open_dataset(brisc).records} == {"own"}
    named = write_groups(tmp_path / "named.csv", [f"{name},g{place}" for place, name in enumerate(names)])
    assert [record.group for record in open_dataset(brisc, named).records] == [f"g{i}" for i in range(6)]


def test_a_groups_file_must_fit_the_slices(brisc: Path, tmp_path: Path) -> None:
    names = [record.name for record in scan(brisc).records]
    short = write_groups(tmp_path / "short.csv", [f"{name},g" for name in names[1:]])
    with pytest.raises(BadData, match=rf"short\.csv: lacks 1 of 6 slices \({names[0]}\)"):
        open_dataset(brisc, short)
    long = write_groups(tmp_path / "long.csv", [f"{name},g" for name in [*names, "ghost.jpg"]])
    with pytest.raises(BadData, match=r"long\.csv: names 1 slices .*ghost\.jpg"):
        open_dataset(brisc, long)


@pytest.mark.parametrize(
    "content",
    [b"", b"a,b\n1,2\n", b"name,group\nx,\n", b"name,group\nx,1\nx,2\n", b"name,group\nx\n", b"\xff\xfe\x00n"],
)
def test_a_malformed_groups_file_is_an_error_that_names_it(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "groups.csv").write_bytes(content)
    with pytest.raises(BadData, match=r"groups\.csv"):
        read_groups(tmp_path / "groups.csv")


def test_a_groups_file_from_a_spreadsheet_is_read(tmp_path: Path) -> None:
    (tmp_path / "groups.csv").write_bytes(b"\xef\xbb\xbfname,group\r\nx.jpg,1\r\n")
    assert read_groups(tmp_path / "groups.csv") == {"x.jpg": "1"}
    with pytest.raises(BadData, match=r"absent\.csv"):
        read_groups(tmp_path / "absent.csv")


def test_the_real_brisc_has_a_mask_for_every_tumour_and_none_for_healthy(real_brisc: Path) -> None:
    dataset = open_dataset(real_brisc)
    assert all((record.mask_path is None) == (record.label == "no_tumor") for record in dataset.records)
    assert all(f"_{record.folder}_" in record.name for record in dataset.records)
    assert len(dataset.records) > 4000 and all(record.group for record in dataset.records)
    assert strays(dataset) == []


def rename_masks(root: Path, ending: str) -> None:
    """Write every mask of a set again with another ending."""
    for mask in root.rglob("masks/*.png"):
        pixels = cv2.imread(str(mask), cv2.IMREAD_GRAYSCALE)
        done, content = cv2.imencode(f".{ending.lower()}", pixels)
        assert done
        mask.unlink()
        mask.with_suffix(f".{ending}").write_bytes(content.tobytes())


@pytest.mark.parametrize("ending", ["jpg", "PNG", "jpeg", "TIF", "tiff", "JPG"])
@pytest.mark.parametrize("layout", ["brisc", "few_phantoms"])
def test_masks_are_found_by_any_ending_of_pictures(layout: str, ending: str, request: pytest.FixtureRequest) -> None:
    root = request.getfixturevalue(layout)
    before = {record.name: record.load().mask.sum() for record in open_dataset(root).records}
    rename_masks(root, ending)
    after = {record.name: record.load().mask.sum() for record in open_dataset(root).records}
    assert after == pytest.approx(before, rel=0.05) and sum(after.values())


def test_masks_called_like_their_picture_with_mask_behind_are_found(brisc: Path) -> None:
    for mask in brisc.rglob("masks/*.png"):
        mask.rename(mask.with_stem(f"{mask.stem}_mask"))
    for folder in list(brisc.rglob("masks")):
        folder.rename(folder.with_name("labels"))
    assert sum(record.load().mask.any() for record in open_dataset(brisc).records) == 4


def test_two_masks_of_one_slice_are_a_reason_to_leave_it_out(brisc: Path) -> None:
    mask = next(brisc.rglob("train/masks/*_gl_*.png"))
    put_mask(mask.with_suffix(".jpg"))
    (record,) = [one for one in open_dataset(brisc).records if one.other_masks]
    with pytest.raises(BadImage, match=rf"{mask.stem}\.jpg: {mask.name} is a mask of the same slice"):
        record.load()


def test_a_set_whose_masks_cannot_be_read_says_what_lies_there_instead(brisc: Path) -> None:
    for mask in brisc.rglob("masks/*.png"):
        mask.rename(mask.with_suffix(".bmp"))
    with pytest.raises(BadData, match=r"4 files look like masks and belong to no picture \(4 x \.bmp\): ") as error:
        open_dataset(brisc)
    assert "has its picture's name" in error.value.hint and ".png" in error.value.hint


def test_masks_with_other_names_than_their_pictures_are_named(brisc: Path) -> None:
    for mask in brisc.rglob("masks/*.png"):
        mask.rename(mask.with_stem(mask.stem.replace("brisc2025", "lesion")))
    with pytest.raises(BadData, match=r"none of 4 .*\(4 x \.png\): segmentation_task/test/masks/lesion_test_10001"):
        open_dataset(brisc)


@pytest.mark.parametrize(("level", "name"), [(1, "0/1"), (255, "0/255")])
def test_the_encoding_of_masks_is_the_sets_and_known_to_each_record(brisc: Path, level: int, name: str) -> None:
    for mask in brisc.rglob("masks/*.png"):
        put_mask(mask, on=level, off=0)
    dataset = open_dataset(brisc)
    assert dataset.encoding.name == name and {record.encoding for record in dataset.records} == {dataset.encoding}
    assert {record.load().mask.sum() for record in dataset.records} == {0, 100}


def test_a_mask_of_another_encoding_than_the_sets_is_refused_and_not_read_as_empty(brisc: Path) -> None:
    mask = next(brisc.rglob("train/masks/*_gl_*.png"))
    put_mask(mask, on=1, off=0)
    record = next(one for one in open_dataset(brisc).records if one.mask_path == mask)
    with pytest.raises(BadImage, match=f"{mask.name}: the mask holds 0 and 1, the set's masks 0 and 255"):
        record.load()


def test_a_link_that_leads_nowhere_is_a_slice_that_cannot_be_read(brisc: Path) -> None:
    image = next(brisc.rglob("train/images/*_gl_*.jpg"))
    image.unlink()
    image.symlink_to("gone.jpg")
    record = next(one for one in open_dataset(brisc).records if one.image_path == image)
    with pytest.raises(BadImage, match=f"{image.name}: cannot be read"):
        record.load()


def test_a_folder_that_leads_nowhere_is_an_error(brisc: Path) -> None:
    (brisc / "segmentation_task/train/more").symlink_to("gone")
    with pytest.raises(BadData, match="train/more: cannot be opened"):
        open_dataset(brisc)
