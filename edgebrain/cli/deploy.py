"""`edgebrain deploy`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgebrain.api.deployment import TARGETS
from edgebrain.cli.options import STDOUT, Force, JsonFile, refuse_early, say_default, write_json_file


def deploy(
    bundle: Annotated[
        Path | None, typer.Argument(help="Bundle; default: the newest finished run's INT8 TFLite bundle.")
    ] = None,
    target: Annotated[str, typer.Option(help=f"Device: {', '.join(TARGETS)}.")] = "coral",
    check: Annotated[bool, typer.Option("--check", help="Only report what would run there; write nothing.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the result, or kit.tar; default: next to the bundle.")
    ] = None,
    python: Annotated[str | None, typer.Option(help="Kits: the device's Python: 3.13, or 3.11 for Debian 12.")] = None,
    slices: Annotated[
        Path | None, typer.Option(help="Kits: folder of self-test slices, which go into the kit; default: phantoms.")
    ] = None,
    json_file: JsonFile = None,
    force: Force = False,
) -> None:
    """Prepare a bundle for a device: pi, laptop and container get a kit that installs offline; coral is compiled.

    With coral, --check says operator by operator what would run there; exit code 3 if something falls back to the CPU.

    Example: edgebrain deploy runs/demo-1/bundles/tflite-int8 --target pi --out kit.tar
    """
    from edgebrain.api.defaults import chosen_bundle
    from edgebrain.api.deployment import deploy as prepare
    from edgebrain.cli.deployment_text import print_deployment

    refuse_early(json_file, force)
    chosen = chosen_bundle(bundle)
    say_default("bundle", bundle, chosen)
    found = prepare(chosen, target, check=check, out=out, python=python, slices=slices, force=force)
    if json_file != STDOUT:
        print_deployment(found)
    write_json_file(found, json_file)
    if found["failed"]:
        raise typer.Exit(3)
