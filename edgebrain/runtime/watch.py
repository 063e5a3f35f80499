"""A folder that never ends: each slice that lands gives mask, overlay and a line of results.csv, whatever happens.

The line is written last and flushed to the disk. What has a line is done; what has none is done again after a restart,
over the same file names. So a kill or a power cut at any moment leaves nothing half, lost or twice.

OUT/
  results.csv      a line for each file, in the order of their arrival; its columns are those of `predict`
  NAME_mask.png    NAME_overlay.png    NAME is the whole file name: a.png and a.jpg are two slices
  rejected/        a copy of each file that cannot be used, and NAME.txt with the reason
  model.json       which bundle answers here: two models never share a table

A file whose size or time changes after its line is answered again, with a line that says so.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from edgebrain.errors import BadImage, CannotWrite, IncompleteImage
from edgebrain.files import write_bytes, write_text
from edgebrain.runtime.answer import answer_file, append_failure, output_names
from edgebrain.runtime.image import MOST_BYTES
from edgebrain.runtime.listing import Listing, list_files
from edgebrain.runtime.names import OutputNames, short_name
from edgebrain.runtime.outputs import check_pixel_mm
from edgebrain.runtime.results import REJECTED, FileState, ResultsTable, model_note, open_table
from edgebrain.runtime.session import Session
from edgebrain.text import in_one_line, shown_name

# A file that is still being copied grows; one that has not changed from one look to the next has probably arrived.
LOOK_EVERY_S = 2.0
# A copy may stall for longer than that: what looks cut short or damaged counts only after this time without a change.
SETTLE_S = 30.0
# Names under which programs write what is not whole yet.
UNFINISHED = (".part", ".partial", ".tmp", ".crdownload", ".filepart")

STOPS = (signal.SIGTERM, signal.SIGINT)
Say = Callable[[str], None]


@dataclass(frozen=True)
class WatchSettings:
    """every_s: time between two looks. settle_s: how long a file that looks incomplete must lie unchanged before it is
    rejected. recursive: look into sub-folders too."""

    every_s: float = LOOK_EVERY_S
    settle_s: float = SETTLE_S
    recursive: bool = False


def watch(
    session: Session,
    folder: Path,
    out: Path,
    pixel_mm: float | None = None,
    say: Say = print,
    complain: Say = print,
    stop: Callable[[], bool] = lambda: False,
    settings: WatchSettings | None = None,
) -> int:
    """Answer every file that lands in a folder, until told to stop.

    Every file counts, whatever its ending: what is no picture is rejected by name. Hidden files wait, and so do files
    that still change or have a name such as `x.part`.

    Args:
        folder: To look into.
        say: Called with a line for each answer.
        complain: Called with what cannot be used, and when the folder has gone (it may come back).
        stop: Asked before each file.

    Returns:
        Number of files done.

    Raises:
        CannotWrite: The folder for the answers cannot be used, is another model's, or has a watcher already.
    """
    check_pixel_mm(pixel_mm)
    if not folder.is_dir():
        raise CannotWrite(f"{folder}: is no folder to watch", "make it first, or name another one")
    if out.resolve() == folder.resolve():
        raise CannotWrite(f"{out}: is the folder that is watched", "choose another --out")
    with open_table(out, session.classes, model_note(session.bundle), "continue") as table:
        arrivals = _Arrivals(folder, table, settings or WatchSettings(), complain)
        worker = _Worker(session, out, table, output_names(table), pixel_mm, say, complain)
        return sum(worker.answer(arrivals, name) for name in arrivals.names(stop))


@dataclass
class _File:
    """A file as it was at the last look.

    folder: its sub-folder, empty for none. changed_ns: when the system last changed anything about it, its permissions
    included. since: when it was first seen in this state, on the monotonic clock.
    """

    path: Path
    folder: str
    state: FileState
    changed_ns: int
    since: float
    looks: int = 1


class _Arrivals:
    """The files of the watched folder, look by look, and which of them have a line."""

    def __init__(self, folder: Path, table: ResultsTable, settings: WatchSettings, complain: Say) -> None:
        self._folder = folder
        self._settings = settings
        self._complain = complain
        self._done = {name: line.state for name, line in table.lines.items()}
        # Of a rejected file: when the system last changed anything about it, in ns; unknown of an earlier run's.
        self._rejected = {name: 0 for name, line in table.lines.items() if line.error}
        self._errors = {name: line.error for name, line in table.lines.items() if line.error}
        self._waiting: dict[str, _File] = {}
        self._gone = False
        self._named: set[Path] = set()

    def names(self, stop: Callable[[], bool]) -> Iterator[str]:
        """Names of files that are there to be answered, in order of name, look by look, until told to stop."""
        while not stop():
            start = time.monotonic()
            self._look()
            took_s = time.monotonic() - start
            for name in sorted(name for name, file in self._waiting.items() if file.looks > 1):
                if stop():
                    return
                yield name
            # A folder of very many files takes long to look through: half of the time is left to others.
            _rest(max(self._settings.every_s, took_s), stop)

    def file(self, name: str) -> _File:
        """A file that is to be answered."""
        return self._waiting[name]

    def has_changed(self, name: str) -> bool:
        """Whether the table has a line for this name, of the file in another state."""
        return name in self._done and self._done[name] != self._waiting[name].state

    def said_before(self, name: str, error: str) -> bool:
        """Whether the table says this of the file as it is."""
        return not self.has_changed(name) and self._errors.get(name) == error

    def is_settled(self, name: str) -> bool:
        """Whether a file has lain unchanged so long that nothing more will come."""
        return time.monotonic() - self._waiting[name].since >= self._settings.settle_s

    def set_done(self, name: str, error: str = "") -> None:
        """The table has a line for this file now. error: why it was rejected."""
        file = self._waiting.pop(name)
        self._done[name] = file.state
        self._rejected.pop(name, None)
        self._errors.pop(name, None)
        if error:
            self._rejected[name], self._errors[name] = file.changed_ns, error

    def _look(self) -> None:
        listing = list_files(self._folder, self._settings.recursive)
        if self._is_gone(listing):
            self._waiting = {}
            return
        for path, reason in listing.unreadable:
            self._complain_once(path, f"cannot be opened ({reason})")
        for path in listing.special:
            self._complain_once(path, "is a pipe or a device, and no file")
        for path in listing.folders:
            self._complain_once(path, "is a sub-folder, which is not looked into; --recursive does")
        now = time.monotonic()
        found: dict[str, _File] = {}
        for path in (*listing.pictures, *listing.others):
            if path.name.endswith(UNFINISHED):
                continue
            try:
                inside, status = path.relative_to(self._folder), path.stat()
                name, state = shown_name(inside.as_posix()), FileState.of(status)
                if self._done.get(name) != state or self._may_work_now(name, status.st_ctime_ns):
                    folder = "" if inside.name == str(inside) else str(inside.parent)
                    found[name] = self._seen(name, _File(path, folder, state, status.st_ctime_ns, now))
            except FileNotFoundError:  # taken away between the listing and now
                continue
            except OSError as problem:
                self._complain_once(path, f"cannot be looked at ({problem.strerror})")
        self._waiting = found

    def _may_work_now(self, name: str, changed_ns: int) -> bool:
        """Whether a file was rejected and something was done to it since, such as giving us permission to read it."""
        return name in self._rejected and self._rejected[name] != changed_ns

    def _complain_once(self, path: Path, what: str) -> None:
        if path not in self._named:
            self._named.add(path)
            self._complain(in_one_line(f"{path}: {what}"))

    def _seen(self, name: str, file: _File) -> _File:
        """The file as it was seen before, where it has not changed since."""
        before = self._waiting.get(name)
        if before is None or before.state != file.state:
            return file
        before.looks += 1
        return before

    def _is_gone(self, listing: Listing) -> bool:
        """Whether the watched folder itself cannot be opened; said once, and once when it is back."""
        gone = next((reason for path, reason in listing.unreadable if path == self._folder), "")
        if gone and not self._gone:
            self._complain(f"{self._folder}: cannot be opened ({gone}); waiting for it to come back")
        if self._gone and not gone:
            self._complain(f"{self._folder}: is back")
        self._gone = bool(gone)
        return self._gone


@dataclass
class _Worker:
    """Answers one file after the other."""

    session: Session
    out: Path
    table: ResultsTable
    names: OutputNames
    pixel_mm: float | None
    say: Say
    complain: Say

    def answer(self, arrivals: _Arrivals, name: str) -> bool:
        """Answer or reject a file.

        Returns:
            False where it may still be on its way.
        """
        file, changed = arrivals.file(name), arrivals.has_changed(name)
        stem = self.names.whole_name(file.folder, file.path.name)
        try:
            args = (self.session, file.path, name, stem, self.out, self.table, self.pixel_mm, changed)
            self.say(answer_file(*args).sentence())
        except BadImage as problem:
            self.names.give_back(stem)
            if isinstance(problem, IncompleteImage) and not arrivals.is_settled(name):
                return False
            if arrivals.said_before(name, problem.message):
                arrivals.set_done(name, problem.message)
                return False
            _reject(file.path, self.out / REJECTED / file.folder / short_name(file.path.name), problem)
            append_failure(self.table, file.path, name, problem, changed)
            self.complain(in_one_line(f"{problem.message} ({problem.hint}); see {self.out / REJECTED}"))
            arrivals.set_done(name, problem.message)
            return True
        arrivals.set_done(name)
        return True


def _rest(seconds: float, stop: Callable[[], bool]) -> None:
    """Sleep in short pieces, so that a signal to stop is noticed."""
    end = time.monotonic() + seconds
    while not stop() and (left := end - time.monotonic()) > 0:
        time.sleep(min(left, 0.2))


def _reject(picture: Path, copy: Path, problem: BadImage) -> None:
    """Keep a copy and the reason. What cannot be read cannot be copied: its line in the table says why."""
    with suppress(OSError):
        if picture.stat().st_size <= MOST_BYTES:
            write_bytes(copy, picture.read_bytes())
    write_text(copy.with_name(f"{copy.name}.txt"), f"{problem.message}\n{problem.hint}\n")


@contextmanager
def until_told_to_stop() -> Iterator[Callable[[], bool]]:
    """Yields a callable that returns True once SIGTERM or SIGINT arrived."""
    received: list[int] = []
    before = {sign: signal.signal(sign, lambda number, _: received.append(number)) for sign in STOPS}
    try:
        yield lambda: bool(received)
    finally:
        for sign, handler in before.items():
            signal.signal(sign, handler)
