"""`edgebrain deploy`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

# Target -> the module that knows it: check(bundle) says what would run there, deploy(bundle, out, force) prepares it.
TARGETS = {"coral": "edgebrain.coral.deploy"}


def deploy(
    bundle: Annotated[Path | None, typer.Argument(help="Bundle; the newest run's int8 TFLite when left out.")] = None,
    target: Annotated[str, typer.Option(help=f"Where to: {', '.join(TARGETS)}.")] = "coral",
    check: Annotated[bool, typer.Option("--check", help="Only say what would run there; write nothing.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder of the result; else beside the bundle.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the findings there; - for stdout.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a result that is there.")] = False,
) -> None:
    """Prepare a bundle for a device, or check operator by operator what would run there.

    Exit code 3 if something falls back to the CPU.

    Example: edgebrain deploy runs/demo-1/bundles/tflite-int8 --target coral --check
    """
    from importlib import import_module

    from edgebrain.bundle import open_bundle
    from edgebrain.errors import EdgebrainError
    from edgebrain.files import refuse_to_overwrite
    from edgebrain.runs import newest_run

    if target not in TARGETS:
        raise EdgebrainError(f"target {target!r} is not known", f"use --target {' or '.join(TARGETS)}")
    if json_file is not None and json_file != Path("-"):
        refuse_to_overwrite(json_file, force)
    folder = bundle or newest_run() / "bundles" / "tflite-int8"
    if bundle is None:
        print(f"bundle: {folder}", file=sys.stderr)
    opened, place = open_bundle(folder), import_module(TARGETS[target])
    found = place.check(opened)
    if json_file != Path("-"):
        _show(found)
    if not check:
        found["deployed"] = place.deploy(opened, out, force)
    _hand_out(found, json_file)
    if found.get("deployed", found)["failed"]:
        raise typer.Exit(3)


def _show(found: dict[str, Any]) -> None:
    from edgebrain.report.table import print_table

    print_table(f"{found['bundle']} on {found['target']}", found["table"]["heads"], found["table"]["rows"])
    _print_lines(found["lines"])


def _print_lines(lines: list[str]) -> None:
    """Wrapped at 80 columns; a command that is to be copied stays on one line."""
    import textwrap

    for line in lines:
        command = line.startswith(("curl ", "echo ", "sudo "))
        print(line if command else textwrap.fill(line, 80, subsequent_indent="  ", break_long_words=False))


def _hand_out(found: dict[str, Any], json_file: Path | None) -> None:
    """What was prepared, in words, and everything as JSON where that was asked for."""
    from edgebrain.files import canonical_json, write_json

    if json_file == Path("-"):
        print(canonical_json(found), end="")
        return
    if "deployed" in found:
        _print_lines(found["deployed"]["lines"])
    if json_file is not None:
        write_json(json_file, found)
