"""`edgebrain evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgebrain.cli.options import (
    STDOUT,
    AllowRejected,
    Data,
    Engine,
    Force,
    JsonFile,
    Threads,
    refuse_early,
    say_default,
    write_json_file,
)


def evaluate(
    bundle: Annotated[
        Path | None, typer.Argument(help="Bundle, or run (its float bundle); default: the newest finished run.")
    ] = None,
    data: Data = None,
    split: Annotated[str, typer.Option(help="Side of the split: train, val, test or all.")] = "test",
    engine: Engine = None,
    threads: Threads = 1,
    out: Annotated[Path | None, typer.Option(help="Output folder; default: RUN/evaluation/BUNDLE-SPLIT.")] = None,
    json_file: JsonFile = None,
    allow_rejected: AllowRejected = False,
    force: Force = False,
) -> None:
    """Score a bundle on labelled slices at their own size: Dice, IoU, accuracy, F1, confusion.

    Example: edgebrain evaluate runs/demo-1/float --split test
    """
    from edgebrain.api.defaults import float_bundle
    from edgebrain.api.evaluation import evaluate as score
    from edgebrain.cli.progress import Bars
    from edgebrain.reporting.evaluation import evaluation_text

    refuse_early(json_file, force)
    chosen = float_bundle(bundle)
    say_default("bundle", bundle, chosen)
    with Bars() as bars:
        found = score(
            chosen, data, split=split, engine=engine, threads=threads, out=out, allow_rejected=allow_rejected,
            force=force, progress=bars.show,
        )  # fmt: skip
    if json_file != STDOUT:
        print(evaluation_text(found.report))
        print(f"{found.out}: evaluation.json, confusion.png")
    write_json_file(found.report, json_file)
