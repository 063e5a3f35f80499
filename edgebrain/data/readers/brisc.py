"""BRISC 2025 as published: two task folders, each with a train and a test side.

    segmentation_task/{train,test}/images/*.jpg     tumour slices
    segmentation_task/{train,test}/masks/*.png      their masks, same stem (any picture's ending is read)
    classification_task/{train,test}/CLASS/*.jpg    tumour slices once more, byte for byte, and the healthy ones

Class and plane are read from the name, `brisc2025_train_00001_gl_ax_t1.jpg`; the side is the folder's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from edgebrain.data.pairing import Pairing, pair_files, picture_files
from edgebrain.data.sample import Record
from edgebrain.data.spellings import is_mask_folder

LAYOUT = "segmentation_task/{train,test}/{images,masks} and classification_task/{train,test}/CLASS (BRISC 2025)"
TASKS = ("segmentation_task", "classification_task")
SIDES = ("train", "test")
# The data set's description calls healthy slices `nt`, but all published names have `no`.
LABELS = {"gl": "glioma", "me": "meningioma", "pi": "pituitary", "no": "no_tumor", "nt": "no_tumor"}
PLANES = {"ax": "axial", "co": "coronal", "sa": "sagittal"}
NAME = re.compile(rf"^brisc2025_\w+_\d+_({'|'.join(LABELS)})_({'|'.join(PLANES)})(?:_\w+)?$", re.IGNORECASE)


def recognises(path: Path) -> bool:
    """True where at least one of the two task folders is here."""
    return any((path / task).is_dir() for task in TASKS)


def records(path: Path) -> list[Record]:
    """The slices of both tasks, each name once.

    A tumour slice is in both tasks; the one in the segmentation task is taken, because only there it has a mask.
    """
    found: dict[str, Record] = {}
    for side, files in _parts(path):
        for record in filter(None, map(partial(_record, side, files), files.pictures)):
            found.setdefault(record.name, record)
    return list(found.values())


def strays(path: Path) -> list[Path]:
    """Pictures whose names do not give class and plane."""
    return [image for _, files in _parts(path) for image in files.pictures if not NAME.match(image.stem)]


def _parts(path: Path) -> Iterator[tuple[str, Pairing]]:
    """Side, pictures and masks of each side of a task; the segmentation task first."""
    for task in TASKS:
        for side in SIDES:
            files = [file for file in picture_files(path / task / side) if file.parent.parent == path / task / side]
            if task == TASKS[0]:
                files = [file for file in files if file.parent.name == "images" or is_mask_folder(file.parent.name)]
            yield side, pair_files(path / task / side, files)


def _record(side: str, files: Pairing, image: Path) -> Record | None:
    parts = NAME.match(image.stem)
    if parts is None:
        return None
    mask, *others = files.masks.get(image, (None,))
    label, plane = LABELS[parts[1].lower()], PLANES[parts[2].lower()]
    return Record(image.name, image, mask, label, plane, folder=side, other_masks=tuple(filter(None, others)))
