"""Opening a data folder: the layout is recognised, the slices are listed, the groups are joined in.

A reader is one module with three functions, and a line in READERS:

    recognises(path) -> bool          is this folder laid out the way I know?
    records(path) -> list[Record]     its slices, with the group where the layout itself tells it
    strays(path) -> list[Path]        image files in it that are no slice (a name I cannot read)

Which files are masks, and of which picture, is told by `data.pairing` for all readers alike.
"""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from edgebrain.bundle import CLASSES
from edgebrain.data.encoding import with_encoding
from edgebrain.data.pairing import closed_folders, looks_like_mask
from edgebrain.data.sample import HEALTHY, Dataset, Record
from edgebrain.errors import BadData
from edgebrain.runtime.listing import PICTURES, list_files

READERS = {"brisc": "edgebrain.data.readers.brisc", "phantom": "edgebrain.data.readers.phantom"}
GROUPS_CSV = "groups.csv"


class Reader(Protocol):
    """What a reader module offers."""

    LAYOUT: str

    def recognises(self, path: Path) -> bool:
        """True where the folder is laid out the way this reader knows."""

    def records(self, path: Path) -> list[Record]:
        """The slices of the folder, in any order, names unique."""

    def strays(self, path: Path) -> list[Path]:
        """Image files that are no slice: their names cannot be read."""


def open_dataset(path: Path, groups_csv: Path | None = None) -> Dataset:
    """A data set that can be trained on and judged with.

    Groups come from `groups_csv`, else from the folder's own `groups.csv`, else from the layout; where none of them
    tells, they are empty and whoever needs them computes them from the images (`groups.groups_from_images`).

    Raises BadData: the folder is missing, empty or of no known layout, or a folder in it cannot be opened; no tumour
    slice has a mask; all slices are of one class; the groups file does not fit the slices.
    """
    dataset = scan(path)
    _check_folders(dataset.root)
    _check_classes(dataset)
    _check_masks(dataset)
    source = groups_csv or path / GROUPS_CSV
    if groups_csv is None and not source.is_file():
        return dataset
    return replace(dataset, records=join_groups(dataset.records, source))


def scan(path: Path) -> Dataset:
    """The slices of a folder as they are listed, however broken the set may be, and how its masks are written.

    Raises BadData: the folder is missing, empty or of no known layout.
    """
    kind, reader = _reader_for(path)
    records = sorted(reader.records(path), key=lambda record: record.name)
    if not records:
        raise BadData(f"{path}: is laid out as {kind}, but holds no slices", f"expected {reader.LAYOUT}")
    return Dataset(path, kind, *with_encoding(records))


def strays(dataset: Dataset) -> list[Path]:
    """Image files in the data set's folder that are no slice, because their names cannot be read."""
    return sorted(_load(dataset.kind).strays(dataset.root))


def lone_masks(dataset: Dataset) -> list[Path]:
    """Files that are named like masks, or lie where masks lie, and belong to no slice; sorted. Of any ending but those
    of texts and tables."""
    used = {path for record in dataset.records for path in (record.image_path, record.mask_path, *record.other_masks)}
    # Where pictures are links, a file may stand in the list under the name of another.
    real = {os.path.realpath(path) for path in used if path}
    files = list_files(dataset.root)
    alike = (path for path in (*files.pictures, *files.others) if looks_like_mask(dataset.root, path))
    return sorted(path for path in alike if path not in used and os.path.realpath(path) not in real)


def join_groups(records: Iterable[Record], source: Path) -> tuple[Record, ...]:
    """The records with the groups of a CSV file (`name,group`; names with their ending).

    Raises BadData: unreadable, another header, a name twice or without group, or names and slices that do not agree.
    """
    records, groups = tuple(records), read_groups(source)
    names = {record.name for record in records}
    missing, unknown = sorted(names - set(groups)), sorted(set(groups) - names)
    if missing:
        raise BadData(
            f"{source}: lacks {len(missing)} of {len(names)} slices ({_few(missing)})",
            "add a line for each: a slice without group could leak from training into evaluation",
        )
    if unknown:
        raise BadData(
            f"{source}: names {len(unknown)} slices that the folder lacks ({_few(unknown)})",
            "remove these lines, or restore the files",
        )
    return tuple(replace(record, group=groups[record.name]) for record in records)


