"""The slices of a bench as a worker finds them: files, and a list of their names and hashes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count, groupby
from pathlib import Path

from edgebrain.data.sample import read
from edgebrain.files import sha256_bytes

LISTING = "slices.json"


@dataclass(frozen=True)
class Slice:
    """A picture's file on this machine.

    Attributes:
        name: How errors call it.
        path: Its path.
        sha256: SHA-256 of its bytes.
    """

    name: str
    path: Path
    sha256: str

    @classmethod
    def of(cls, path: Path, name: str = "") -> Slice:
        """The slice in a file, under its own name or another.

        Raises:
            BadImage: The file cannot be read.
        """
        return cls(name or path.name, path, sha256_bytes(read(path)))


def listing(slices: Sequence[Slice], files: Iterable[str]) -> bytes:
    """The list that a worker holds.

    Args:
        slices: The slices.
        files: Their files: absolute paths, or paths from the folder of the list.
    """
    entries = [{"name": one.name, "file": file, "sha256": one.sha256} for one, file in zip(slices, files, strict=True)]
    return json.dumps(entries, separators=(",", ":")).encode()


def write_listing(folder: Path, slices: Sequence[Slice]) -> Path:
    """Write the list of slices on this machine into a folder; the files stay where they are."""
    path = folder / LISTING
    path.write_bytes(listing(slices, [str(one.path.resolve()) for one in slices]))
    return path


def ranges(indices: Sequence[int]) -> list[list[int]]:
    """The same indices as half-open ranges: [3, 4, 5, 9] is [[3, 6], [9, 10]]."""
    counter = count()
    runs = [list(run) for _, run in groupby(indices, key=lambda index: index - next(counter))]
    return [[run[0], run[-1] + 1] for run in runs]
