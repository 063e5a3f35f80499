"""What `edgebrain deploy` found and made, for the terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

from edgebrain.reporting.terminal import print_table

COMMANDS = ("curl ", "echo ", "sudo ", "  ")


def print_deployment(found: Mapping[str, Any]) -> None:
    """Print the table of parts or operators, and what follows from it."""
    print_table(_title(found), found["table"]["heads"], found["table"]["rows"])
    _print_lines(found["lines"])
    if "deployed" in found:
        _print_lines(found["deployed"]["lines"])


def _title(found: Mapping[str, Any]) -> str:
    if "machine" in found:
        return f"{found['target']}: {found['machine']}, Python {found['python']}"
    return f"{found['bundle']} on {found['target']}"


def _print_lines(lines: Iterable[str]) -> None:
    """Wrapped at 80 columns; a command that is to be copied stays on one line."""
    for line in lines:
        command = line.startswith(COMMANDS)
        print(line if command else textwrap.fill(line, 80, subsequent_indent="  ", break_long_words=False))
