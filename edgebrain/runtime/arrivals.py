"""The files of a watched folder: which are new, which have arrived whole, and which were done before."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgebrain.progress import Notify
from edgebrain.runtime.listing import Listing, list_files
from edgebrain.runtime.results import FileState, RecordedState
from edgebrain.text import in_one_line, shown_name

# A file that is still being copied grows; one that has not changed from one look to the next has probably arrived.
LOOK_EVERY_S = 2.0
# A copy may stall for longer than that: what looks cut short or damaged counts only after this time without a change.
SETTLE_S = 30.0
# Endings that programs give to files which they are still writing.
PARTIAL_ENDINGS = (".part", ".partial", ".tmp", ".crdownload", ".filepart")


@dataclass(frozen=True)
class WatchSettings:
    """How a folder is watched.

    Attributes:
        every_s: Time between two looks, in s.
        settle_s: How long a file that looks incomplete must lie unchanged before it is rejected, in s.
        recursive: Watch sub-folders too.
    """

    every_s: float = LOOK_EVERY_S
    settle_s: float = SETTLE_S
    recursive: bool = False


@dataclass
class ArrivingFile:
    """A file as it was at the last look.

    Attributes:
        path: Where it lies.
        folder: Its sub-folder; empty for none.
        state: Its size and time.
        changed_ns: When anything about it last changed, its permissions included, in ns since 1970.
        since: When it was first seen in this state, in s on the monotonic clock.
        looks: How often it was seen in this state.
    """

    path: Path
    folder: str
    state: FileState
    changed_ns: int
    since: float
    looks: int = 1


class Arrivals:
    """The files of the watched folder, look by look, and which of them have a row."""

    def __init__(
        self, folder: Path, recorded: Mapping[str, RecordedState], settings: WatchSettings, on_problem: Notify
    ) -> None:
        """Begin with what the table says of an earlier run's files."""
        self._folder = folder
        self._settings = settings
        self._on_problem = on_problem
        self._done = {name: row.state for name, row in recorded.items()}
        # Rejected files -> their `changed_ns`; 0 for those of an earlier run, which are tried once again.
        self._rejected = {name: 0 for name, row in recorded.items() if row.error}
        self._errors = {name: row.error for name, row in recorded.items() if row.error}
        self._waiting: dict[str, ArrivingFile] = {}
        self._gone = False
        self._reported: set[Path] = set()

    def names(self, stop: Callable[[], bool]) -> Iterator[str]:
        """Yields names of files that can be predicted, sorted within each look, until `stop` returns True."""
        while not stop():
            start = time.monotonic()
            self._look()
            took_s = time.monotonic() - start
            for name in sorted(name for name, file in self._waiting.items() if file.looks > 1):
                if stop():
                    return
                yield name
            # A folder of very many files takes long to list: as long a pause leaves half of the time to other programs.
            _sleep(max(self._settings.every_s, took_s), stop)

    def file(self, name: str) -> ArrivingFile:
        """A file that is waiting to be predicted."""
        return self._waiting[name]

    def has_changed(self, name: str) -> bool:
        """Whether the table has a row for this name, of the file in another state."""
        return name in self._done and self._done[name] != self._waiting[name].state

    def is_recorded(self, name: str, error: str) -> bool:
        """Whether the table has this error for the file as it is."""
        return not self.has_changed(name) and self._errors.get(name) == error

    def is_settled(self, name: str) -> bool:
        """Whether a file has lain unchanged so long that nothing more will come."""
        return time.monotonic() - self._waiting[name].since >= self._settings.settle_s

    def set_done(self, name: str, error: str = "") -> None:
        """Note that the table has a row for this file now. error: why it was rejected; empty after a prediction."""
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
            self._report_once(path, f"cannot be opened ({reason})")
        for path in listing.special:
            self._report_once(path, "is a pipe or a device, and no file")
        for path in listing.folders:
            self._report_once(path, "is a sub-folder, which is not looked into; --recursive does")
        now = time.monotonic()
        found: dict[str, ArrivingFile] = {}
        for path in (*listing.pictures, *listing.others):
            if path.name.endswith(PARTIAL_ENDINGS):
                continue
            try:
                inside, status = path.relative_to(self._folder), path.stat()
                name, state = shown_name(inside.as_posix()), FileState.of(status)
                if self._done.get(name) != state or self._may_be_usable_now(name, status.st_ctime_ns):
                    folder = "" if inside.name == str(inside) else str(inside.parent)
                    found[name] = self._with_history(name, ArrivingFile(path, folder, state, status.st_ctime_ns, now))
            except FileNotFoundError:  # Removed between the listing and now.
                continue
            except OSError as problem:
                self._report_once(path, f"cannot be read ({problem.strerror})")
        self._waiting = found

    def _may_be_usable_now(self, name: str, changed_ns: int) -> bool:
        """Whether a file was rejected and something was done to it since, such as a permission to read it."""
        return name in self._rejected and self._rejected[name] != changed_ns

    def _report_once(self, path: Path, what: str) -> None:
        if path not in self._reported:
            self._reported.add(path)
            self._on_problem(in_one_line(f"{path}: {what}"))

    def _with_history(self, name: str, file: ArrivingFile) -> ArrivingFile:
        """The file with its number of looks, where it was seen before and has not changed since."""
        before = self._waiting.get(name)
        if before is None or before.state != file.state:
            return file
        before.looks += 1
        return before

    def _is_gone(self, listing: Listing) -> bool:
        """Whether the watched folder itself cannot be opened; reported once, and once when it is back."""
        gone = next((reason for path, reason in listing.unreadable if path == self._folder), "")
        if gone and not self._gone:
            self._on_problem(f"{self._folder}: cannot be opened ({gone}); waiting for it to come back")
        if self._gone and not gone:
            self._on_problem(f"{self._folder}: is back")
        self._gone = bool(gone)
        return self._gone


def _sleep(seconds: float, stop: Callable[[], bool]) -> None:
    """Sleep in short pieces, so that `stop` is soon noticed."""
    end = time.monotonic() + seconds
    while not stop() and (left := end - time.monotonic()) > 0:
        time.sleep(min(left, 0.2))
