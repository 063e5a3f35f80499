"""What a data set is made of: records (where a slice lies and what is known of it) and samples (the slice read).

Every command reads image and mask through `Record.load`, so that all of them refuse the same slices.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edgebrain.bundle import CLASSES, HEALTHY
from edgebrain.data.masks import TWO_VALUED, MaskEncoding, encoding_of_files
from edgebrain.errors import BadImage
from edgebrain.files import sha256_bytes
from edgebrain.runtime.header import read_header
from edgebrain.runtime.image import decode

PLANES = ("axial", "coronal", "sagittal")


@dataclass(frozen=True)
class Sample:
    """One slice, read.

    Attributes:
        id: The name of its record.
        image: (H, W) uint8 grey levels.
        mask: (H, W) bool, True is lesion; all False for a healthy slice.
        label: One of CLASSES.
        group: Slices of one group are never on two sides of a split.
        plane: One of PLANES.
        image_sha256: Hash of the image file.
        mask_sha256: Hash of the mask file; empty where there is none.
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
    """One slice, not read yet.

    Attributes:
        name: The image's file name, unique in its data set.
        image_path: The image file.
        mask_path: The mask file; None where the data set holds none.
        label: One of CLASSES.
        plane: One of PLANES.
        folder: The side that the data set's maker put it on (train, val, test), or empty.
        group: The patient or whatever else must not be split, or empty.
        encoding: How the data set's masks are written; `with_encoding` fills it in.
        other_masks: Further files that claim to be its mask.
    """

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
        """Whether the slice shows a tumour, so that it is of no use without a mask."""
        return self.label not in ("", HEALTHY)

    def load(self) -> Sample:
        """Read image and mask, and check them against each other, the label and the data set.

        Raises:
            BadImage: A file cannot be read; the mask has another size, encoding or orientation; a tumour slice has no
                mask or an empty one; a healthy slice has a lesion.
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
        """Read the mask, without checking it against the label.

        Args:
            shape: (H, W) of the image.

        Returns:
            (H, W) bool, True is lesion; all False for a healthy slice without a file, None for such a tumour slice.

        Raises:
            BadImage: It cannot be read, has another size or encoding, or is one of several.
        """
        return self._mask_in(b"" if self.mask_path is None else read(self.mask_path), shape)

    def contradiction(self, mask: np.ndarray | None) -> str:
        """Say why label and mask contradict each other.

        Args:
            mask: (H, W) bool, True is lesion; None where there is none.

        Returns:
            The reason; empty where they agree.
        """
        if self.needs_mask and mask is None:
            return f"{self.image_path}: a {self.label} slice without mask"
        if self.label == HEALTHY and mask is not None and mask.any():
            return f"{self.mask_path}: a lesion in a slice that is labelled {HEALTHY}"
        if self.needs_mask and mask is not None and not mask.any():
            return f"{self.mask_path}: an empty mask for a {self.label} slice"
        return ""

    def _refuse_turned(self, image: bytes, mask: bytes) -> None:
        """Raises BadImage: one file is turned by its header, the other is not.

        The person who drew the mask may have seen the picture turned or not: no rule here would always be right.
        """
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
    """A data set on disk.

    Attributes:
        root: Its folder.
        kind: Name of the reader that knows its layout.
        records: Its slices, sorted by name.
        encoding: How its masks are written.
    """

    root: Path
    kind: str
    records: tuple[Record, ...]
    encoding: MaskEncoding = TWO_VALUED

    def named(self, names: Sequence[str]) -> tuple[Record, ...]:
        """The records with these names, in this order. Raises KeyError for a name that is not here."""
        known = {record.name: record for record in self.records}
        return tuple(known[name] for name in names)


def with_encoding(records: Iterable[Record]) -> tuple[tuple[Record, ...], MaskEncoding]:
    """Find out how the masks of one data set are written.

    Args:
        records: All slices of the data set.

    Returns:
        The records with the encoding filled in, and the encoding.
    """
    records = tuple(records)
    encoding = encoding_of_files([record.mask_path for record in records if record.mask_path is not None])
    return tuple(replace(record, encoding=encoding) for record in records), encoding


def read(path: Path) -> bytes:
    """A file's bytes. Raises BadImage naming the file."""
    try:
        return path.read_bytes()
    except OSError as problem:
        raise BadImage(f"{path}: cannot be read ({problem.strerror})", "check path and permissions") from problem


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]}"
