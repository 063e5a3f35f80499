"""Which slices a bench works on, each read once: a side of a run's split, or of the data set's own folders."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from edgebrain.benchmarking.data_leakage import refuse_seen
from edgebrain.benchmarking.report import DataFacts, RejectedSlice
from edgebrain.bundle import Bundle
from edgebrain.data.masks import MIDDLE
from edgebrain.data.readers import open_dataset
from edgebrain.data.rejected import left_out, read_sound, refuse_losses
from edgebrain.data.sample import Dataset, Record, Sample
from edgebrain.data.split import SIDES, Split
from edgebrain.errors import BadData
from edgebrain.files import sha256_json
from edgebrain.runs import read_run
from edgebrain.targets.slices import Slice

RUN_SPLIT = "the run's split"
T = TypeVar("T")


@dataclass(frozen=True)
class LabelledSlice:
    """A slice that was read once: what scoring and the hashes of a report need of it.

    Attributes:
        record: Its files, class, plane and group.
        image_sha256: SHA-256 of the picture's file.
        mask_sha256: SHA-256 of the mask's file; empty where there is none.
        shape: Height and width in px.
        packed_mask: The mask as compressed bits, because hundreds of masks are held at a time.
    """

    record: Record
    image_sha256: str
    mask_sha256: str
    shape: tuple[int, int]
    packed_mask: bytes

    @classmethod
    def of(cls, record: Record, sample: Sample) -> LabelledSlice:
        """Keep what is needed of a slice that was read."""
        height, width = sample.image.shape
        packed = zlib.compress(np.packbits(sample.mask).tobytes(), 1)
        return cls(record, sample.image_sha256, sample.mask_sha256, (height, width), packed)

    @property
    def id(self) -> str:
        """Its name, unique in the data set."""
        return self.record.name

    @property
    def label(self) -> str:
        """Its class."""
        return self.record.label

    @property
    def group(self) -> str:
        """Its group: a patient, or the copies of one picture."""
        return self.record.group

    @property
    def plane(self) -> str:
        """Its plane: axial, coronal or sagittal."""
        return self.record.plane

    @property
    def mask(self) -> np.ndarray:
        """Its mask, (H, W) bool at the slice's own size; True is lesion."""
        bits = np.frombuffer(zlib.decompress(self.packed_mask), np.uint8)
        return np.unpackbits(bits, count=self.shape[0] * self.shape[1]).astype(bool).reshape(self.shape)

    @property
    def file(self) -> Slice:
        """Its picture as targets send it and workers read it."""
        return Slice(self.record.name, self.record.image_path, self.image_sha256)


def choose_slices(
    run: Path | None,
    data: Path | None,
    side: str,
    most: int | None = None,
    bundles: Sequence[Bundle] = (),
    allow_rejected: bool = False,
) -> tuple[list[LabelledSlice], DataFacts]:
    """Choose and read the slices of a side that can be used.

    The run's split counts where the data set holds all its slices; another data set is taken by its own folders.

    Args:
        run: Whose split and data are used; None for bundles that travel alone.
        data: A data folder instead of the run's.
        side: train, val, test or all.
        most: Take so many, evenly spread.
        bundles: Those that the slices are to judge.
        allow_rejected: Go on where too many slices cannot be used; those are left out in any case, and named.

    Returns:
        The slices, and the facts about them that the report holds.

    Raises:
        BadData: No data named, no slice on that side, an unknown side, slices that a bundle was shaped by, or no
            usable slice, a lost class or more than a tenth of the masks lost.
    """
    if run is None and data is None:
        raise BadData("which slices to measure on is not known: the bundle is in no run", "pass --data FOLDER")
    dataset = open_dataset(data or Path(read_run(run)["data"]["path"]))  # type: ignore[arg-type]
    split = Split.read(run / "split.json") if run is not None and (run / "split.json").is_file() else None
    records, source = _side(dataset, split, side)
    if not records:
        raise BadData(
            f"{dataset.root}: holds no slice on the side {side!r}", f"use --split {', '.join((*SIDES, 'all'))}"
        )
    listed = spread(records, most or len(records))
    chosen, rejected = read_sound(listed, LabelledSlice.of)
    refuse_losses(listed, rejected, dataset.root, allow_rejected and bool(chosen))
    hashes = {one.id: one.image_sha256 for one in chosen}
    refuse_seen(bundles, dataset, split if source == RUN_SPLIT else None, side, hashes)
    return chosen, DataFacts(
        path=str(dataset.root),
        split=side,
        source=source,
        slices=len(chosen),
        names_sha256=sha256_json([one.id for one in chosen]),
        content_sha256=content_sha256(chosen),
        mask_encoding=dataset.encoding.as_json(),
        rejected=tuple(RejectedSlice(name, reason) for name, reason in rejected),
        left_out=left_out(rejected, len(listed), dataset.root),
    )


def content_sha256(slices: Sequence[LabelledSlice]) -> str:
    """One hash of everything that scores depend on: names, pictures, masks, labels, planes and groups."""
    return sha256_json(
        [
            [
                one.id,
                one.image_sha256,
                one.mask_sha256 or None,
                one.label,
                one.plane,
                one.group,
                # Of masks of 0 and 255 nothing is added, as in reports from before others were read.
                *([one.record.encoding.as_json()] if one.record.encoding.above != MIDDLE else []),
            ]
            for one in slices
        ]
    )


def spread(values: Sequence[T], most: int) -> list[T]:
    """At most so many of the values, evenly spread over the list."""
    count = min(most, len(values))
    return [values[index * len(values) // count] for index in range(count)]


def _side(dataset: Dataset, split: Split | None, side: str) -> tuple[list[Record], str]:
    if side not in (*SIDES, "all"):
        raise BadData(f"{side!r} is no side of a split", f"use one of {', '.join(SIDES)}, all")
    known = {record.name: record for record in dataset.records}
    if split is not None and set(split.names_of(side)) <= set(known):
        return [_grouped(known[name], split.groups) for name in split.names_of(side)], RUN_SPLIT
    if side == "all":
        return list(dataset.records), "all slices of the data set"
    return [record for record in dataset.records if record.folder == side], "the data set's own folders"


def _grouped(record: Record, groups: Mapping[str, str]) -> Record:
    return replace(record, group=groups.get(record.name, record.group))
