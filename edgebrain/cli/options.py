"""Options that mean the same in every command, and what all commands do with them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

STDOUT = Path("-")

JsonFile = Annotated[Path | None, typer.Option("--json", help="Write the figures as JSON to this file; - for stdout.")]
Force = Annotated[bool, typer.Option("--force", help="Replace existing files.")]
Data = Annotated[Path | None, typer.Option("--data", help="Data folder; default: the run's.")]
Threads = Annotated[int, typer.Option("--threads", min=1, help="CPU threads of the interpreter.")]
Engine = Annotated[
    str | None, typer.Option("--engine", help="Interpreter; default: the first installed one that reads the bundle.")
]
AllowRejected = Annotated[
    bool, typer.Option("--allow-rejected", help="Continue even if a class or a tenth of the masks cannot be used.")
]


def refuse_early(json_file: Path | None, force: bool) -> None:
    """Raises CannotWrite, before any work: the file that --json names is there, and --force is not given."""
    from edgebrain.files import refuse_to_overwrite

    if json_file is not None and json_file != STDOUT:
        refuse_to_overwrite(json_file, force)


def write_json_file(found: Any, json_file: Path | None) -> None:
    """Write what --json asks for: a file, or stdout."""
    from edgebrain.files import canonical_json, write_json

    if json_file == STDOUT:
        print(canonical_json(found), end="")
    elif json_file is not None:
        write_json(json_file, found)


def say_default(what: str, named: Path | None, chosen: Path) -> None:
    """Say on stderr what was chosen, where it is not what was named."""
    from edgebrain.text import in_one_line

    if named != chosen:
        print(in_one_line(f"{what}: {chosen}"), file=sys.stderr)
