"""results.csv: one line a picture, flushed to the disk before the next picture is begun.

OUT/
  results.csv     a line for each picture; two processes never write into one table
  model.json      which bundle answered: two models never share a table

The table is only ever appended to, so that what was written survives whatever happens after it.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from edgebrain.bundle import Bundle
from edgebrain.errors import CannotWrite
from edgebrain.files import append_line, cut_torn_line, read_json, write_json
from edgebrain.text import in_one_line

locking: ModuleType | None
try:
    import fcntl as locking
except ImportError:  # Windows: there, nothing keeps two runs that were given one --out apart.
    locking = None

RESULTS, MODEL = "results.csv", "model.json"
BEFORE_CLASSES = ("name", "label", "probability", "area_px", "area_cm2", "width", "height")
AFTER_CLASSES = ("mask", "overlay", "error", "warning", "bytes", "modified")
Existing = Literal["refuse", "replace", "continue"]


@dataclass(frozen=True)
class FileState:
    """What tells whether a file is still the one that was answered. modified: UTC, to the microsecond."""

    size_bytes: int
    modified: str

    @classmethod
    def of(cls, status: os.stat_result) -> FileState:
        """The state that the system tells of a file."""
        # From whole nanoseconds: the float of st_mtime does not hold every microsecond.
        seconds, nanoseconds = divmod(status.st_mtime_ns, 1_000_000_000)
        moment = datetime.fromtimestamp(seconds, UTC).replace(microsecond=nanoseconds // 1000)
        return cls(status.st_size, moment.isoformat(timespec="microseconds"))


@dataclass(frozen=True)
class Line:
    """What a table says of a file: the state that it was in, and why it could not be used, empty after an answer."""

    state: FileState
    error: str


class ResultsTable:
    """The open table of one output folder.

    lines: name -> its newest line, of the runs before this one. masks: all masks that the lines name, relative.
    """

    def __init__(self, path: Path, classes: Sequence[str], lines: Mapping[str, Line], masks: Sequence[str]) -> None:
        self.path = path
        self.lines = lines
        self.masks = masks
        self._columns = columns(classes)

    def append(self, cells: Mapping[str, Any]) -> None:
        """Add a line; columns that are not given stay empty. Raises CannotWrite."""
        append_line(self.path, _csv_line([in_one_line(str(cells.get(column, ""))) for column in self._columns]))


@contextmanager
def open_table(
    out: Path, classes: Sequence[str], model: Mapping[str, str], existing: Existing = "refuse"
) -> Iterator[ResultsTable]:
    """The results.csv of a folder, which no other process writes to while this one does.

    Args: classes: names of the class columns. model: name and manifest_sha256 of the bundle that answers. existing:
    what to do where the folder has a table already.
    Raises CannotWrite: there is a table and `existing` is refuse; another process has it; it is another model's, or
    was not written by edgebrain; the folder cannot be used.
    """
    path = out / RESULTS
    try:
        out.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as problem:
        raise CannotWrite(f"{out}: cannot be written ({problem.strerror})", "choose another --out") from problem
    try:
        _lock(descriptor, out)
        if existing == "refuse" and path.stat().st_size:
            raise CannotWrite(
                f"{path}: already exists", "choose another --out, go on with --resume, or replace it with --force"
            )
        if existing == "replace":
            os.truncate(path, 0)
            with suppress(FileNotFoundError):
                (out / MODEL).unlink()
        _check_model(out, model)
        rows = _begin(path, columns(classes))
        lines = {row["name"]: Line(FileState(int(row["bytes"] or -1), row["modified"]), row["error"]) for row in rows}
        yield ResultsTable(path, classes, lines, [row["mask"] for row in rows if row["mask"]])
    finally:
        os.close(descriptor)


def model_note(bundle: Bundle) -> dict[str, str]:
    """What tells a bundle from every other."""
    return {"name": bundle.name, "manifest_sha256": bundle.manifest_sha256}


def columns(classes: Sequence[str]) -> tuple[str, ...]:
    """The columns of a table for a model with these classes."""
    return (*BEFORE_CLASSES, *classes, *AFTER_CLASSES)


def output_files(table: Path) -> tuple[str, ...] | None:
    """The masks and overlays that a table names, relative to its folder; None where it is no table of ours."""
    try:
        with table.open(encoding="utf-8", errors="replace", newline="") as stream:
            rows = csv.DictReader(stream)
            if tuple(rows.fieldnames or ())[: len(BEFORE_CLASSES)] != BEFORE_CLASSES:
                return None
            return tuple(file for row in rows for file in (row.get("mask"), row.get("overlay")) if file)
    except (OSError, csv.Error):
        return None


def _lock(descriptor: int, out: Path) -> None:
    """Hold the table; the system lets go of it when the process ends, however it ends."""
    if locking is None:
        return
    try:
        locking.flock(descriptor, locking.LOCK_EX | locking.LOCK_NB)
    except BlockingIOError as problem:
        raise CannotWrite(
            f"{out}: another process is writing its results here", "wait for it, or choose another --out"
        ) from problem


def _check_model(out: Path, model: Mapping[str, str]) -> None:
    """Raises CannotWrite: the table is another model's, or nobody's."""
    note = out / MODEL
    if not note.exists():
        if (out / RESULTS).stat().st_size:
            raise CannotWrite(f"{out / RESULTS}: was not written by edgebrain", "choose another --out")
        write_json(note, dict(model))
    elif (theirs := read_json(note, CannotWrite, "choose another --out")) != dict(model):
        raise CannotWrite(
            f"{out}: holds the answers of {theirs.get('name')}, and this is {model['name']}",
            "choose another --out: answers of two models do not share a table",
        )


def _begin(path: Path, wanted: Sequence[str]) -> list[dict[str, str]]:
    """The lines that are there; the head is written where there is none, and a torn last line is taken off."""
    cut_torn_line(path)
    head = _csv_line(wanted)
    if not path.stat().st_size:
        append_line(path, head)
        return []
    with path.open(encoding="utf-8", newline="") as stream:
        if stream.readline() != head:
            raise CannotWrite(f"{path}: has other columns than this model writes", "choose another --out")
        return list(csv.DictReader(stream, fieldnames=wanted))


def _csv_line(cells: Sequence[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()
