"""`edgebrain quantize`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def quantize(
    run: Annotated[Path | None, typer.Argument(help="Run folder; the newest when left out.")] = None,
    int8: Annotated[bool, typer.Option("--int8", help="Full-integer INT8 (the default).")] = False,
    fp16: Annotated[bool, typer.Option("--fp16", help="16-bit floating-point weights.")] = False,
    qat: Annotated[bool, typer.Option("--qat", help="Quantization-aware training first (TFLite).")] = False,
    prune: Annotated[float | None, typer.Option(help="Share of channels to remove first.")] = None,
    keep_float: Annotated[
        str | None, typer.Option(help="Layers that stay float, a,b; auto: the fewest that pass the gate.")
    ] = None,
    recipe: Annotated[str | None, typer.Option(help="A shipped recipe's name or a .toml file.")] = None,
    data: Annotated[Path | None, typer.Option(help="The run's data, where it has moved.")] = None,
    out: Annotated[Path | None, typer.Option(help="Bundle folder; RUN/bundles when left out.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace bundles that are there.")] = False,
    allow_rejected: Annotated[
        bool, typer.Option("--allow-rejected", help="Go on where a class or a tenth of the masks cannot be used.")
    ] = False,
) -> None:
    """Compress a run's model and export it: TFLite, OpenVINO, ONNX.

    Example: edgebrain quantize runs/demo-1 --int8
    """
    from edgebrain.cli.keras_backend import import_keras
    from edgebrain.cli.progress import Bars
    from edgebrain.cli.sources import open_run_data
    from edgebrain.data.rejected import left_out
    from edgebrain.errors import EdgebrainError
    from edgebrain.recipe import check_quantize, load_quantize_recipe, replaced
    from edgebrain.runs import newest_run, read_run

    if sum((int8, fp16, recipe is not None)) > 1 or (fp16 and qat):
        raise typer.BadParameter("choose one of --int8, --fp16 and --recipe; --qat gives int8")
    base = recipe or ("fp16" if fp16 else "int8-qat" if qat else "int8")
    chosen = replaced(load_quantize_recipe(base), "compress", prune=prune, qat=qat or None, keep_float=keep_float)
    check_quantize(chosen, "the options")
    folder = run or newest_run()
    entry = read_run(folder)
    import_keras("quantizing", backend="tensorflow")
    from edgebrain.compression.quantize import quantize as compress
    from edgebrain.compression.run_inputs import open_run

    with Bars() as bars:
        if run is None:
            bars.say(f"{folder}: the newest run")
        dataset = open_run_data(entry, data)
        # What was allowed when the run was trained is not asked again: the data are the same.
        allowed = allow_rejected or bool(entry["data"].get("allow_rejected"))
        opened = open_run(folder, dataset, entry["data"]["groups"], entry["data"]["sha256"], bars.show, allowed)
        if told := left_out(opened.pack.rejected, len(dataset.records), dataset.root):
            bars.say(told)
        outcomes = compress(opened, chosen, out or folder / "bundles", force, bars.show)
    print(f"{'bundle':<24} {'KiB':>7} {'int8 MACs':>9} {'val Dice':>9} {'float':>7} {'agree':>6}")
    for outcome in outcomes:
        if outcome.bundle is not None and outcome.gate is not None:
            gate, manifest = outcome.gate, outcome.bundle.manifest
            print(
                f"{outcome.name:<24} {outcome.bundle.model_bytes / 1024:>7.0f} {manifest['int8_mac_share']:>9.1%}"
                f" {gate.dice or 0:>9.4f} {gate.parent_dice or 0:>7.4f} {gate.agreement:>6.3f}"
            )
    for outcome in outcomes:
        if outcome.note:
            print(f"{outcome.name}: {outcome.note}")
    fallen = [outcome.name for outcome in outcomes if chosen.compress.check and _falls_back_to_cpu(outcome)]
    failures = [outcome.error for outcome in outcomes if outcome.error is not None]
    print(f"{out or folder / 'bundles'}: {len(outcomes) - len(failures)} bundles; next: edgebrain bench --target cpu")
    if failures:
        raise EdgebrainError("; ".join(error.message for error in failures), failures[0].hint)
    if fallen:
        raise typer.Exit(3)


def _falls_back_to_cpu(outcome: Any) -> bool:
    """Print what a Coral Edge TPU would run of an int8 bundle; true where an operator stays on the CPU for certain."""
    from edgebrain.cli.deploy import show_findings
    from edgebrain.coral.deploy import check

    if outcome.bundle is None or outcome.bundle.precision == "float32":
        return False
    found = check(outcome.bundle)
    show_findings(found)
    return bool(found["failed"])
