"""Who may be overwritten: a report of ours, never a person's file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from edgebrain.errors import CannotWrite
from edgebrain.reporting.schema import GENERATOR

# How each format begins. The model card is not among them: a person fills in what it leaves empty.
SIGNATURES = (
    f'<meta name="generator" content="{GENERATOR} ',
    f'{{\n "generator": "{GENERATOR}"',
    f"<!-- {GENERATOR} ",
    f'<testsuites name="{GENERATOR}"',
    f"MLPerf's fields, as {GENERATOR} gives them",
)
SIGNED_WITHIN = 256


def refuse_unless_ours(paths: Iterable[Path], force: bool) -> None:
    """Raises CannotWrite: a file is in the way that may hold a person's work, and `force` is not given."""
    for path in paths:
        if not force and path.exists() and not _is_ours(path):
            raise CannotWrite(
                f"{path}: already exists, and may hold what a person wrote", "choose another name, or pass --force"
            )


def _is_ours(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        start = stream.read(SIGNED_WITHIN)
    return any(signature.encode() in start for signature in SIGNATURES)
