from __future__ import annotations

import pytest

from edgebrain.data.spellings import class_of, is_mask_folder, mask_base, without_kind


@pytest.mark.parametrize(
    "name",
    ["no_tumor", "notumor", "no tumor", "No-Tumour", "NO", "healthy", "Normal", "negative", "non_tumor", "No_Tumors"],
)
def test_the_usual_spellings_of_healthy_are_one_class(name: str) -> None:
    assert class_of(name) == "no_tumor"


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("glioma_tumor", "glioma"),
        ("Glioma Tumour", "glioma"),
        ("meningioma_tumor", "meningioma"),
        ("brain_menin", "meningioma"),
        ("Pituitary-Tumor", "pituitary"),
        ("GLIOMA", "glioma"),
        ("yes", "yes"),
        ("tumor", "tumor"),
        ("Astrocitoma T1", "Astrocitoma T1"),
    ],
)
def test_known_tumours_are_joined_and_others_keep_their_name(name: str, label: str) -> None:
    assert class_of(name) == label


@pytest.mark.parametrize("name", ["masks", "Mask", "labels", "annotations", "train_masks", "Ground-Truth", "GT", "seg"])
def test_folders_of_masks_are_known(name: str) -> None:
    assert is_mask_folder(name)


@pytest.mark.parametrize("name", ["images", "segmentation_task", "glioma", "unmasked", "train", "label_noise"])
def test_other_folders_are_none(name: str) -> None:
    assert not is_mask_folder(name)


@pytest.mark.parametrize(
    ("stem", "base"),
    [
        ("17_mask", "17"),
        ("17-MASK", "17"),
        ("17_seg", "17"),
        ("17.label", "17"),
        ("benign (1)_mask_1", "benign (1)"),
        ("mask_17", "17"),
        ("17_tumor_mask", "17"),
        ("17_ground_truth", "17"),
        ("17", None),
        ("mask", None),
        ("unmasked", None),
        ("17_segment", None),
    ],
)
def test_a_masks_name_tells_its_picture(stem: str, base: str | None) -> None:
    assert mask_base(stem) == base


def test_a_folders_name_without_its_kind_is_what_pictures_and_masks_share() -> None:
    assert [without_kind(name) for name in ("train_masks", "train_images", "images", "Labels", "Glioma")] == [
        "train",
        "train",
        "",
        "",
        "Glioma",
    ]
