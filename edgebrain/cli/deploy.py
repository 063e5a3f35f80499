"""`edgebrain deploy`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

# Target -> the module that knows it: check(bundle) says what would run there, deploy(bundle, out, force) prepares it.
TARGETS = {"coral": "edgebrain.coral.deploy"}
# Targets that get an offline kit, as in `kit.build.MACHINES`.
KITS = ("pi", "laptop", "container")


def deploy(
    bundle: Annotated[Path | None, typer.Argument(help="Bundle; the newest run's int8 TFLite when left out.")] = None,
    target: Annotated[str, typer.Option(help=f"Where to: {', '.join((*TARGETS, *KITS))}.")] = "coral",
    check: Annotated[bool, typer.Option("--check", help="Only say what would run there; write nothing.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder of the result, or kit.tar; else beside the bundle.")] = None,
    python: Annotated[str | None, typer.Option(help="Kits: the device's Python; 3.13, or 3.11 for Debian 12.")] = None,
    slices: Annotated[
        Path | None, typer.Option(help="Kits: folder of self-test slices, which travel along; else phantoms.")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the findings there; - for stdout.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a result that is there.")] = False,
) -> None:
    """Prepare a bundle for a device: pi, laptop and container get a kit that installs offline; coral is compiled.

    With coral, --check says operator by operator what would run there; exit code 3 if something falls back to the CPU.

    Example: edgebrain deploy runs/demo-1/bundles/tflite-int8 --target pi --out kit.tar
    """
    from importlib import import_module

    from edgebrain.bundle import open_bundle
    from edgebrain.cli.bundles import chosen_bundle
    from edgebrain.errors import EdgebrainError
    from edgebrain.files import refuse_to_overwrite

    if target not in (*TARGETS, *KITS):
        raise EdgebrainError(f"target {target!r} is not known", f"use --target {' or '.join((*TARGETS, *KITS))}")
    if target not in KITS and (python or slices):
        raise EdgebrainError(f"--python and --slices do not go with --target {target}", "they are for kits")
    if json_file is not None and json_file != Path("-"):
        refuse_to_overwrite(json_file, force)
    folder = chosen_bundle(bundle)
    opened = open_bundle(folder)
    if target in KITS:
        from edgebrain.cli.kit import deploy_kit

        _hand_out(deploy_kit(opened, target, python, slices, out, check, force, json_file != Path("-")), json_file)
        return
    place = import_module(TARGETS[target])
    found = place.check(opened)
    if json_file != Path("-"):
        show_findings(found)
    if not check:
        found["deployed"] = place.deploy(opened, out, force)
    _hand_out(found, json_file)
    if found.get("deployed", found)["failed"]:
        raise typer.Exit(3)


def show_findings(found: dict[str, Any]) -> None:
    """Print the table of operators and what follows from it."""
    from edgebrain.reporting.terminal import print_table

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
