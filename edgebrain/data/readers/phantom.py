"""A folder that the phantom generator wrote.

phantom.json       version, count, seed, and the group of each slice
images/NAME.png    phantom_00001_gl_ax.png
masks/NAME.png     tumour slices only (any picture's ending is read)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from edgebrain.data.pairing import Pairing, pair_files, picture_files
from edgebrain.data.sample import Record
from edgebrain.errors import BadData
from edgebrain.files import read_json

LAYOUT = "phantom.json, images/*.png and masks/*.png (edgebrain data phantom)"
PHANTOM_FILE = "phantom.json"
LABELS = {"gl": "glioma", "me": "meningioma", "pi": "pituitary", "no": "no_tumor"}
PLANES = {"ax": "axial", "co": "coronal", "sa": "sagittal"}
NAME = re.compile(rf"^phantom_\d+_({'|'.join(LABELS)})_({'|'.join(PLANES)})$")


def recognises(path: Path) -> bool:
    """True where the generator's phantom.json is."""
    return (path / PHANTOM_FILE).is_file()


def records(path: Path) -> list[Record]:
    """The slices, with their heads as groups.

    Raises:
        BadData: phantom.json is damaged, or lacks the group of a slice.
    """
    groups = _groups(path / PHANTOM_FILE)
    files = _files(path)
    images = [image for image in files.pictures if NAME.match(image.stem)]
    lost = [image.name for image in images if image.name not in groups]
    if lost:
        raise BadData(f"{path / PHANTOM_FILE}: lacks the group of {lost[0]}", "write the phantoms again")
    return [_record(image, groups[image.name], files) for image in images]


def strays(path: Path) -> list[Path]:
    """Pictures whose names do not give class and plane."""
    return [image for image in _files(path).pictures if not NAME.match(image.stem)]


def _groups(file: Path) -> Mapping[str, str]:
    content = read_json(file, BadData, "write the phantoms again with `edgebrain data phantom`")
    groups = content.get("groups") if isinstance(content, dict) else None
    if not isinstance(groups, dict):
        raise BadData(f"{file}: holds no groups", "write the phantoms again with `edgebrain data phantom`")
    return groups


def _files(path: Path) -> Pairing:
    return pair_files(path, [file for file in picture_files(path) if file.parent.parent == path])


def _record(image: Path, group: str, files: Pairing) -> Record:
    label, plane = image.stem.split("_")[-2:]
    mask, *others = files.masks.get(image, (None,))
    others_found = tuple(filter(None, others))
    return Record(image.name, image, mask, LABELS[label], PLANES[plane], group=group, other_masks=others_found)
