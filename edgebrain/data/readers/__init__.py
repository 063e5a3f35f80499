"""Opening a data folder: its layout is recognised, its slices are listed, and groups are joined in.

A reader knows one layout. Its protocol and the table of readers are in `registry`.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from edgebrain.bundle import CLASSES, HEALTHY
from edgebrain.data.groups import GROUPS_CSV, join_groups
from edgebrain.data.pairing import closed_folders, looks_like_mask
from edgebrain.data.readers.registry import Reader, known_layouts, reader_named, recognised
from edgebrain.data.sample import Dataset, with_encoding
from edgebrain.errors import BadData
from edgebrain.runtime.listing import PICTURES, list_files

__all__ = ["Reader", "lone_masks", "open_dataset", "scan", "strays"]


def open_dataset(path: Path, groups_csv: Path | None = None) -> Dataset:
    """Open a data set that a network can be trained and scored on.

    Groups come from `groups_csv`, else from the folder's own `groups.csv`, else from the layout. Where none of them
    gives any, they stay empty, and whoever needs them computes them from the images (`groups.groups_from_images`).

    Args:
        path: The folder of the data set.
        groups_csv: A CSV file `name,group` that goes before the folder's own.

    Returns:
        The data set; no picture has been read yet.

    Raises:
        BadData: The folder is missing, empty or of no known layout, or a folder in it cannot be opened; no tumour slice
            has a mask; all slices are of one class; the groups file does not fit the slices.
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
    """List the slices of a folder, however broken the set may be, and find out how its masks are written.

    Raises:
        BadData: The folder is missing, empty or of no known layout.
    """
    kind, reader = _reader_for(path)
    records = sorted(reader.records(path), key=lambda record: record.name)
    if not records:
        raise BadData(f"{path}: is laid out as {kind}, but holds no slices", f"expected {reader.LAYOUT}")
    _check_records(path, kind, [record.name for record in records], {record.label for record in records})
    return Dataset(path, kind, *with_encoding(records))


def strays(dataset: Dataset) -> list[Path]:
    """Picture files in the data set's folder that are no slice, because their names cannot be read; sorted."""
    return sorted(reader_named(dataset.kind).strays(dataset.root))


def lone_masks(dataset: Dataset) -> list[Path]:
    """Files that are named like masks, or lie where masks lie, and belong to no slice; sorted.

    They may have any ending but those of texts and tables: a mask in a format that is not read is one of them.
    """
    used = {path for record in dataset.records for path in (record.image_path, record.mask_path, *record.other_masks)}
    # Where pictures are links, a file may be listed under the name of another.
    real = {os.path.realpath(path) for path in used if path}
    files = list_files(dataset.root)
    alike = (path for path in (*files.pictures, *files.others) if looks_like_mask(dataset.root, path))
    return sorted(path for path in alike if path not in used and os.path.realpath(path) not in real)


def _reader_for(path: Path) -> tuple[str, Reader]:
    if not path.exists():
        raise BadData(f"{path}: does not exist", "name the folder of the data set")
    if not path.is_dir():
        raise BadData(
            f"{path}: is a file, not a folder", f"pass the data set's folder; known layouts: {known_layouts()}"
        )
    try:
        if not any(path.iterdir()):
            raise BadData(f"{path}: is empty", f"known layouts: {known_layouts()}")
    except OSError as problem:
        raise BadData(f"{path}: cannot be read ({problem.strerror})", "check its permissions") from problem
    found = recognised(path)
    if found is None:
        raise BadData(f"{path}: is laid out as no data set that edgebrain knows", f"known layouts: {known_layouts()}")
    return found


def _check_records(path: Path, kind: str, names: Sequence[str], labels: set[str]) -> None:
    """Names and labels are a reader's promise, which one that others wrote may break."""
    twice = next((name for name, times in Counter(names).items() if times > 1), None)
    if twice is not None:
        raise BadData(f"{path}: the reader {kind!r} lists {twice} twice", "names must be unique in a data set")
    unknown = sorted(labels - set(CLASSES))
    if unknown:
        raise BadData(
            f"{path}: the reader {kind!r} gives the class {unknown[0]!r}", f"it must be one of {', '.join(CLASSES)}"
        )


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
        f"{_counted_by_ending(dataset.root, lone_masks(dataset))}",
        f"expected {reader_named(dataset.kind).LAYOUT}; a mask has its picture's name, and ends in "
        f"{', '.join(PICTURES)}",
    )


def _counted_by_ending(root: Path, lone: Sequence[Path]) -> str:
    """What lies there instead of masks, by ending, with the first name."""
    if not lone:
        return ""
    counts = Counter(path.suffix or "no ending" for path in lone)
    endings = ", ".join(f"{count} x {ending}" for ending, count in counts.most_common(3))
    return f"; {len(lone)} files look like masks and belong to no picture ({endings}): {lone[0].relative_to(root)}"
