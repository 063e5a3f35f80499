"""`edgebrain predict`."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from edgebrain.api.defaults import chosen_bundle
from edgebrain.cli.options import STDOUT, Engine, Force, JsonFile, Threads, refuse_early, say_default, write_json_file

# Into a pipe or a journal at once, not when a buffer is full.
_now = partial(print, flush=True)


def predict(
    images: Annotated[
        list[Path] | None, typer.Argument(help="PNG, JPEG or TIFF files, or folders.", metavar="IMAGE", readable=False)
    ] = None,
    watch: Annotated[
        Path | None, typer.Option(help="Watch this folder and predict every picture that arrives, until Ctrl-C.")
    ] = None,
    bundle: Annotated[Path | None, typer.Option(help="Bundle or run folder; default: the newest finished run.")] = None,
    pixel_mm: Annotated[float | None, typer.Option(help="Side of a pixel in mm, for areas in cm2.")] = None,
    out: Annotated[Path | None, typer.Option(help="Output folder; default: the next free predictions-N.")] = None,
    engine: Engine = None,
    threads: Threads = 1,
    json_file: JsonFile = None,
    force: Force = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue in --out: skip pictures that have a result there.")
    ] = False,
    recursive: Annotated[bool, typer.Option("--recursive", help="With --watch: sub-folders too.")] = False,
    settle: Annotated[
        float,
        typer.Option(
            min=0.0, help="With --watch: seconds before an incomplete file that no longer changes is rejected."
        ),
    ] = 30.0,
) -> None:
    """Predict mask and class of pictures; write masks, overlays and results.csv. Needs no TensorFlow and no network.

    Example: edgebrain predict slices/ --pixel-mm 0.5
    """
    from edgebrain.api.prediction import predict as predict_pictures
    from edgebrain.runtime.predict import print_run

    if (watch is None) == (not images):
        raise typer.BadParameter("name pictures, or a folder with --watch")
    if resume and (force or out is None):
        raise typer.BadParameter(
            "--resume continues what is in --out and replaces nothing: name --out, and leave out --force"
        )
    # With --resume the file of --json is brought up to date, as the table is.
    refuse_early(json_file, force or resume)
    chosen = chosen_bundle(bundle)
    say_default("bundle", bundle, chosen)
    if watch is not None:
        _watch(watch, out, chosen, pixel_mm, engine, threads, recursive, settle)
        return
    assert images is not None
    several = len(images) > 1 or images[0].is_dir()
    with _Bars() if several else nullcontext() as bars:
        options = {} if bars is None else {"progress": bars.show}
        run = predict_pictures(
            images, chosen, out=out, pixel_mm=pixel_mm, engine=engine, threads=threads, force=force, resume=resume,
            **options,
        )  # fmt: skip
    print_run(run, json_file == STDOUT)
    if json_file != STDOUT:
        write_json_file(run.entries, json_file)
    if run.failures:
        raise typer.Exit(1)


def _watch(
    folder: Path,
    out: Path | None,
    bundle: Path,
    pixel_mm: float | None,
    engine: str | None,
    threads: int,
    recursive: bool,
    settle_s: float,
) -> None:
    from edgebrain.api.prediction import watch
    from edgebrain.runtime.watch import stop_on_signals

    if out is None:
        raise typer.BadParameter("--watch needs --out: a restart must find its own table")
    with stop_on_signals() as stop:
        done = watch(
            folder, out, bundle, pixel_mm=pixel_mm, engine=engine, threads=threads, recursive=recursive,
            settle_s=settle_s, on_result=_now, on_problem=partial(_now, file=sys.stderr), stop=stop,
        )  # fmt: skip
    _now(f"{done} files done: {out}")


def _Bars() -> Any:
    # Rich is left out for a single picture: it would take as long to import as the prediction does.
    from edgebrain.cli.progress import Bars

    return Bars()
