"""`edgebrain explain`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def explain(
    bundle: Annotated[
        Path | None, typer.Argument(help="INT8 bundle; the newest run's TFLite one when left out.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="The run's data, where it has moved.")] = None,
    slices: Annotated[int, typer.Option(min=8, help="Validation slices to look at, at most.")] = 200,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures there too; - for stdout.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file that --json names.")] = False,
) -> None:
    """Say which layer of an INT8 bundle adds the noise, costs the time, and would give Dice back in float.

    Example: edgebrain explain runs/demo-1/bundles/tflite-int8
    """
    from edgebrain.bundle import open_bundle
    from edgebrain.cli.bundles import chosen_bundle
    from edgebrain.cli.keras_backend import import_keras
    from edgebrain.cli.progress import Bars
    from edgebrain.cli.sources import open_run_data
    from edgebrain.errors import BadRun
    from edgebrain.files import canonical_json, claim_file, refuse_to_overwrite, write_json
    from edgebrain.reporting.terminal import show_layers
    from edgebrain.runs import read_run, run_of

    if json_file is not None and json_file != Path("-"):
        refuse_to_overwrite(json_file, force)
    folder = chosen_bundle(bundle)
    opened = open_bundle(folder)
    run = run_of(folder)
    if run is None:
        raise BadRun(
            f"{folder}: lies in no run, and explaining needs its float parent and validation slices",
            "name the bundle where `edgebrain quantize` wrote it",
        )
    entry = read_run(run)
    import_keras("explaining", backend="tensorflow")
    from edgebrain.compression.run_inputs import open_run
    from edgebrain.compression.sensitivity import explain as look

    with Bars() as bars:
        dataset = open_run_data(entry, data)
        source = open_run(run, dataset, entry["data"]["groups"], entry["data"]["sha256"], bars.show)
        found = look(source, opened, slices, bars.show)
    if json_file == Path("-"):
        print(canonical_json(found), end="")
    else:
        show_layers(found)
    kept = claim_file(run / "explain" / f"{folder.name}.json")
    write_json(kept, found)
    print(f"figures: {kept}", file=sys.stderr)
    if json_file is not None and json_file != Path("-"):
        write_json(json_file, found)
