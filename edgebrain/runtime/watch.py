"""A folder that never ends: each new slice gives mask, overlay and a line of results.csv, once, whatever happens.

The line is written last and flushed to the disk. What has a line is done; what has none is done again after a restart,
over the same file names. So a kill or a power cut at any moment leaves nothing half, lost or twice.

OUT/
  results.csv      a line for each file, in the order of their arrival; its columns are those of `predict`
  NAME_mask.png    NAME_overlay.png    NAME is the whole file name: a.png and a.jpg are two slices
  rejected/        a copy of each file that cannot be used, and NAME.txt with the reason
  model.json       which bundle answers here: two models never share a table
"""

from __future__ import annotations

import csv
import fcntl
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edgebrain.errors import BadImage, CannotWrite
from edgebrain.files import append_line, cut_torn_line, read_json, write_bytes, write_json, write_text
from edgebrain.runtime.image import MOST_BYTES
from edgebrain.runtime.outputs import (
    RESULTS,
    check_pixel_mm,
    in_one_line,
    result_of,
    results_head,
    results_line,
    write_pictures,
)
from edgebrain.runtime.session import Session

REJECTED, MODEL, LOCK = "rejected", "model.json", ".lock"
# A file that is still being copied grows; one that has not changed from one look to the next has arrived.
LOOK_EVERY_S = 2.0
# Room for what is added to a name; file systems take 255 bytes.
LONGEST_NAME = 200
# Names under which programs write what is not whole yet.
UNFINISHED = (".part", ".partial", ".tmp", ".crdownload", ".filepart")

STOPS = (signal.SIGTERM, signal.SIGINT)
Say = Callable[[str], None]


def watch(
    session: Session,
    given: Path,
    out: Path,
    pixel_mm: float | None = None,
    say: Say = print,
    complain: Say = print,
    stop: Callable[[], bool] = lambda: False,
    every_s: float = LOOK_EVERY_S,
) -> int:
    """Answer every file that lands in a folder, until told to stop.

    Files of folders below are left alone, and so are hidden ones. A name that has a line is done: another picture under
    the same name is not looked at.

    Args: given: the folder to look into. say: told each answer in a line. complain: told what cannot be used, and
    that the folder has gone (it may come back). stop: asked before each file. Returns: number of files done.
    Raises CannotWrite: the folder for the answers cannot be used, is another model's, or has a watcher already.
    """
    check_pixel_mm(pixel_mm)
    if not given.is_dir():
        raise CannotWrite(f"{given}: is no folder to watch", "make it first, or name another one")
    if out.resolve() == given.resolve():
        raise CannotWrite(f"{out}: is the folder that is watched", "choose another --out")
    with _alone(out):
        _sweep(out)
        done = _names_done(out, session)
        before = len(done)
        for name in _arrivals(given, done, stop, complain, every_s):
            line, told, bad = _answer(session, given / name, out, pixel_mm)
            append_line(out / RESULTS, line)
            done.add(in_one_line(name))
            (complain if bad else say)(told)
        return len(done) - before


def _arrivals(given: Path, done: set[str], stop: Callable[[], bool], complain: Say, every_s: float) -> Iterator[str]:
    """Names of files that are there for good and not done, in order of name, look by look, for ever."""
    seen: dict[str, tuple[int, int]] = {}
    gone = False
    while not stop():
        try:
            now = _waiting(given, done)
        except OSError as problem:
            if not gone:
                complain(f"{given}: cannot be looked into ({problem.strerror}); waiting for it to come back")
            gone, now = True, {}
        else:
            if gone:
                complain(f"{given}: is back")
            gone = False
        for name in sorted(name for name, state in now.items() if seen.get(name) == state):
            if stop():
                return
            yield name
        seen = {name: state for name, state in now.items() if in_one_line(name) not in done}
        _rest(every_s, stop)


def _waiting(given: Path, done: set[str]) -> dict[str, tuple[int, int]]:
    """Size and time of change of each file that is not done."""
    found = {}
    with os.scandir(given) as entries:
        for entry in entries:
            if entry.name.startswith(".") or entry.name.endswith(UNFINISHED) or in_one_line(entry.name) in done:
                continue
            # Taken away between the listing and now.
            with suppress(FileNotFoundError):
                if entry.is_file():
                    state = entry.stat()
                    found[entry.name] = (state.st_size, state.st_mtime_ns)
    return found