def read_groups(source: Path) -> dict[str, str]:
    """Name -> group of a groups file. Raises BadData: unreadable, another header, a name twice or without group."""
    wanted = "the first line must be `name,group`, and each slice needs a line of its own"
    groups: dict[str, str] = {}
    try:
        # Spreadsheets put a byte-order mark in front of the header.
        with source.open(newline="", encoding="utf-8-sig") as stream:
            rows = csv.DictReader(stream)
            if not {"name", "group"} <= set(rows.fieldnames or ()):
                raise BadData(f"{source}: has no columns `name` and `group`", wanted)
            for row in rows:
                name, group = (row["name"] or "").strip(), (row["group"] or "").strip()
                if not name or not group or name in groups:
                    raise BadData(f"{source}: line {rows.line_num} has no name, no group, or a name met before", wanted)
                groups[name] = group
    except OSError as problem:
        raise BadData(f"{source}: cannot be read ({problem.strerror})", "check path and permissions") from problem
    except (UnicodeDecodeError, csv.Error) as problem:
        raise BadData(f"{source}: is not a CSV file in UTF-8 ({problem})", wanted) from problem
    return groups


def _reader_for(path: Path) -> tuple[str, Reader]:
    known = "; ".join(f"{kind}: {_load(kind).LAYOUT}" for kind in READERS)
    if not path.exists():
        raise BadData(f"{path}: does not exist", "name the folder of the data set")
    if not path.is_dir():
        raise BadData(f"{path}: is a file, not a folder", f"pass the data set's folder; known layouts: {known}")
    try:
        if not any(path.iterdir()):
            raise BadData(f"{path}: is empty", f"known layouts: {known}")
    except OSError as problem:
        raise BadData(f"{path}: cannot be read ({problem.strerror})", "check its permissions") from problem
    for kind in READERS:
        if _load(kind).recognises(path):
            return kind, _load(kind)
    raise BadData(f"{path}: is laid out as no data set that edgebrain knows", f"known layouts: {known}")


def _load(kind: str) -> Reader:
    return cast(Reader, import_module(READERS[kind]))


def _check_folders(root: Path) -> None:
    closed = closed_folders(root)
    if closed:
        path, reason = closed[0]
        raise BadData(
            f"{path}: cannot be opened ({reason}); {len(closed)} such in all, and what lies there would be missing",
            "check permissions, or take it out of the data set's folder",
        )


def _check_classes(dataset: Dataset) -> None:
    found = {record.label for record in dataset.records}
    if len(found) == 1:
        raise BadData(
            f"{dataset.root}: all {len(dataset.records)} slices are {found.pop()}",
            f"a set needs slices of at least two classes of {', '.join(CLASSES)}",
        )


def _check_masks(dataset: Dataset) -> None:
    tumours = [record for record in dataset.records if record.label != HEALTHY]
    if any(record.mask_path is not None for record in tumours):
        return
    raise BadData(
        f"{dataset.root}: none of {len(tumours)} tumour slices has a mask"
        f"{_look_alikes(dataset.root, lone_masks(dataset))}",
        f"expected {_load(dataset.kind).LAYOUT}; a mask has its picture's name, and ends in {', '.join(PICTURES)}",
    )


def _look_alikes(root: Path, lone: Sequence[Path]) -> str:
    """What lies there instead of masks, by ending, with the first name."""
    if not lone:
        return ""
    counts = Counter(path.suffix or "no ending" for path in lone)
    endings = ", ".join(f"{count} x {ending}" for ending, count in counts.most_common(3))
    return f"; {len(lone)} files look like masks and belong to no picture ({endings}): {lone[0].relative_to(root)}"


def _few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
