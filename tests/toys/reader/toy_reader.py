"""A reader for a layout that edgebrain does not know: one table lists all slices.

slices.csv       picture,mask,class,plane,patient,side; mask is empty for a healthy slice
any/where.png    the files that the table names
"""

from __future__ import annotations

import csv
from pathlib import Path

from edgebrain.data.sample import Record
from edgebrain.errors import BadData

LAYOUT = "slices.csv with the columns picture, mask, class, plane, patient and side"
TABLE = "slices.csv"


def recognises(path: Path) -> bool:
    """Whether the table is here."""
    return (path / TABLE).is_file()


def records(path: Path) -> list[Record]:
    """A slice for each line of the table. Raises BadData: a column is missing."""
    with (path / TABLE).open(newline="") as stream:
        try:
            return [_record(path, row) for row in csv.DictReader(stream)]
        except KeyError as problem:
            raise BadData(f"{path / TABLE}: has no column {problem}", f"expected {LAYOUT}") from problem


def strays(path: Path) -> list[Path]:
    """PNG files that the table does not name."""
    used = {file for record in records(path) for file in (record.image_path, record.mask_path)}
    return [file for file in path.rglob("*.png") if file not in used]


def _record(path: Path, row: dict[str, str]) -> Record:
    mask = path / row["mask"] if row["mask"] else None
    return Record(
        Path(row["picture"]).name, path / row["picture"], mask, row["class"], row["plane"], row["side"], row["patient"]
    )