def _rest(seconds: float, stop: Callable[[], bool]) -> None:
    """Sleep in short pieces, so that a wish to stop is heard."""
    end = time.monotonic() + seconds
    while not stop() and (left := end - time.monotonic()) > 0:
        time.sleep(min(left, 0.2))


def _answer(session: Session, picture: Path, out: Path, pixel_mm: float | None) -> tuple[str, str, bool]:
    """Write what belongs to a file. Returns: its line of results.csv, what to tell, and whether it was rejected."""
    name = in_one_line(picture.name)
    try:
        image, prediction = session.predict_file(_read(picture), name)
    except BadImage as problem:
        _reject(picture, out / REJECTED, problem)
        told = f"{problem.message} ({problem.hint}); see {out / REJECTED}"
        return results_line((None, name, problem.message), session.classes), told, True
    result = result_of(prediction, name, picture.name, pixel_mm)
    write_pictures(out, image, prediction, result)
    return results_line((result, name, ""), session.classes), result.sentence(), False


def _reject(picture: Path, folder: Path, problem: BadImage) -> None:
    """Keep a copy and the reason. What cannot be read or named cannot be copied: its line in the table tells it."""
    if len(os.fsencode(picture.name)) > LONGEST_NAME:
        return
    with suppress(OSError):
        if picture.stat().st_size <= MOST_BYTES:
            write_bytes(folder / picture.name, picture.read_bytes())
    write_text(folder / f"{picture.name}.txt", f"{problem.message}\n{problem.hint}\n")


def _read(picture: Path) -> bytes:
    name = in_one_line(picture.name)
    if len(os.fsencode(picture.name)) > LONGEST_NAME:
        raise BadImage(f"{name}: the name is longer than {LONGEST_NAME} bytes", "give it a shorter one")
    try:
        # Looked at before it is read: memory stays within the budget.
        size = picture.stat().st_size
        if size > MOST_BYTES:
            raise BadImage(f"{name}: has {size >> 20} MiB, the limit is {MOST_BYTES >> 20}", "pass a single slice")
        return picture.read_bytes()
    except OSError as problem:
        raise BadImage(f"{name}: cannot be read ({problem.strerror})", "check its permissions") from problem


def _sweep(out: Path) -> None:
    """Take away what a killed watcher was writing."""
    for folder in (out, out / REJECTED):
        for part in folder.glob(".*.part"):
            part.unlink(missing_ok=True)


def _names_done(out: Path, session: Session) -> set[str]:
    """The names that have a line; the table is begun where there is none, and a torn last line is taken off."""
    _same_model(out, session)
    table, head = out / RESULTS, results_head(session.classes)
    if not table.exists():
        write_text(table, head)
        return set()
    cut_torn_line(table)
    with table.open(encoding="utf-8", newline="") as stream:
        if stream.readline() != head:
            raise CannotWrite(f"{table}: has other columns than this model writes", "choose another --out")
        return {row[0] for row in csv.reader(stream)}


def _same_model(out: Path, session: Session) -> None:
    mine = {"name": session.bundle.name, "manifest_sha256": session.bundle.manifest_sha256}
    note = out / MODEL
    if not note.exists():
        if (out / RESULTS).exists():
            raise CannotWrite(f"{out / RESULTS}: was not written by watching", "choose another --out")
        write_json(note, mine)
    elif (theirs := read_json(note, CannotWrite, "choose another --out")) != mine:
        raise CannotWrite(
            f"{out}: holds the answers of {theirs.get('name')}, and this is {session.bundle.name}",
            "choose another --out: answers of two models do not share a table",
        )


@contextmanager
def until_told_to_stop() -> Iterator[Callable[[], bool]]:
    """While this holds, SIGTERM and Ctrl-C are a wish, which the function that it gives tells."""
    wished: list[int] = []
    before = {sign: signal.signal(sign, lambda number, _: wished.append(number)) for sign in STOPS}
    try:
        yield lambda: bool(wished)
    finally:
        for sign, handler in before.items():
            signal.signal(sign, handler)


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Hold the folder's lock; the system lets go of it when the process ends, however it ends."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = os.open(out / LOCK, os.O_CREAT | os.O_RDWR, 0o644)
    except OSError as problem:
        raise CannotWrite(f"{out}: cannot be written ({problem.strerror})", "choose another --out") from problem
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as problem:
        raise CannotWrite(f"{out}: another watcher writes here", "stop it, or choose another --out") from problem
    finally:
        os.close(lock)
