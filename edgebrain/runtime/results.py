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
from edgebrain.text import in_one_line

locking: ModuleType | None
try:
    import fcntl as locking
except ImportError:  # Windows: there, nothing keeps two runs that were given one --out apart.
    locking = None

RESULTS, MODEL = "results.csv", "model.json"
# Name of the mask and overlay that are being written; they have no line yet.
UNFINISHED = ".unfinished"
MASK, OVERLAY = "_mask.png", "_overlay.png"
REJECTED = "rejected"
# As `files` names what is not whole yet.
PART = re.compile(r"\.\d+\.\d+\.part")
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

    def __init__(self, path: Path, descriptor: int, classes: Sequence[str], existing: Existing) -> None:
        """descriptor: of the open file, which holds the lock."""
        rows = _begin(path, columns(classes))
        self.path = path
        self.lines = {row["name"]: Line(FileState(_whole(row["bytes"]), row["modified"]), row["error"]) for row in rows}
        self.masks = [row["mask"] for row in rows if row["mask"]]
        self._columns = columns(classes)
        self._descriptor = descriptor
        self._replaces = existing == "replace"
        self._unfinished = unfinished_stem(path.parent)

    def append(self, cells: Mapping[str, Any]) -> None:
        """Add a line; columns that are not given stay empty. Raises CannotWrite."""
        if not self._is_still_there():
            raise CannotWrite(
                f"{self.path}: was taken away or replaced while it was being written", "start again with another --out"
            )
        append_line(self.path, _csv_line([in_one_line(str(cells.get(column, ""))) for column in self._columns]))

    def begin(self, stem: str) -> None:
        """Note whose mask and overlay are about to be written: without a line they are ours all the same."""
        with suppress(OSError):
            (self.path.parent / UNFINISHED).write_text(stem, encoding="utf-8")

    def is_free(self, stem: str) -> bool:
        """Whether mask and overlay of this name may be written: nothing is there, or what we were writing last."""
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
        classes: Names of the class columns.
        model: Name and manifest_sha256 of the bundle that answers.
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
    """What tells a bundle from every other."""
    return {"name": bundle.name, "manifest_sha256": bundle.manifest_sha256}


def columns(classes: Sequence[str]) -> tuple[str, ...]:
    """The columns of a table for a model with these classes."""
    return (*BEFORE_CLASSES, *classes, *AFTER_CLASSES)


def output_files(table: Path) -> tuple[str, ...] | None:
    """The masks and overlays that a table names, relative to its folder, and those that it was about to name.

    None where it is no table of ours. A spreadsheet may have saved it with another separator or a byte-order mark.
    """
    try:
        with table.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
            head = stream.readline()
            rows = csv.DictReader(stream, fieldnames=_cells(head), delimiter=_separator(head))
            if tuple(rows.fieldnames or ())[: len(BEFORE_CLASSES)] != BEFORE_CLASSES:
                return None
            named = [file for row in rows for file in (row.get("mask"), row.get("overlay")) if file]
    except (OSError, csv.Error):
        return None
    last = unfinished_stem(table.parent)
    return (*named, *([f"{last}{MASK}", f"{last}{OVERLAY}"] if last else []))


def unfinished_stem(out: Path) -> str:
    """The name under which mask and overlay were written last, if their line was not; else empty."""
    try:
        return (out / UNFINISHED).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _separator(head: str) -> str:
    return ";" if ";" in head and "," not in head else ","


def _cells(head: str) -> list[str]:
    return next(csv.reader([head], delimiter=_separator(head)), [])


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
    with path.open(encoding="utf-8-sig", newline="") as stream:
        head = stream.readline().rstrip("\r\n")
        if _cells(head) != list(wanted) or _separator(head) != ",":
            raise CannotWrite(
                f"{path}: has other columns, or separators, than this model writes", "choose another --out"
            )
        return list(csv.DictReader(stream, fieldnames=wanted, restval=""))


def _csv_line(cells: Sequence[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()
