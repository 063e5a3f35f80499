"""A reader for data sets with one folder for each class, and masks in the folder of their pictures.

    glioma/axial_0017.png   glioma/axial_0017_mask.png   no-tumour/sagittal_0003.png

Folders may have any usual name of a class. `pip install examples/custom_reader` makes every edgebrain command read such
folders: nothing has to be registered, because pyproject.toml names this module as an entry point.
"""

from __future__ import annotations

from pathlib import Path

from edgebrain.data.pairing import Pairing, pair_files, picture_files
from edgebrain.data.sample import PLANES, Record
from edgebrain.data.spellings import class_of, is_class

LAYOUT = "CLASS/PLANE_NUMBER.png and CLASS/PLANE_NUMBER_mask.png, a folder for each class"


def recognises(path: Path) -> bool:
    """Whether all folders here have names of classes, and there are at least two."""
    folders = [folder.name for folder in path.iterdir() if folder.is_dir() and not folder.name.startswith(".")]
    return len(folders) >= 2 and all(map(is_class, folders))


def records(path: Path) -> list[Record]:
    """A slice for each picture whose name starts with a plane."""
    files = _files(path)
    return [_record(path, picture, files) for picture in files.pictures if _plane(picture)]


def strays(path: Path) -> list[Path]:
    """Pictures whose names start with no plane."""
    return [picture for picture in _files(path).pictures if not _plane(picture)]


def _files(path: Path) -> Pairing:
    # Finds the mask of each picture by its name, in all usual spellings.
    return pair_files(path, picture_files(path))


def _plane(picture: Path) -> str:
    plane = picture.stem.split("_")[0].lower()
    return plane if plane in PLANES else ""


def _record(path: Path, picture: Path, files: Pairing) -> Record:
    mask, *others = files.masks.get(picture, (None,))
    return Record(
        # Two classes may use the same file name, and names must be unique.
        name=picture.relative_to(path).as_posix(),
        image_path=picture,
        mask_path=mask,
        label=class_of(picture.parent.name),
        plane=_plane(picture),
        other_masks=tuple(filter(None, others)),
    )
