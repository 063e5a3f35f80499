"""Which slices a bench works on: a side of a run's split, or of the data set's own folders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgebrain.benchmarking.data_leakage import refuse_seen
from edgebrain.bundle import Bundle
from edgebrain.data.masks import MIDDLE
from edgebrain.data.readers import open_dataset
from edgebrain.data.rejected import as_json, refuse_losses, sound
from edgebrain.data.sample import Dataset, Record, read
from edgebrain.data.split import SIDES, Split
from edgebrain.errors import BadData
from edgebrain.files import sha256_bytes, sha256_json
from edgebrain.runs import read_run

RUN_SPLIT = "the run's split"


def choose_slices(
    run: Path | None,
    data: Path | None,
    side: str,
    most: int | None = None,
    bundles: Sequence[Bundle] = (),
    allow_rejected: bool = False,
) -> tuple[list[Record], dict[str, Any]]:
    """The slices of a side that can be used, and what the report says of them.

    Args: run: whose split and data are used; None for bundles that travel alone. data: instead of the run's data.
    side: train, val, test or all. most: take so many, evenly spread. bundles: those that the slices are to judge.
    allow_rejected: go on where too many slices cannot be used; those are left out in any case, and named.
    The run's split counts where the data set holds all its slices; another data set is taken by its own folders.
    Raises BadData: no data named, no slice on that side, an unknown side, slices that a bundle was shaped by, or
    no usable slice, a lost class or more than a tenth of the masks lost.
    """
    if run is None and data is None:
        raise BadData("which slices to measure on is not known: the bundle lies in no run", "pass --data FOLDER")
    dataset = open_dataset(data or Path(read_run(run)["data"]["path"]))  # type: ignore[arg-type]
    split = Split.read(run / "split.json") if run is not None and (run / "split.json").is_file() else None
    records, source = _side(dataset, split, side)
    if not records:
        raise BadData(
            f"{dataset.root}: holds no slice on the side {side!r}", f"use --split {', '.join((*SIDES, 'all'))}"
        )
    listed = spread(records, most or len(records))
    chosen, rejected = sound(listed)
    refuse_losses(listed, rejected, dataset.root, allow_rejected and bool(chosen))
    refuse_seen(bundles, dataset, split if source == RUN_SPLIT else None, side, chosen)
    names = [record.name for record in chosen]
    facts = {
        "path": str(dataset.root),
        "split": side,
        "source": source,
        "slices": len(chosen),
        "names_sha256": sha256_json(names),
        "mask_encoding": dataset.encoding.as_json(),
        **as_json(rejected, len(listed), dataset.root),
    }
    return chosen, facts


def content_sha256(records: Sequence[Record]) -> str:
    """One hash of everything that scores depend on: names, pictures, masks, labels and groups. Raises BadImage."""
    return sha256_json(
        [
            [
                record.name,
                sha256_bytes(read(record.image_path)),
                None if record.mask_path is None else sha256_bytes(read(record.mask_path)),
                record.label,
                record.plane,
                record.group,
                # Of masks of 0 and 255 nothing is added, as in reports from before others were read.
                *([record.encoding.as_json()] if record.encoding.above != MIDDLE else []),
            ]
            for record in records
        ]
    )


def spread(records: Sequence[Record], most: int) -> list[Record]:
    """At most so many records, evenly spread over the list."""
    count = min(most, len(records))
    return [records[place * len(records) // count] for place in range(count)]


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
