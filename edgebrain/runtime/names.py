"""How the files that belong to a picture are called: after it, in its sub-folder, never two alike."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import PurePath
from unicodedata import normalize

from edgebrain.files import sha256_bytes

# File systems take names of 255 bytes; `_overlay.png` and a number are added to these.
LONGEST_STEM = 230
HASH_DIGITS = 8


class OutputNames:
    """Gives out names; each once, also where a file system does not tell A from a."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        """taken: names given out before, in another run."""
        self._taken = {_key(name) for name in taken}
        self._numbers: dict[str, int] = {}

    def name(self, folder: str, picture: str) -> str:
        """A name, without ending, for what belongs to a picture.

        Its stem, or where another picture has that the whole file name, or a number too. A name that would be too long
        is cut, and a hash of the whole takes the place of the rest.

        Args: folder: sub-folder of the output, empty for none. picture: the file's name.
        """
        for wished in (PurePath(picture).stem, picture):
            if self._take(choice := str(PurePath(folder, short_name(wished)))):
                return choice
        return self._with_number(str(PurePath(folder, short_name(picture))))

    def whole_name(self, folder: str, picture: str) -> str:
        """As `name`, but always the whole file name, so that it can be told without knowing the other pictures."""
        choice = str(PurePath(folder, short_name(picture)))
        return choice if self._take(choice) else self._with_number(choice)

    def give_back(self, name: str) -> None:
        """Nothing was written under this name: it can be given out again."""
        self._taken.discard(_key(name))

    def _with_number(self, wished: str) -> str:
        # Counted on for each name: looking for a free number from the start takes ages for thousands of equal names.
        number = self._numbers.get(_key(wished), 2)
        while not self._take(f"{wished}-{number}"):
            number += 1
        self._numbers[_key(wished)] = number
        return f"{wished}-{number}"

    def _take(self, name: str) -> bool:
        key = _key(name)
        if key in self._taken:
            return False
        self._taken.add(key)
        return True


def _key(name: str) -> str:
    return normalize("NFC", name).casefold()


def short_name(name: str) -> str:
    """A file's name, cut where something that is added to it would not fit a file system any more."""
    raw = os.fsencode(name)
    if len(raw) <= LONGEST_STEM:
        return name
    start = raw[: LONGEST_STEM - HASH_DIGITS - 1].decode(errors="ignore")
    return f"{start}~{sha256_bytes(raw)[:HASH_DIGITS]}"
