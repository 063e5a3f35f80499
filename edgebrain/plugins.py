"""Find and load the plug-ins that installed packages declare as entry points: engines, formats, readers and others.

A plug-in is imported only when it is used.

A package that adds an engine declares, in its pyproject.toml,

    [project.entry-points."edgebrain.engines"]
    toy = "toy_engine:ENGINE"

and `toy` can then be used wherever the name of a built-in engine can. docs/how-to/extending.md lists the groups.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import TypeVar

from edgebrain.errors import BrokenPlugin
from edgebrain.text import in_one_line

T = TypeVar("T")


def find_plugins(group: str) -> dict[str, EntryPoint]:
    """Find the plug-ins of a group.

    Args:
        group: Name of the entry-point group, such as edgebrain.engines.

    Returns:
        Name of each plug-in -> its entry point, sorted by name.

    Raises:
        BrokenPlugin: Two packages declare the same name.
    """
    found: dict[str, EntryPoint] = {}
    for entry in sorted(entry_points(group=group), key=lambda entry: entry.name):
        # The same distribution can be found twice: installed, and on sys.path as the current directory.
        if entry.name in found and found[entry.name].value != entry.value:
            raise BrokenPlugin(
                f"{_package(found[entry.name])} and {_package(entry)} both declare {entry.name!r} in the group {group}",
                "uninstall one of them",
            )
        found[entry.name] = entry
    return found


def load_plugin(entry: EntryPoint, expected_type: type[T]) -> T:
    """Import and return the object that an entry point refers to.

    Args:
        entry: The entry point.
        expected_type: The type that the group asks for.

    Raises:
        BrokenPlugin: It cannot be imported, or is of another type.
    """
    try:
        loaded = entry.load()
    except Exception as problem:  # Third-party code can raise anything when it is imported.
        reason = in_one_line(str(problem)) or type(problem).__name__
        raise BrokenPlugin(
            f"{_package(entry)}: {entry.value} ({entry.group}) cannot be loaded ({reason})",
            "update or uninstall that package",
        ) from problem
    if not isinstance(loaded, expected_type):
        raise BrokenPlugin(
            f"{_package(entry)}: {entry.value} ({entry.group}) is {type(loaded).__name__}, "
            f"not {expected_type.__name__}",
            f"declare an object of type {expected_type.__name__}, see docs/how-to/extending.md",
        )
    return loaded


def _package(entry: EntryPoint) -> str:
    """The name of the package; of an entry point that was built by hand, which has none, that of its module."""
    return entry.dist.name if entry.dist is not None else entry.module
