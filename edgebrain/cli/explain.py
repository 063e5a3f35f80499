"""`edgebrain explain`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from edgebrain.cli.options import STDOUT, Data, Force, JsonFile, refuse_early, say_default, write_json_file


def explain(
    bundle: Annotated[
        Path | None, typer.Argument(help="INT8 bundle; default: the newest finished run's TFLite bundle.")
    ] = None,
    data: Data = None,
    slices: Annotated[int, typer.Option(min=8, help="Use at most this many validation slices.")] = 200,
    json_file: JsonFile = None,
    force: Force = False,
) -> None:
    """Say which layer of an INT8 bundle adds the noise, costs the time, and would give Dice back in float.

    Example: edgebrain explain runs/demo-1/bundles/tflite-int8
    """
    from edgebrain.api.compression import explain as find_sensitive_layers
    from edgebrain.api.defaults import chosen_bundle
    from edgebrain.cli.progress import Bars
    from edgebrain.reporting.terminal import show_layers

    refuse_early(json_file, force)
    chosen = chosen_bundle(bundle)
    say_default("bundle", bundle, chosen)
    with Bars() as bars:
        explained = find_sensitive_layers(chosen, data=data, slices=slices, progress=bars.show)
    if json_file != STDOUT:
        show_layers(explained.figures)
    print(f"figures: {explained.written}", file=sys.stderr)
    write_json_file(explained.figures, json_file)
