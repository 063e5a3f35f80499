"""Who may be overwritten: a report of ours, never a person's file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from edgebrain.errors import CannotWrite
from edgebrain.report.schema import GENERATOR

# Every format says near its start who made it.
SIGNED_WITHIN = 512


def refuse_unless_ours(paths: Iterable[Path], force: bool) -> None:
    """Raises CannotWrite: a file is in the way that `edgebrain report` did not write, and `force` is not given."""
    for path in paths:
        if not force and path.exists() and not _is_ours(path):
            raise CannotWrite(
                f"{path}: already exists and was not written by {GENERATOR}", "choose another name, or pass --force"
            )


def _is_ours(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return GENERATOR.encode() in stream.read(SIGNED_WITHIN)
