"""Arguments of the public API: paths in any of their types, and a TypeError that names the argument otherwise."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

AnyPath = str | os.PathLike[str]


def as_path(value: AnyPath, argument: str) -> Path:
    """The argument as Path.

    Raises:
        TypeError: It is no path.
    """
    if isinstance(value, Path):
        return value
    if isinstance(value, str) or (isinstance(value, os.PathLike) and isinstance(os.fspath(value), str)):
        return Path(value)
    raise TypeError(f"{argument}: expected a path (str or os.PathLike), got {type(value).__name__}")


def optional_path(value: AnyPath | None, argument: str) -> Path | None:
    """The argument as Path; None stays None.

    Raises:
        TypeError: It is neither.
    """
    return None if value is None else as_path(value, argument)


def as_paths(value: AnyPath | Iterable[AnyPath] | None, argument: str) -> list[Path]:
    """The argument, one path or several, as a list; empty for None.

    Raises:
        TypeError: One of them is no path.
    """
    if value is None:
        return []
    if isinstance(value, (str, os.PathLike)) or not isinstance(value, Iterable):
        return [as_path(value, argument)]
    return [as_path(one, argument) for one in value]


def as_names(value: str | Iterable[str] | None, argument: str) -> list[str]:
    """The argument, one name or several, as a list; empty for None.

    Raises:
        TypeError: One of them is no text.
    """
    names = [value] if isinstance(value, str) else list(value or ())
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"{argument}: expected a str, got {type(name).__name__}")
    return names


def check_count(value: int, argument: str) -> None:
    """Raises TypeError: the argument is no whole number. ValueError: It is less than 1."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{argument}: expected an int, got {type(value).__name__}")
    if value < 1:
        raise ValueError(f"{argument}: must be at least 1, not {value}")
