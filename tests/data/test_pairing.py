from __future__ import annotations

from pathlib import Path

import pytest

from edgebrain.data.pairing import looks_like_mask, pair_files

ROOT = Path("/set")


def paired(*names: str) -> tuple[dict[str, list[str]], list[str]]:
    """Picture -> masks, and the lone masks, by their names below the folder."""
    found = pair_files(ROOT, [ROOT / name for name in names])
    told = {_name(picture): [_name(mask) for mask in found.masks.get(picture, ())] for picture in found.pictures}
    return told, [_name(path) for path, _ in found.lone]


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize(
    ("picture", "mask"),
    [
        ("images/17.png", "masks/17.png"),
        ("images/17.jpg", "masks/17.PNG"),
        ("images/17.jpg", "Masks/17.jpeg"),
        ("images/17.jpg", "mask/17_mask.tif"),
        ("train/images/17.jpg", "train/labels/17-label.png"),
        ("train/glioma/17.jpg", "train/masks/17.png"),
        ("glioma/17.jpg", "glioma/masks/17.png"),
        ("images/glioma/17.jpg", "masks/glioma/17.png"),
        ("train_images/17.jpg", "train_masks/17.png"),
        ("images/train/17.jpg", "masks/train/17.png"),
        ("17.tif", "17_mask.tif"),
        ("CASE_1/CASE_1_17.tif", "CASE_1/CASE_1_17_mask.tif"),
        ("17.png", "17-seg.jpg"),
        ("17.png", "mask_17.png"),
    ],
)
def test_a_mask_is_found_wherever_it_usually_lies(picture: str, mask: str) -> None:
    assert paired(picture, mask) == ({picture: [mask]}, [])


def test_equal_names_on_two_sides_or_in_two_classes_go_with_their_own_folder() -> None:
    names = [f"{side}/{kind}/1.png" for side in ("train", "test") for kind in ("images", "masks")]
    assert paired(*names) == ({f"{side}/images/1.png": [f"{side}/masks/1.png"] for side in ("test", "train")}, [])
    beside = ["a/1.png", "a/1_mask.png", "b/1.png", "b/1_mask.png"]
    assert paired(*beside) == ({"a/1.png": ["a/1_mask.png"], "b/1.png": ["b/1_mask.png"]}, [])


def test_a_mask_that_could_be_of_two_pictures_is_of_none() -> None:
    told, lone = paired("glioma/1.png", "meningioma/1.png", "masks/1.png")
    assert told == {"glioma/1.png": [], "meningioma/1.png": []} and lone == ["masks/1.png"]


def test_a_mask_without_its_picture_is_lone() -> None:
    assert paired("images/1.png", "masks/2.png") == ({"images/1.png": []}, ["masks/2.png"])
    assert paired("1.png", "1_mask.png", "2_mask.png") == ({"1.png": ["1_mask.png"]}, ["2_mask.png"])


def test_two_masks_of_one_picture_are_both_told() -> None:
    told, _ = paired("images/1.jpg", "masks/1.jpg", "masks/1.png")
    assert told == {"images/1.jpg": ["masks/1.jpg", "masks/1.png"]}


def test_pictures_that_are_all_called_seg_are_pictures() -> None:
    assert paired("1_seg.png", "2_seg.png") == ({"1_seg.png": [], "2_seg.png": []}, [])


def test_texts_beside_masks_are_no_masks() -> None:
    assert looks_like_mask(ROOT, ROOT / "masks/1.npy") and looks_like_mask(ROOT, ROOT / "1_mask.bmp")
    assert not looks_like_mask(ROOT, ROOT / "masks/readme.txt") and not looks_like_mask(ROOT, ROOT / "images/1.bmp")


def test_of_pictures_with_one_name_the_mask_belongs_to_the_nearest() -> None:
    masks, lone = paired("a/17.png", "a/b/17.png", "a/b/masks/17.png")
    assert masks == {"a/17.png": [], "a/b/17.png": ["a/b/masks/17.png"]} and not lone
