"""The table of readers: the built-in ones, and those of installed packages (entry points of `edgebrain.readers`)."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Protocol, cast, runtime_checkable

from edgebrain.data.sample import Record
from edgebrain.errors import BadData, BrokenPlugin
from edgebrain.plugins import find_plugins, load_plugin

READERS = {"brisc": "edgebrain.data.readers.brisc", "phantom": "edgebrain.data.readers.phantom"}
GROUP = "edgebrain.readers"


@runtime_checkable
class Reader(Protocol):
    """One layout of a data folder: a module with these names, or an object.

    Which mask belongs to which picture can be left to `edgebrain.data.pairing.pair_files`, which knows the usual names.
    """

    LAYOUT: str
    """The layout in one line, as messages show it: `images/*.png and masks/*.png`."""

    def recognises(self, path: Path) -> bool:
        """Say whether a folder has this layout.

        Asked of every folder that is opened, so it looks at names only and opens no picture. Built-in readers are asked
        first, then those of packages by name; the first that agrees reads the folder.

        Args:
            path: An existing folder.
        """

    def records(self, path: Path) -> list[Record]:
        """List the slices of a folder, without reading a picture.

        Args:
            path: A folder that `recognises` agreed to.

        Returns:
            The slices in any order, with unique names. `label` is one of `edgebrain.bundle.CLASSES` and `plane` one of
            `edgebrain.data.sample.PLANES`; `folder` (the side: train, val, test) and `group` (the patient) are empty
            where the layout does not give them.

        Raises:
            BadData: What describes the layout, such as a table, is missing or damaged.
        """

    def strays(self, path: Path) -> list[Path]:
        """List picture files of a folder that are neither a slice nor a mask, so that a typo in a name is noticed.

        Args:
            path: A folder that `recognises` agreed to.
        """


def reader_names() -> list[str]:
    """The names of all layouts, in the order in which readers are asked.

    Raises:
        BrokenPlugin: Two packages bring the same name, or one brings a built-in one.
    """
    added = find_plugins(GROUP)
    for name in added:
        if name in READERS:
            raise BrokenPlugin(
                f"{added[name].value}: brings a reader {name!r}, which edgebrain has itself",
                "uninstall that package, or ask its author for another name",
            )
    return [*READERS, *added]


def reader_named(name: str) -> Reader:
    """Import one reader.

    Args:
        name: One of `reader_names()`.

    Raises:
        BrokenPlugin: The package that brings it cannot be imported, or what it names is no reader.
        BadData: No reader has this name: the package that brought it is gone.
    """
    if name in READERS:
        return cast(Reader, import_module(READERS[name]))
    entry = find_plugins(GROUP).get(name)
    if entry is None:
        raise BadData(f"no reader is called {name!r}", f"known: {', '.join(reader_names())}")
    return load_plugin(entry, Reader)  # type: ignore[type-abstract]


def recognised(path: Path) -> tuple[str, Reader] | None:
    """Name and reader of the layout that a folder has; None where no reader knows it."""
    for name in reader_names():
        reader = reader_named(name)
        if reader.recognises(path):
            return name, reader
    return None


def known_layouts() -> str:
    """Every layout that can be read, for messages."""
    return "; ".join(f"{name}: {reader_named(name).LAYOUT}" for name in reader_names())
