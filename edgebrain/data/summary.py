"""What a data folder holds and what is wrong with it. Every file is read; a broken folder is described, not refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgebrain.bundle import CLASSES
from edgebrain.data.masks import MaskEncoding
from edgebrain.data.pairing import closed_folders
from edgebrain.data.readers import lone_masks, scan, strays
from edgebrain.data.rejected import as_json
from edgebrain.data.sample import PLANES, Dataset, Record, read
from edgebrain.errors import BadImage
from edgebrain.progress import Progress, no_progress
from edgebrain.runtime.image import decode
from edgebrain.runtime.opencv import opencv_alone

THREADS = 2


@dataclass(frozen=True)
class Summary:
    """What was found.

    Attributes:
        root: The folder.
        kind: Name of its layout.
        counts: (folder, class, plane) -> slices, readable or not; folder is "all" where the layout has no sides.
        sizes: "WIDTHxHEIGHT" in px of readable images -> slices, the most frequent first.
        masks: Number of tumour slices with a mask that can be used.
        missing_masks: Names of tumour slices without one.
        unreadable: Path and reason of images and masks that cannot be used, and of folders that cannot be opened.
        contradictions: Path and reason of masks that contradict the label: empty ones of tumours, lesions in healthy
            slices.
        rejected: Name and reason of each slice that is left out for any of these.
        encoding: How masks are written.
        strays: Picture files that are no slice, because their names cannot be read.
        lone_masks: Files that state like masks and belong to no picture.
    """

    root: Path
    kind: str
    counts: dict[tuple[str, str, str], int]
    sizes: dict[str, int]
    masks: int
    missing_masks: tuple[str, ...]
    unreadable: tuple[tuple[str, str], ...]
    contradictions: tuple[tuple[str, str], ...]
    rejected: tuple[tuple[str, str], ...]
    encoding: MaskEncoding
    strays: tuple[str, ...]
    lone_masks: tuple[str, ...]

    @property
    def slices(self) -> int:
        """Slices listed, readable or not."""
        return sum(self.counts.values())

    @property
    def folders(self) -> tuple[str, ...]:
        """The sides of the layout, sorted."""
        return tuple(sorted({folder for folder, _, _ in self.counts}))

    def count(self, folder: str, label: str = "", plane: str = "") -> int:
        """Slices of a folder, of one class and plane where given."""
        return sum(
            number
            for (where, what, how), number in self.counts.items()
            if where == folder and label in ("", what) and plane in ("", how)
        )

    def as_json(self) -> dict[str, Any]:
        """The summary as JSON object."""
        return {
            "root": str(self.root),
            "kind": self.kind,
            "slices": self.slices,
            "counts": {
                folder: {label: {plane: self.count(folder, label, plane) for plane in PLANES} for label in CLASSES}
                for folder in self.folders
            },
            "sizes": self.sizes,
            "masks": self.masks,
            "missing_masks": list(self.missing_masks),
            "mask_encoding": self.encoding.as_json(),
            "unreadable": [{"file": file, "reason": reason} for file, reason in self.unreadable],
            "contradictions": [{"file": file, "reason": reason} for file, reason in self.contradictions],
            **as_json(self.rejected, self.slices, self.root),
            "strays": list(self.strays),
            "lone_masks": list(self.lone_masks),
        }


def summarise(path: Path, progress: Progress = no_progress) -> Summary:
    """Read every file of a data folder.

    Args:
        path: The folder.
        progress: Called with "reading", the slices done and the slices in all.

    Raises:
        BadData: The folder is missing, empty or of no known layout.
    """
    dataset = scan(path)
    found = []
    with opencv_alone(), ThreadPoolExecutor(THREADS) as pool:
        for one in pool.map(_read_slice, dataset.records):
            found.append(one)
            progress("reading", len(found), len(dataset.records))
    return _summary(dataset, found)


@dataclass(frozen=True)
class _SliceState:
    """What is wrong with one slice.

    Attributes:
        size: "WIDTHxHEIGHT" in px; empty for an unreadable image.
        has_mask: Whether it is a tumour slice with a mask that can be used.
        broken: Path and reason of a file that cannot be used.
        contradiction: Path and reason of a mask that contradicts the label.
        reason: Why the slice is left out; empty where it is not.
    """

    size: str = ""
    has_mask: bool = False
    broken: tuple[str, str] | None = None
    contradiction: tuple[str, str] | None = None
    reason: str = ""


def _read_slice(record: Record) -> _SliceState:
    try:
        sample = record.load()
    except BadImage as problem:
        return _diagnosed(record, problem.message)
    return _SliceState(_size(sample.image), record.needs_mask)


def _diagnosed(record: Record, reason: str) -> _SliceState:
    """What is wrong with a slice that is left out: its picture, its mask, or the two and the label together."""
    try:
        image = decode(read(record.image_path), str(record.image_path))
    except BadImage:
        return _SliceState(broken=_named(reason, record.image_path), reason=reason)
    try:
        mask = record.load_mask(image.shape)
    except BadImage:
        assert record.mask_path is not None
        return _SliceState(_size(image), broken=_named(reason, record.mask_path), reason=reason)
    if record.mask_path is None:
        return _SliceState(_size(image), reason=reason)
    file = _named(reason, record.mask_path)
    if record.contradiction(mask):
        return _SliceState(_size(image), contradiction=file, reason=reason)
    return _SliceState(_size(image), broken=file, reason=reason)


def _size(image: np.ndarray) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"


def _named(message: str, path: Path) -> tuple[str, str]:
    return str(path), message.removeprefix(f"{path}: ")


def _summary(dataset: Dataset, found: Sequence[_SliceState]) -> Summary:
    records = dataset.records
    counts = Counter((record.folder or "all", record.label, record.plane) for record in records)
    sizes = Counter(state.size for state in found if state.size)
    return Summary(
        root=dataset.root,
        kind=dataset.kind,
        counts=dict(sorted(counts.items())),
        sizes=dict(sorted(sizes.items(), key=lambda item: (-item[1], item[0]))),
        masks=sum(state.has_mask for state in found),
        missing_masks=tuple(r.name for r in records if r.mask_path is None and r.needs_mask),
        unreadable=(
            *((str(path), reason) for path, reason in closed_folders(dataset.root)),
            *(state.broken for state in found if state.broken),
        ),
        contradictions=tuple(state.contradiction for state in found if state.contradiction),
        rejected=tuple((r.name, state.reason) for r, state in zip(records, found, strict=True) if state.reason),
        encoding=dataset.encoding,
        strays=tuple(str(path) for path in strays(dataset)),
        lone_masks=tuple(str(path) for path in lone_masks(dataset)),
    )
