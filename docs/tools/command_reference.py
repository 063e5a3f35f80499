"""Write docs/reference/command-line.md from the `--help` of every command.

    python docs/tools/command_reference.py

`make docs` runs it, and a test compares the page with the code.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import redirect_stdout, suppress
from importlib import import_module
from pathlib import Path

from edgebrain.cli import COMMANDS, GROUPS, main
from edgebrain.runtime.__main__ import main as device_main

PAGE = Path(__file__).parents[1] / "reference" / "command-line.md"
DEVICE_COMMANDS = ("predict", "selftest", "bench")
INTRODUCTION = """\
# Command line

What `--help` prints, for every command. This page is written by `docs/tools/command_reference.py`; edit the help texts in
`edgebrain/cli/` instead.

What is the same everywhere:

- **Default run and bundle.** A command without a run or bundle takes the newest finished run, and says on stderr which.
- **`--json FILE`** writes the figures to a file; `--json -` writes them to stdout, and the tables are left out.
- **`--force`** replaces files that exist. Without it nothing of yours is overwritten, and the refusal comes before the work.
- **Exit codes.** 0: done. 1: an error, or some inputs could not be used. 2: wrong usage. 3: a verdict or a check that failed.
- **Errors** are two lines on stderr: what happened and where, then what to do. `edgebrain --debug COMMAND` shows the traceback.
"""
DEVICE = """\
## On a device: `python -m edgebrain.runtime`

The same code without the libraries of the command line, for a device where only the `edge` extra is installed.
"""


def as_markdown() -> str:
    """The whole page."""
    parts = [INTRODUCTION, *(_section(f"edgebrain {words}", _help(words)) for words in command_words()), DEVICE]
    parts += [_section(f"python -m edgebrain.runtime {name}", _device_help(name), level=3) for name in DEVICE_COMMANDS]
    return "\n".join(parts)


def command_words() -> Iterator[str]:
    """Every command as it is typed after `edgebrain`: "train", "data summary", ..."""
    for name in COMMANDS:
        if name not in GROUPS:
            yield name
            continue
        for command in import_module(f"edgebrain.cli.{name}").app.registered_commands:
            yield f"{name} {command.name or command.callback.__name__}"


def _section(title: str, text: str, level: int = 2) -> str:
    return f"{'#' * level} `{title}`\n\n```text\n{text.strip()}\n```\n"


def _help(words: str) -> str:
    return _printed(main, [*words.split(), "--help"])


def _device_help(name: str) -> str:
    return _printed(device_main, [name, "--help"])


def _printed(program: object, arguments: list[str]) -> str:
    """What a program prints on stdout before it exits, 80 columns wide."""
    assert callable(program)
    os.environ["COLUMNS"] = "80"
    with redirect_stdout(io.StringIO()) as stdout, suppress(SystemExit):
        program(arguments)
    return "\n".join(line.rstrip() for line in stdout.getvalue().splitlines())


if __name__ == "__main__":
    PAGE.write_text(as_markdown(), encoding="utf-8")
