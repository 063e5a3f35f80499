"""How the files that belong to a picture are called: after it, in its sub-folder, never two alike."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import PurePath
from unicodedata import normalize

from edgebrain.files import sha256_bytes
from edgebrain.text import shown_name

# File systems take names of 255 bytes; `_overlay.png` and a number are added to these.
LONGEST_STEM = 230
HASH_DIGITS = 8


class OutputNames:
    """Gives out names; each once, also where a file system does not tell A from a. All are printable."""

    def __init__(self, taken: Iterable[str] = (), is_free: Callable[[str], bool] = lambda name: True) -> None:
        """taken: names given out before, in another run. is_free: whether nothing of somebody else's has a name."""
        self._taken = {_key(name) for name in taken}
        self._is_free = is_free
        self._numbers: dict[str, int] = {}

    def name(self, folder: str, picture: str) -> str:
        """A name, without ending, for what belongs to a picture.

        Its stem, or where another picture has that the whole file name, or a number too. A name that would be too long
        is cut, and a hash of the whole takes the place of the rest.

        Args:
            folder: Sub-folder of the output, empty for none.
            picture: The file's name.
        """
        for wished in (PurePath(picture).stem, picture):
            if self._take(choice := _inside(folder, wished)):
                return choice
        return self._with_number(_inside(folder, picture))

    def whole_name(self, folder: str, picture: str) -> str:
        """As `name`, but always the whole file name, so that it can be told without knowing the other pictures."""
        choice = _inside(folder, picture)
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
        if key in self._taken or not self._is_free(name):
            return False
        self._taken.add(key)
        return True


def _key(name: str) -> str:
    return normalize("NFC", name).casefold()


def _inside(folder: str, name: str) -> str:
    return str(PurePath(*map(short_name, PurePath(folder).parts), short_name(name)))


def short_name(name: str) -> str:
    """A file's name, printable, and cut where what is added to it would not fit a file system any more."""
    shown = shown_name(name)
    raw = shown.encode()
    if len(raw) <= LONGEST_STEM:
        return shown
    start = raw[: LONGEST_STEM - HASH_DIGITS - 1].decode(errors="ignore")
    return f"{start}~{sha256_bytes(os.fsencode(name))[:HASH_DIGITS]}"
