"""`edgebrain quantize`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgebrain.cli.options import AllowRejected, Data, Force, say_default

if TYPE_CHECKING:
    from edgebrain.compression.quantize import ExportResult


def quantize(
    run: Annotated[Path | None, typer.Argument(help="Run folder; default: the newest finished run.")] = None,
    int8: Annotated[bool, typer.Option("--int8", help="Full-integer INT8 (the default).")] = False,
    fp16: Annotated[bool, typer.Option("--fp16", help="16-bit floating-point weights.")] = False,
    formats: Annotated[
        list[str] | None, typer.Option("--format", help="Write this format instead of the recipe's. Repeatable.")
    ] = None,
    qat: Annotated[bool, typer.Option("--qat", help="Quantization-aware training first (TFLite).")] = False,
    prune: Annotated[float | None, typer.Option(help="Share of channels to remove first.")] = None,
    keep_float: Annotated[
        str | None, typer.Option(help="Layers that stay float, such as a,b; auto: the fewest that pass the gate.")
    ] = None,
    recipe: Annotated[str | None, typer.Option(help="A shipped recipe's name or a .toml file.")] = None,
    data: Data = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the bundles; default: RUN/bundles.")] = None,
    force: Force = False,
    allow_rejected: AllowRejected = False,
) -> None:
    """Compress a run's model and export it: TFLite, OpenVINO, ONNX.

    Example: edgebrain quantize runs/demo-1 --int8
    """
    from edgebrain.api.compression import quantize as compress
    from edgebrain.cli.progress import Bars
    from edgebrain.runs import newest_run

    if sum((int8, fp16, recipe is not None)) > 1 or (fp16 and qat):
        raise typer.BadParameter("choose one of --int8, --fp16 and --recipe; --qat gives int8")
    chosen = run or newest_run()
    say_default("run", run, chosen)
    with Bars() as bars:
        outcomes = compress(
            chosen, recipe or ("fp16" if fp16 else "int8-qat" if qat else "int8"), formats=formats or None,
            prune=prune, qat=qat or None, keep_float=keep_float, data=data, out=out, force=force,
            allow_rejected=allow_rejected, progress=bars.show, notify=bars.say,
        )  # fmt: skip
    print_outcomes(outcomes)
    good = [outcome for outcome in outcomes if outcome.error is None]
    print(f"{out or chosen / 'bundles'}: {len(good)} bundles; next: edgebrain bench --target cpu")
    _exit_code(outcomes)


def print_outcomes(outcomes: Sequence[ExportResult]) -> None:
    """Print a row a bundle, then the notes, then what would run on a device that the recipe checks for."""
    from edgebrain.cli.deployment_text import print_deployment

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
    for outcome in outcomes:
        if outcome.device is not None:
            print_deployment(outcome.device)


def _exit_code(outcomes: Sequence[ExportResult]) -> None:
    """Exit 1 where a format failed; 3 where a part of a model would stay on a device's CPU."""
    from edgebrain.errors import EdgebrainError

    errors = [outcome.error for outcome in outcomes if outcome.error is not None]
    if errors:
        raise EdgebrainError("; ".join(error.message for error in errors), errors[0].hint)
    if any(outcome.device is not None and outcome.device["failed"] for outcome in outcomes):
        raise typer.Exit(3)
