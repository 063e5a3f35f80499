"""Groups that a person gives: a CSV file with the lines `name,group`, one a slice; names with their ending."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from edgebrain.data.sample import Record
from edgebrain.errors import BadData

GROUPS_CSV = "groups.csv"


def join_groups(records: Iterable[Record], source: Path) -> tuple[Record, ...]:
    """Give records the groups of a CSV file.

    Args:
        records: All slices of a data set.
        source: The CSV file.

    Returns:
        The records in their order, each with its group.

    Raises:
        BadData: The file cannot be read, is malformed, or does not name exactly these slices.
    """
    records, groups = tuple(records), read_groups(source)
    names = {record.name for record in records}
    missing, unknown = sorted(names - set(groups)), sorted(set(groups) - names)
    if missing:
        raise BadData(
            f"{source}: lacks {len(missing)} of {len(names)} slices ({_first_names(missing)})",
            "add a line for each: a slice without group could leak from training into evaluation",
        )
    if unknown:
        raise BadData(
            f"{source}: names {len(unknown)} slices that the folder lacks ({_first_names(unknown)})",
            "remove these lines, or restore the files",
        )
    return tuple(replace(record, group=groups[record.name]) for record in records)


def read_groups(source: Path) -> dict[str, str]:
    """Read a groups file.

    Args:
        source: The CSV file.

    Returns:
        Name of a slice -> its group.

    Raises:
        BadData: It cannot be read, has another header, or a line has no name, no group, or a name met before.
    """
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


def _first_names(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
