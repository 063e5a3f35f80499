"""What installed packages add to edgebrain's tables, by entry points; nothing is imported before it is used.

A package that adds an engine declares, in its pyproject.toml,

    [project.entry-points."edgebrain.engines"]
    toy = "toy_engine:ENGINE"

and the name `toy` stands beside the built-in ones everywhere. The groups are in docs/extending.md.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import TypeVar

from edgebrain.errors import BrokenPlugin
from edgebrain.text import in_one_line

T = TypeVar("T")


def plugins(group: str) -> dict[str, EntryPoint]:
    """Name -> entry point of a group, sorted by name. Raises BrokenPlugin: two packages bring the same name."""
    found: dict[str, EntryPoint] = {}
    for entry in sorted(entry_points(group=group), key=lambda entry: entry.name):
        # The same distribution can be found twice, installed and in the working folder.
        if entry.name in found and found[entry.name].value != entry.value:
            raise BrokenPlugin(
                f"{_package(found[entry.name])} and {_package(entry)} both bring {entry.name!r} ({group})",
                "uninstall one of them",
            )
        found[entry.name] = entry
    return found


def load_plugin(entry: EntryPoint, kind: type[T]) -> T:
    """What an entry point names. Raises BrokenPlugin: it cannot be imported, or is not of this kind."""
    try:
        loaded = entry.load()
    except Exception as problem:  # A stranger's code may raise anything while it is imported.
        reason = in_one_line(str(problem)) or type(problem).__name__
        raise BrokenPlugin(
            f"{_package(entry)}: {entry.value} ({entry.group}) cannot be loaded ({reason})",
            "update or uninstall that package",
        ) from problem
    if not isinstance(loaded, kind):
        raise BrokenPlugin(
            f"{_package(entry)}: {entry.value} ({entry.group}) is {type(loaded).__name__}, not {kind.__name__}",
            "see docs/extending.md",
        )
    return loaded


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist is not None else entry.module
