"""`edgebrain predict`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from edgebrain.runtime.predict import Outcome
    from edgebrain.runtime.session import Session

# Into a pipe or a journal at once, not when a buffer is full.
_now = partial(print, flush=True)


def predict(
    images: Annotated[
        list[Path] | None, typer.Argument(help="PNG, JPEG or TIFF files, or folders.", metavar="IMAGE")
    ] = None,
    watch: Annotated[
        Path | None, typer.Option(help="A folder instead: answer every slice that lands in it, until Ctrl-C.")
    ] = None,
    bundle: Annotated[Path | None, typer.Option(help="Bundle folder; else the newest run's int8 TFLite one.")] = None,
    pixel_mm: Annotated[float | None, typer.Option(help="Side of a pixel in mm, for areas in cm2.")] = None,
    out: Annotated[Path | None, typer.Option(help="Output folder; else the next free predictions-N.")] = None,
    engine: Annotated[str | None, typer.Option(help="Interpreter; else the first installed that reads it.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace what is in the output folder.")] = False,
) -> None:
    """Mask and class of pictures: mask, overlay and results.csv are written. Needs no TensorFlow and no network.

    Example: edgebrain predict slices/ --pixel-mm 0.5
    """
    from edgebrain.runtime.predict import free_folder, predict_files
    from edgebrain.runtime.session import open_session

    if (watch is None) == (not images):
        raise typer.BadParameter("name pictures, or a folder with --watch")
    chosen = bundle or _default_bundle()
    session = open_session(chosen, engine)
    if watch is not None:
        _watch(session, watch, out, pixel_mm)
        return
    assert images is not None
    several = len(images) > 1 or images[0].is_dir()
    with _bar() if several else nullcontext() as show:
        outcome = predict_files(session, images, out or free_folder(), pixel_mm, force, show)
    _report(outcome, as_json)
    if outcome.failures:
        raise typer.Exit(1)


def _watch(session: Session, given: Path, out: Path | None, pixel_mm: float | None) -> None:
    from edgebrain.runtime.watch import until_told_to_stop, watch

    if out is None:
        raise typer.BadParameter("--watch needs --out: a restart must find its own table")
    with until_told_to_stop() as stop:
        done = watch(session, given, out, pixel_mm, say=_now, complain=partial(_now, file=sys.stderr), stop=stop)
    _now(f"{done} files done: {out}")


def _default_bundle() -> Path:
    """The int8 TFLite bundle of the newest run, which is named on stderr. Raises BadRun: there is none."""
    from edgebrain.bundle import find_bundles, open_bundle
    from edgebrain.errors import BadRun
    from edgebrain.runs import newest_run

    run = newest_run()
    bundles = [open_bundle(path) for path in find_bundles(run)]
    small = [one.path for one in bundles if (one.format, one.precision) == ("tflite", "int8")]
    if not small:
        raise BadRun(f"{run}: holds no int8 TFLite bundle", f"edgebrain quantize {run} --int8, or name a --bundle")
    print(f"bundle: {small[0]}", file=sys.stderr)
    return small[0]


@contextmanager
def _bar() -> Iterator[Callable[[int, int], None]]:
    # Rich is left out for a single picture: it would take as long to import as the prediction does.
    from edgebrain.cli.progress import Bars

    with Bars() as bars:
        yield lambda done, total: bars.show("pictures", done, total)


def _report(outcome: Outcome, as_json: bool) -> None:
    for failure in outcome.failures:
        print(f"Error: {failure.message}\n  {failure.hint}", file=sys.stderr)
    if as_json:
        print(json.dumps([result.as_json() for result in outcome.results], indent=1))
        return
    for result in outcome.results:
        print(result.sentence())
    print(outcome.summary())
