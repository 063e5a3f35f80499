"""results.csv: one row a picture, flushed to the disk before the next picture is begun.

OUT/
  results.csv     a row for each picture; two processes never write into one table
  model.json      which bundle predicted: two models never share a table

The table is only ever appended to, so that what was written survives whatever happens after it.
"""

from __future__ import annotations

import csv
import io
import os
import re
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
from edgebrain.runtime.names import OutputNames
from edgebrain.runtime.results_file import (
    MASK,
    MODEL,
    OVERLAY,
    REJECTED,
    RESULTS,
    UNFINISHED,
    cells,
    columns,
    output_files,
    separator,
    unfinished_stem,
)
from edgebrain.text import in_one_line

locking: ModuleType | None
try:
    import fcntl as locking
except ImportError:  # Windows: there, nothing keeps two runs that were given one --out apart.
    locking = None

# As `files` names what is not whole yet.
PART = re.compile(r"\.\d+\.\d+\.part")
Existing = Literal["refuse", "replace", "continue"]


@dataclass(frozen=True)
class FileState:
    """Size and time of a file: where both are the same, it is still the file that was predicted.

    Attributes:
        size_bytes: Its size.
        modified: When its content was last changed: UTC, ISO 8601, to the microsecond.
    """

    size_bytes: int
    modified: str

    @classmethod
    def of(cls, status: os.stat_result) -> FileState:
        """The state that `os.stat` gives."""
        # From whole nanoseconds: the float of st_mtime does not hold every microsecond.
        seconds, nanoseconds = divmod(status.st_mtime_ns, 1_000_000_000)
        moment = datetime.fromtimestamp(seconds, UTC).replace(microsecond=nanoseconds // 1000)
        return cls(status.st_size, moment.isoformat(timespec="microseconds"))


@dataclass(frozen=True)
class RecordedState:
    """What the table says of a file.

    Attributes:
        state: The state that the file was in.
        error: Why it could not be used; empty after a prediction.
    """

    state: FileState
    error: str


class ResultsTable:
    """The open table of one output folder.

    Attributes:
        path: The table's file.
        recorded: Name of a picture -> what its newest row says, of the runs before this one.
    """

    def __init__(self, path: Path, descriptor: int, classes: Sequence[str], existing: Existing) -> None:
        """Read the rows that are there. descriptor: of the open file, which holds the lock."""
        rows = _read_rows(path, columns(classes))
        self.path = path
        self.recorded = {
            row["name"]: RecordedState(FileState(_whole(row["bytes"]), row["modified"]), row["error"]) for row in rows
        }
        self.masks = [row["mask"] for row in rows if row["mask"]]
        self._columns = columns(classes)
        self._descriptor = descriptor
        self._replaces = existing == "replace"
        self._unfinished = unfinished_stem(path.parent)

    def append(self, row: Mapping[str, Any]) -> None:
        """Add a row and flush it to the disk.

        Args:
            row: Column -> cell; columns that are not given stay empty.

        Raises:
            CannotWrite: The disk is full, or the table was removed or replaced meanwhile.
        """
        if not self._is_still_there():
            raise CannotWrite(
                f"{self.path}: was removed or replaced while it was being written", "start again with another --out"
            )
        append_line(self.path, _csv_line([in_one_line(str(row.get(column, ""))) for column in self._columns]))

    def begin(self, stem: str) -> None:
        """Note whose mask and overlay are about to be written.

        A run that is killed before the row is written leaves them behind; by this note the next run knows them as its
        own and may replace them.
        """
        with suppress(OSError):
            (self.path.parent / UNFINISHED).write_text(stem, encoding="utf-8")

    def output_names(self) -> OutputNames:
        """Gives out names for new masks and overlays.

        Neither the names that the table uses nor those of files that edgebrain did not write are given out.
        """
        return OutputNames((mask.removesuffix(MASK) for mask in self.masks), self._is_free)

    def _is_free(self, stem: str) -> bool:
        """Whether mask and overlay of this name may be written: nothing is there, or what was being written last."""
        there = any((self.path.parent / f"{stem}{ending}").exists() for ending in (MASK, OVERLAY))
        return self._replaces or stem == self._unfinished or not there

    def _is_still_there(self) -> bool:
        try:
            return os.path.samestat(self.path.stat(), os.fstat(self._descriptor))
        except OSError:
            return False


@contextmanager
def open_table(
    out: Path, classes: Sequence[str], model: Mapping[str, str], existing: Existing = "refuse"
) -> Iterator[ResultsTable]:
    """The results.csv of a folder, which no other process writes to while this one does.

    Args:
        out: The folder; made where it is not there.
        classes: Names of the class columns.
        model: Name and manifest_sha256 of the bundle that predicts, as `model_note` gives them.
        existing: What to do where the folder has a table already.

    Raises:
        CannotWrite: There is a table and `existing` is refuse; another process has it; it is another model's, or was
            not written by edgebrain; the folder cannot be used.
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
            _remove_outputs(out)
            os.truncate(path, 0)
        _check_model(out, model)
        table = ResultsTable(path, descriptor, classes, existing)
        _remove_parts(out, table.masks)
        yield table
        with suppress(FileNotFoundError):
            (out / UNFINISHED).unlink()
    finally:
        os.close(descriptor)


def model_note(bundle: Bundle) -> dict[str, str]:
    """Name and hash of a bundle, by which its table is known."""
    return {"name": bundle.name, "manifest_sha256": bundle.manifest_sha256}


def _whole(text: str) -> int:
    """A whole number as a spreadsheet may have saved it; -1 for anything else, which is no file's size."""
    try:
        return int(float(text))
    except (TypeError, ValueError, OverflowError):
        return -1


def _remove_outputs(out: Path) -> None:
    """Remove what the table of a folder names, and its model's note: they are to be replaced."""
    for file in output_files(out / RESULTS) or ():
        path = out / file
        # A table that was edited may name anything.
        if path.name.endswith((MASK, OVERLAY)) and path.resolve().is_relative_to(out.resolve()):
            path.unlink(missing_ok=True)
    for name in (MODEL, UNFINISHED):
        (out / name).unlink(missing_ok=True)


def _remove_parts(out: Path, masks: Sequence[str]) -> None:
    """Remove what a killed run was writing, where it was writing; the lock says that nobody is writing it now."""
    folders = {out, *((out / mask).parent for mask in masks), (out / unfinished_stem(out)).parent}
    folders |= {out / REJECTED, *(path for path in (out / REJECTED).rglob("*") if path.is_dir())}
    for folder in folders:
        for part in folder.glob(".*.part"):
            if PART.fullmatch(part.name):
                part.unlink(missing_ok=True)


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
    """Raise CannotWrite where the table is another model's, or was not written by edgebrain."""
    note = out / MODEL
    if not note.exists():
        if (out / RESULTS).stat().st_size:
            raise CannotWrite(f"{out / RESULTS}: was not written by edgebrain", "choose another --out")
        write_json(note, dict(model))
    elif (theirs := read_json(note, CannotWrite, "choose another --out")) != dict(model):
        raise CannotWrite(
            f"{out}: holds the results of {theirs.get('name')}, and this is {model['name']}",
            "choose another --out: results of two models do not share a table",
        )


def _read_rows(path: Path, wanted: Sequence[str]) -> list[dict[str, str]]:
    """The rows that are there; the head is written where there is none, and a torn last row is removed."""
    cut_torn_line(path)
    head = _csv_line(wanted)
    if not path.stat().st_size:
        append_line(path, head)
        return []
    with path.open(encoding="utf-8-sig", newline="") as stream:
        head = stream.readline().rstrip("\r\n")
        if cells(head) != list(wanted) or separator(head) != ",":
            raise CannotWrite(
                f"{path}: has other columns, or separators, than this model writes", "choose another --out"
            )
        return list(csv.DictReader(stream, fieldnames=wanted, restval=""))


def _csv_line(row: Sequence[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(row)
    return text.getvalue()
