"""Which files of a folder count: used by every command that takes a folder.

Taken are regular files, at or below the folder. Left out are hidden files and folders (a leading dot) and what
edgebrain itself wrote: masks and overlays next to their `results.csv`, rejected copies, curves. Links are followed, and
what they lead to is listed once. A folder that cannot be opened is named.

Entries of `os.scandir` and strings in here, not `Path`: an entry knows its type without asking the disk again.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath

from edgebrain.runtime.results_file import MODEL, REJECTED, RESULTS, output_files

# Endings of the pictures that can be read, in lower case.
PICTURES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".tif", ".tiff")
# Pictures that commands write next to a file of this name.
WRITTEN_BESIDE = {"run.json": {"curves.png"}, "evaluation.json": {"confusion.png"}}


def is_picture(name: str) -> bool:
    """Whether a file's name ends like a picture's, in any case."""
    return PurePath(name).suffix.lower() in PICTURES


@dataclass(frozen=True)
class Listing:
    """What lies in a folder.

    Attributes:
        pictures: Files whose names end like a picture's, sorted.
        others: All other files, sorted.
        own: How many files edgebrain wrote itself; they are in neither list.
        unreadable: Folders and links that could not be followed, each with the reason.
        folders: Sub-folders that were not searched.
        special: Pipes, sockets and devices.
    """

    pictures: tuple[Path, ...]
    others: tuple[Path, ...]
    own: int
    unreadable: tuple[tuple[Path, str], ...]
    folders: tuple[Path, ...] = ()
    special: tuple[Path, ...] = ()

    @property
    def other(self) -> Mapping[str, int]:
        """Ending -> number of the other files, the most frequent first."""
        endings = Counter(path.suffix.lower() or "no ending" for path in self.others)
        endings.update(["pipe or device"] * len(self.special))
        return dict(endings.most_common())


def list_files(root: Path, recursive: bool = True) -> Listing:
    """List the files at or below a folder.

    Args:
        root: The folder; where it cannot be opened, it is itself in `unreadable`.
        recursive: Search sub-folders too.
    """
    walk = _Walk(root, recursive)
    pictures, others, folders, special = map(_sorted, (walk.pictures, walk.others, walk.folders, walk.special))
    return Listing(pictures, others, walk.own, tuple(sorted(walk.unreadable)), folders, special)


def left_out(other: Mapping[str, int]) -> str:
    """The other files in words, such as `3 other files left out (.dcm 2, .txt 1)`; empty where there are none."""
    total = sum(other.values())
    if not total:
        return ""
    kinds = ", ".join(f"{ending} {count}" for ending, count in other.items())
    return f"{total} other file{'s' * (total != 1)} left out ({kinds})"


def _sorted(paths: list[str]) -> tuple[Path, ...]:
    """Folder by folder, as `Path` sorts."""
    return tuple(Path(path) for path in sorted(paths, key=lambda path: path.split(os.sep)))


class _Walk:
    """One walk through a folder. Links come last, so that a file is listed under its own name if it has one here."""

    def __init__(self, root: Path, recursive: bool) -> None:
        self.pictures: list[str] = []
        self.others: list[str] = []
        self.folders: list[str] = []
        self.special: list[str] = []
        self.unreadable: list[tuple[Path, str]] = []
        self.own = 0
        self._recursive = recursive
        self._links: list[os.DirEntry[str]] = []
        self._visited: set[tuple[int, int]] = set()
        self._listed: set[str] = set()
        self._written: dict[str, set[str]] = {}
        for above in root.resolve().parents:
            self._read_results(str(above))
        self._visit(str(root))
        while self._links:
            links, self._links = sorted(self._links, key=lambda link: link.path), []
            for link in links:
                self._follow(link)

    def _visit(self, folder: str) -> None:
        """This folder and those below it; links are kept for later."""
        waiting = [folder]
        while waiting:
            one = waiting.pop()
            try:
                state = os.stat(one)
                with os.scandir(one) as scanned:
                    entries = list(scanned)
            except OSError as problem:
                self.unreadable.append((Path(one), problem.strerror or str(problem)))
                continue
            if (state.st_dev, state.st_ino) in self._visited:
                continue
            self._visited.add((state.st_dev, state.st_ino))
            waiting += self._look(os.path.realpath(one), entries)

    def _look(self, real: str, entries: list[os.DirEntry[str]]) -> Iterator[str]:
        """Take the files of a folder. real: its path without links. Yields its sub-folders."""
        names = {entry.name for entry in entries}
        if RESULTS in names:
            self._read_results(real)
        own = self._written.get(real, set()) | {
            name for marker, written in WRITTEN_BESIDE.items() if marker in names for name in written
        }
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_symlink():
                self._links.append(entry)
            elif entry.is_dir():
                if self._recursive:
                    yield entry.path
                else:
                    self.folders.append(entry.path)
            elif self._is_own(real, entry.name, own, names):
                self.own += 1
            else:
                self._take(entry.path, os.path.join(real, entry.name), entry.is_file())

    def _take(self, path: str, real: str, regular: bool) -> None:
        if real not in self._listed:
            self._listed.add(real)
            # A pipe or a device is no file that could be read to its end.
            kind = self.special if not regular else self.pictures if is_picture(path) else self.others
            kind.append(path)

    def _follow(self, link: os.DirEntry[str]) -> None:
        try:
            folder, regular = link.is_dir(), link.is_file()
            real = os.path.realpath(link.path, strict=True)
        except OSError as problem:
            self.unreadable.append((Path(link.path), f"a link that leads nowhere: {problem.strerror or problem}"))
            return
        if not folder:
            self._take(link.path, real, regular)
        elif self._recursive:
            self._visit(link.path)
        else:
            self.folders.append(link.path)

    def _read_results(self, folder: str) -> None:
        """Note the masks and overlays that a `results.csv` of ours names."""
        files = output_files(Path(folder, RESULTS))
        if files is None:
            return
        self._written.setdefault(folder, set()).update((RESULTS, MODEL))
        for file in files:
            inside, name = os.path.split(os.path.normpath(os.path.join(folder, file)))
            self._written.setdefault(inside, set()).add(name)

    def _is_own(self, real: str, name: str, own: set[str], neighbours: set[str]) -> bool:
        """Whether edgebrain wrote a file."""
        if name in own:
            return True
        return self._in_rejected(real) and (f"{name}.txt" in neighbours or name.removesuffix(".txt") in neighbours)

    def _in_rejected(self, folder: str) -> bool:
        """Whether a folder is, or lies below, one for rejected files next to a table that edgebrain wrote."""
        while folder != os.path.dirname(folder):
            folder, name = os.path.split(folder)
            if name == REJECTED and folder in self._written:
                return True
        return False
