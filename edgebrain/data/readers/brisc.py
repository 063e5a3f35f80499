"""BRISC 2025 as published: two task folders, each with a train and a test side.

    segmentation_task/{train,test}/images/*.jpg     tumour slices
    segmentation_task/{train,test}/masks/*.png      their masks, same stem
    classification_task/{train,test}/CLASS/*.jpg    tumour slices once more, byte for byte, and the healthy ones

Class and plane are read from the name, `brisc2025_train_00001_gl_ax_t1.jpg`; the side is the folder's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from edgebrain.data.sample import Record

LAYOUT = "segmentation_task/{train,test}/{images,masks} and classification_task/{train,test}/CLASS (BRISC 2025)"
TASKS = ("segmentation_task", "classification_task")
SIDES = ("train", "test")
# Healthy is `no` in all published names; `nt` is what the data set's description says.
LABELS = {"gl": "glioma", "me": "meningioma", "pi": "pituitary", "no": "no_tumor", "nt": "no_tumor"}
PLANES = {"ax": "axial", "co": "coronal", "sa": "sagittal"}
ENDINGS = {".jpg", ".jpeg", ".png"}
NAME = re.compile(rf"^brisc2025_\w+_\d+_({'|'.join(LABELS)})_({'|'.join(PLANES)})(?:_\w+)?$", re.IGNORECASE)


def recognises(path: Path) -> bool:
    """True where at least one of the two task folders is here."""
    return any((path / task).is_dir() for task in TASKS)


def records(path: Path) -> list[Record]:
    """The slices of both tasks, each name once.

    A tumour slice stands in both tasks; only its place in the segmentation task has a mask, so that one is taken.
    """
    found: dict[str, Record] = {}
    for side, image in _images(path):
        record = _record(side, image)
        if record is not None:
            found.setdefault(record.name, record)
    return list(found.values())


def strays(path: Path) -> list[Path]:
    """Images whose names do not tell class and plane, and masks that belong to no image."""
    unnamed = [image for _, image in _images(path) if not NAME.match(image.stem)]
    return unnamed + [mask for side in SIDES for mask in _orphans(path / TASKS[0] / side)]


def _images(path: Path) -> Iterator[tuple[str, Path]]:
    """Side and path of every image file; the segmentation task first."""
    for side in SIDES:
        yield from ((side, image) for image in _image_files(path / TASKS[0] / side / "images"))
    for side in SIDES:
        for folder in sorted((path / TASKS[1] / side).glob("*")):
            yield from ((side, image) for image in _image_files(folder))


def _image_files(folder: Path) -> list[Path]:
    """Files that look like images. Hidden ones are left out: copies from a Mac carry a `._` twin of each file."""
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in ENDINGS and not p.name.startswith("."))


def _record(side: str, image: Path) -> Record | None:
    parts = NAME.match(image.stem)
    if parts is None:
        return None
    mask = image.parent.parent / "masks" / f"{image.stem}.png"
    has_mask = image.parent.name == "images" and mask.is_file()
    label, plane = LABELS[parts[1].lower()], PLANES[parts[2].lower()]
    return Record(image.name, image, mask if has_mask else None, label, plane, folder=side)


def _orphans(side: Path) -> list[Path]:
    stems = {image.stem for image in _image_files(side / "images")}
    return [mask for mask in _image_files(side / "masks") if mask.stem not in stems]
