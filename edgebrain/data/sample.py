"""What a data set is made of: records (where a slice lies and what is known of it) and samples (the slice read)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgebrain.bundle import CLASSES
from edgebrain.errors import BadImage
from edgebrain.runtime.image import decode

HEALTHY = "no_tumor"
PLANES = ("axial", "coronal", "sagittal")


@dataclass(frozen=True)
class Sample:
    """One slice, read.

    image: (H, W) uint8. mask: (H, W) bool, True is lesion, or None where nobody drew one (a healthy slice has
    an empty mask). label: one of CLASSES. plane: one of PLANES. group: slices of one group are never on two
    sides of a split.
    """

    id: str
    image: np.ndarray
    mask: np.ndarray | None
    label: str
    group: str
    plane: str


@dataclass(frozen=True)
class Record:
    """One slice, not read yet. name: the image's file name, unique in its data set. mask_path: None where the
    data set holds none. folder: the side that the data set's maker put it on (train, test), or empty."""

    name: str
    image_path: Path
    mask_path: Path | None
    label: str
    plane: str
    folder: str = ""
    group: str = ""

    @property
    def label_index(self) -> int:
        """Position of the label in CLASSES."""
        return CLASSES.index(self.label)

    def load(self) -> Sample:
        """Read image and mask. Raises BadImage: unreadable, or a mask of another size than its image."""
        image = decode(read(self.image_path), str(self.image_path))
        return Sample(self.name, image, self.load_mask(image.shape), self.label, self.group, self.plane)

    def load_mask(self, shape: tuple[int, ...]) -> np.ndarray | None:
        """The mask, (H, W) bool, cut at > 127: lossy masks hold 0..10 and 246..255, not 0 and 1.

        A healthy slice without a file has an empty mask. Raises BadImage: unreadable or not of this shape.
        """
        if self.mask_path is None:
            return np.zeros(shape, dtype=bool) if self.label == HEALTHY else None
        mask = decode(read(self.mask_path), str(self.mask_path))
        if mask.shape != shape:
            raise BadImage(
                f"{self.mask_path}: the mask is {_size(mask.shape)}, its image {_size(shape)}",
                "export the mask again at its image's size",
            )
        return mask > 127


@dataclass(frozen=True)
class Dataset:
    """A data set on disk. root: its folder. records: sorted by name."""

    root: Path
    kind: str
    records: tuple[Record, ...]

    def named(self, names: Sequence[str]) -> tuple[Record, ...]:
        """The records with these names, in this order. Raises KeyError for a name that is not here."""
        known = {record.name: record for record in self.records}
        return tuple(known[name] for name in names)


def read(path: Path) -> bytes:
    """A file's bytes. Raises BadImage naming the file."""
    try:
        return path.read_bytes()
    except OSError as problem:
        raise BadImage(f"{path}: cannot be read ({problem.strerror})", "check path and permissions") from problem


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]}"
