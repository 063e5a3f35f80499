"""What a data set is made of: records (where a slice lies and what is known of it) and samples (the slice read).

The one reading of image and mask, which every command goes by, is `Record.load`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgebrain.bundle import CLASSES
from edgebrain.data.masks import TWO_VALUED, MaskEncoding
from edgebrain.errors import BadImage
from edgebrain.files import sha256_bytes
from edgebrain.runtime.header import read_header
from edgebrain.runtime.image import decode

HEALTHY = "no_tumor"
PLANES = ("axial", "coronal", "sagittal")


@dataclass(frozen=True)
class Sample:
    """One slice, read.

    image: (H, W) uint8. mask: (H, W) bool, True is lesion; empty for a healthy slice. label: one of CLASSES. plane: one
    of PLANES. group: slices of one group are never on two sides of a split. image_sha256, mask_sha256: of the files;
    empty where there is none.
    """

    id: str
    image: np.ndarray
    mask: np.ndarray
    label: str
    group: str
    plane: str
    image_sha256: str = ""
    mask_sha256: str = ""


@dataclass(frozen=True)
class Record:
    """One slice, not read yet. name: the image's file name, unique in its data set. mask_path: None where the
    data set holds none. folder: the side that the data set's maker put it on (train, test), or empty. encoding: how the
    data set's masks are written. other_masks: files that claim to be its mask as well."""

    name: str
    image_path: Path
    mask_path: Path | None
    label: str
    plane: str
    folder: str = ""
    group: str = ""
    encoding: MaskEncoding = TWO_VALUED
    other_masks: tuple[Path, ...] = ()

    @property
    def label_index(self) -> int:
        """Position of the label in CLASSES."""
        return CLASSES.index(self.label)

    @property
    def needs_mask(self) -> bool:
        """Whether it is a tumour's slice, which is of no use without a mask."""
        return self.label not in ("", HEALTHY)

    def load(self) -> Sample:
        """Read image and mask, and hold them against each other, the label and the data set.

        Raises BadImage: a file that cannot be read, a mask of another size, encoding or orientation, a tumour slice
        without a mask or with an empty one, a healthy slice with a lesion.
        """
        data = read(self.image_path)
        image = decode(data, str(self.image_path))
        mask_data = b"" if self.mask_path is None else read(self.mask_path)
        mask = self._mask_in(mask_data, image.shape)
        if mask_data:
            self._refuse_turned(data, mask_data)
        reason = self.contradiction(mask)
        if mask is None or reason:
            raise BadImage(reason, "draw the mask, correct the label, or take the slice away")
        hashes = sha256_bytes(data), sha256_bytes(mask_data) if mask_data else ""
        return Sample(self.name, image, mask, self.label, self.group, self.plane, *hashes)

    def load_mask(self, shape: tuple[int, ...]) -> np.ndarray | None:
        """The mask of an image of this shape, (H, W) bool; not held against the label.

        None for a tumour slice without a file; a healthy slice without one has an empty mask. Raises BadImage:
        unreadable, of another shape or encoding, or one of several.
        """
        return self._mask_in(b"" if self.mask_path is None else read(self.mask_path), shape)

    def contradiction(self, mask: np.ndarray | None) -> str:
        """Why the label and a mask, (H, W) bool, do not go together; empty where they do."""
        if self.needs_mask and mask is None:
            return f"{self.image_path}: a {self.label} slice without mask"
        if self.label == HEALTHY and mask is not None and mask.any():
            return f"{self.mask_path}: a lesion in a slice that is labelled {HEALTHY}"
        if self.needs_mask and mask is not None and not mask.any():
            return f"{self.mask_path}: an empty mask for a {self.label} slice"
        return ""

    def _refuse_turned(self, image: bytes, mask: bytes) -> None:
        """Raises BadImage: one of the two is turned by its header. Who drew the mask may have seen either picture."""
        orientations = [read_header(data, str(self.mask_path)).orientation for data in (image, mask)]
        if orientations[0] != orientations[1]:
            raise BadImage(
                f"{self.mask_path}: is turned by its header as {orientations[1]}, its image as {orientations[0]}",
                "save both upright, without an orientation in the header",
            )

    def _mask_in(self, data: bytes, shape: tuple[int, ...]) -> np.ndarray | None:
        if self.mask_path is None:
            return None if self.needs_mask else np.zeros(shape, dtype=bool)
        if self.other_masks:
            others = " and ".join(path.name for path in self.other_masks)
            raise BadImage(f"{self.mask_path}: {others} is a mask of the same slice", "keep one of them")
        mask = decode(data, str(self.mask_path))
        if mask.shape != shape:
            raise BadImage(
                f"{self.mask_path}: the mask is {_size(mask.shape)}, its image {_size(shape)}",
                "export the mask again at its image's size",
            )
        misfit = self.encoding.misfit(mask)
        if misfit:
            raise BadImage(f"{self.mask_path}: {misfit}", "write all masks of a data set in one way: 0 and 255")
        return self.encoding.lesion(mask)


@dataclass(frozen=True)
class Dataset:
    """A data set on disk. root: its folder. records: sorted by name. encoding: how its masks are written."""

    root: Path
    kind: str
    records: tuple[Record, ...]
    encoding: MaskEncoding = TWO_VALUED

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
