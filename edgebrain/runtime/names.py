"""Names of the mask and overlay of a picture: after it, in its sub-folder, no two alike."""

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
    """Gives out names; each once, also where a file system takes A and a for the same. All are printable."""

    def __init__(self, taken: Iterable[str] = (), is_free: Callable[[str], bool] = lambda name: True) -> None:
        """Begin with the names of an earlier run.

        Args:
            taken: Names that are in use.
            is_free: Whether a name may be used; says no where a file that edgebrain did not write has it.
        """
        self._taken = {_key(name) for name in taken}
        self._is_free = is_free
        self._numbers: dict[str, int] = {}

    def name(self, folder: str, picture: str) -> str:
        """A name, without ending, for what belongs to a picture.

        Its stem; where another picture has that, the whole file name; where that is taken too, with a number. A name
        that would be too long is cut, and ends with a hash of the whole.

        Args:
            folder: Sub-folder of the output; empty for none.
            picture: The file's name.
        """
        for wanted in (PurePath(picture).stem, picture):
            if self._take(choice := _inside(folder, wanted)):
                return choice
        return self._with_number(_inside(folder, picture))

    def whole_name(self, folder: str, picture: str) -> str:
        """As `name`, but always the whole file name, so that it does not depend on which pictures came before."""
        choice = _inside(folder, picture)
        return choice if self._take(choice) else self._with_number(choice)

    def give_back(self, name: str) -> None:
        """Make a name available again, under which nothing was written."""
        self._taken.discard(_key(name))

    def _with_number(self, wanted: str) -> str:
        # Counted on for each name: counting from 2 each time takes quadratic time for thousands of equal names.
        number = self._numbers.get(_key(wanted), 2)
        while not self._take(f"{wanted}-{number}"):
            number += 1
        self._numbers[_key(wanted)] = number
        return f"{wanted}-{number}"

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
