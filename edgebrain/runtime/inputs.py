"""The files that `predict` is given: pictures as named, and those in the folders named, each once."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgebrain.errors import BadImage
from edgebrain.runtime.listing import PICTURES, left_out, list_files
from edgebrain.text import shown_name


@dataclass(frozen=True)
class PictureFile:
    """A file to predict.

    Attributes:
        path: Where it lies.
        folder: Its sub-folder below the folder that was named; empty for none.
    """

    path: Path
    folder: str = ""

    @property
    def name(self) -> str:
        """As tables and messages call it."""
        return shown_name(str(self.path))


@dataclass
class FoundPictures:
    """What the files and folders that were named hold.

    Attributes:
        pictures: The files to predict, in order.
        unusable: Name and error of each folder that holds no picture or cannot be opened.
        other: Ending -> number of files left out.
        own: Number of files left out because edgebrain wrote them.
    """

    pictures: list[PictureFile] = field(default_factory=list)
    unusable: list[tuple[str, BadImage]] = field(default_factory=list)
    other: Counter[str] = field(default_factory=Counter)
    own: int = 0

    def left_out(self) -> list[str]:
        """What was left out, a line each."""
        own = f"{self.own} of edgebrain's own outputs left out" if self.own else ""
        return [line for line in (own, left_out(self.other)) if line]


def find_inputs(inputs: Sequence[Path]) -> FoundPictures:
    """The files as given, and what `list_files` finds at or below the folders given; each once."""
    found, known = FoundPictures(), set()
    # Several paths may lead to one file, so that links are followed; a single path needs no look at the disk.
    key = os.path.realpath if len(inputs) > 1 else str
    for path in dict.fromkeys(inputs):
        if key(path) in known:
            continue
        known.add(key(path))
        if not path.is_dir():
            found.pictures.append(PictureFile(path))
            continue
        for picture in _below(path, found):
            if key(picture.path) not in known:
                known.add(key(picture.path))
                found.pictures.append(picture)
    return found


def find_pictures(inputs: Sequence[Path]) -> list[Path]:
    """The paths of `find_inputs`.

    Raises:
        BadImage: There is none, or a folder cannot be opened.
    """
    found = find_inputs(inputs)
    if found.unusable:
        raise found.unusable[0][1]
    return [picture.path for picture in found.pictures]


def _below(root: Path, found: FoundPictures) -> list[PictureFile]:
    """The pictures at or below a folder; what else is there is counted in `found`."""
    listing = list_files(root)
    found.other.update(listing.other)
    found.own += listing.own
    for path, reason in listing.unreadable:
        problem = BadImage(f"{path}: cannot be opened ({reason})", "check its permissions")
        found.unusable.append((shown_name(str(path)), problem))
    if not listing.pictures and not listing.unreadable:
        others = f" ({text})" if (text := left_out(listing.other)) else ""
        problem = BadImage(f"{root}: holds no picture{others}", f"pass a folder with {', '.join(PICTURES)} files")
        found.unusable.append((shown_name(str(root)), problem))
    return [PictureFile(path, _folder(path, root)) for path in listing.pictures]


def _folder(path: Path, root: Path) -> str:
    inside = path.parent.relative_to(root)
    return "" if inside == Path() else str(inside)
