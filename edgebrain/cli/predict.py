"""`edgebrain predict`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgebrain.cli.bundles import chosen_bundle
from edgebrain.runtime.report import report_outcome

if TYPE_CHECKING:
    from edgebrain.runtime.results import Existing
    from edgebrain.runtime.session import Session
    from edgebrain.runtime.watch import WatchSettings

# Into a pipe or a journal at once, not when a buffer is full.
_now = partial(print, flush=True)


def predict(
    images: Annotated[
        list[Path] | None, typer.Argument(help="PNG, JPEG or TIFF files, or folders.", metavar="IMAGE", readable=False)
    ] = None,
    watch: Annotated[
        Path | None, typer.Option(help="A folder instead: answer every slice that lands in it, until Ctrl-C.")
    ] = None,
    bundle: Annotated[Path | None, typer.Option(help="Bundle or run folder; else the newest run.")] = None,
    pixel_mm: Annotated[float | None, typer.Option(help="Side of a pixel in mm, for areas in cm2.")] = None,
    out: Annotated[Path | None, typer.Option(help="Output folder; else the next free predictions-N.")] = None,
    engine: Annotated[str | None, typer.Option(help="Interpreter; else the first installed that reads it.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, an object a picture.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace what is in the output folder.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on in --out: skip what has an answer there.")] = False,
    recursive: Annotated[bool, typer.Option("--recursive", help="With --watch: its sub-folders too.")] = False,
    settle: Annotated[
        float, typer.Option(min=0.0, help="With --watch: seconds that an incomplete file may lie unchanged.")
    ] = 30.0,
) -> None:
    """Mask and class of pictures: mask, overlay and results.csv are written. Needs no TensorFlow and no network.

    Example: edgebrain predict slices/ --pixel-mm 0.5
    """
    from edgebrain.runtime.predict import predict_files
    from edgebrain.runtime.session import open_session
    from edgebrain.runtime.watch import WatchSettings

    if (watch is None) == (not images):
        raise typer.BadParameter("name pictures, or a folder with --watch")
    if resume and (force or out is None):
        raise typer.BadParameter("--resume goes on with what is in --out, and replaces nothing: no --force beside it")
    session = open_session(chosen_bundle(bundle), engine)
    if watch is not None:
        _watch(session, watch, out, pixel_mm, WatchSettings(settle_s=settle, recursive=recursive))
        return
    assert images is not None
    several = len(images) > 1 or images[0].is_dir()
    existing: Existing = "replace" if force else "continue" if resume else "refuse"
    with _bar() if several else nullcontext() as show:
        outcome = predict_files(session, images, out, pixel_mm, existing, show)
    report_outcome(outcome, as_json)
    if outcome.failures:
        raise typer.Exit(1)


def _watch(session: Session, folder: Path, out: Path | None, pixel_mm: float | None, settings: WatchSettings) -> None:
    from edgebrain.runtime.watch import until_told_to_stop, watch

    if out is None:
        raise typer.BadParameter("--watch needs --out: a restart must find its own table")
    with until_told_to_stop() as stop:
        complain = partial(_now, file=sys.stderr)
        done = watch(session, folder, out, pixel_mm, _now, complain, stop, settings)
    _now(f"{done} files done: {out}")


@contextmanager
def _bar() -> Iterator[Callable[[int, int], None]]:
    # Rich is left out for a single picture: it would take as long to import as the prediction does.
    from edgebrain.cli.progress import Bars

    with Bars() as bars:
        yield lambda done, total: bars.show("pictures", done, total)
