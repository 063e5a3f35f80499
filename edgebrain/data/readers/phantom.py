"""A folder that the phantom generator wrote.

phantom.json       version, count, seed, and the group of each slice
images/NAME.png    phantom_00001_gl_ax.png
masks/NAME.png     tumour slices only
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from edgebrain.data.sample import Record
from edgebrain.errors import BadData
from edgebrain.files import read_json

LAYOUT = "phantom.json, images/*.png and masks/*.png (edgebrain data phantom)"
PHANTOM_FILE = "phantom.json"
LABELS = {"gl": "glioma", "me": "meningioma", "pi": "pituitary", "no": "no_tumor"}
PLANES = {"ax": "axial", "co": "coronal", "sa": "sagittal"}
NAME = re.compile(rf"^phantom_\d+_({'|'.join(LABELS)})_({'|'.join(PLANES)})$")


def recognises(path: Path) -> bool:
    """True where the generator left its note."""
    return (path / PHANTOM_FILE).is_file()


def records(path: Path) -> list[Record]:
    """The slices, with their heads as groups. Raises BadData: the note is damaged, or lacks the group of a slice."""
    groups = _groups(path / PHANTOM_FILE)
    images = [image for image in _image_files(path / "images") if NAME.match(image.stem)]
    lost = [image.name for image in images if image.name not in groups]
    if lost:
        raise BadData(f"{path / PHANTOM_FILE}: lacks the group of {lost[0]}", "write the phantoms again")
    return [_record(image, groups[image.name]) for image in images]


def strays(path: Path) -> list[Path]:
    """Images whose names do not tell class and plane, and masks that belong to no image."""
    images, masks = _image_files(path / "images"), _image_files(path / "masks")
    stems = {image.stem for image in images}
    return [p for p in images if not NAME.match(p.stem)] + [p for p in masks if p.stem not in stems]


def _groups(note: Path) -> Mapping[str, str]:
    content = read_json(note, BadData, "write the phantoms again with `edgebrain data phantom`")
    groups = content.get("groups") if isinstance(content, dict) else None
    if not isinstance(groups, dict):
        raise BadData(f"{note}: holds no groups", "write the phantoms again with `edgebrain data phantom`")
    return groups


def _image_files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.glob("*.png") if not p.name.startswith("."))


def _record(image: Path, group: str) -> Record:
    label, plane = image.stem.split("_")[-2:]
    mask = image.parent.parent / "masks" / image.name
    return Record(image.name, image, mask if mask.is_file() else None, LABELS[label], PLANES[plane], group=group)
