"""Mask and class of slices: `load` gives a session, `predict` writes files, `watch` follows a folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from edgebrain.api.arguments import AnyPath, as_path, as_paths, check_count, optional_path
from edgebrain.api.defaults import chosen_bundle
from edgebrain.errors import EdgebrainError
from edgebrain.progress import Notify, Progress, no_progress
from edgebrain.runtime.predict import PredictionRun, predict_files
from edgebrain.runtime.session import Session, open_session

if TYPE_CHECKING:
    from edgebrain.runtime.results import Existing


def load(path: AnyPath | None = None, engine: str | None = None, threads: int = 1) -> Session:
    """Open a bundle: verify its hashes and load its model in an interpreter.

    Args:
        path: The bundle's folder, or a run's (its INT8 TFLite bundle); the newest finished run when left out.
        engine: The interpreter; the first installed one that reads the bundle when left out.
        threads: CPU threads of the interpreter and of OpenCV.

    Returns:
        A session, whose `predict` takes a slice as array, path or bytes.

    Raises:
        BadBundle: No bundle lies there, or a file in it was changed.
        MissingExtra: The interpreter is not installed.

    Example:
        >>> model = edgebrain.load("runs/demo-1/bundles/tflite-int8")
        >>> model.predict("slice.png").label
        'glioma'
    """
    check_count(threads, "threads")
    return open_session(chosen_bundle(optional_path(path, "path")), engine, threads)


def predict(
    images: AnyPath | Iterable[AnyPath],
    bundle: AnyPath | None = None,
    *,
    out: AnyPath | None = None,
    pixel_mm: float | None = None,
    engine: str | None = None,
    threads: int = 1,
    force: bool = False,
    resume: bool = False,
    progress: Progress = no_progress,
) -> PredictionRun:
    """Predict pictures and write masks, overlays and results.csv. One unusable picture does not stop the others.

    Args:
        images: Files, or folders that are searched.
        bundle: Bundle or run folder; the newest finished run when left out.
        out: Output folder; the next free predictions-N when left out.
        pixel_mm: Side of a pixel in mm, for areas in cm2.
        engine: As in `load`.
        threads: As in `load`.
        force: Replace what is in the output folder.
        resume: Go on in `out`; pictures that have a result there are left as they are.
        progress: Called with "pictures", the number done and the number in all.

    Returns:
        What became of each picture; `entries` holds one dictionary for each, ready for a DataFrame.

    Raises:
        CannotWrite: Files are in the way, the disk is full, or the results there are another model's.
        BadBundle: As in `load`.

    Example:
        >>> run = edgebrain.predict("slices/", "runs/demo-1", out="answers")
        >>> [entry["label"] for entry in run.entries]
        ['glioma', 'no_tumor']
    """
    if resume and (force or out is None):
        raise EdgebrainError("resume goes on with what is in `out`, and replaces nothing", "give out, and not force")
    existing: Existing = "replace" if force else "continue" if resume else "refuse"
    session = load(bundle, engine, threads)
    return predict_files(session, as_paths(images, "images"), optional_path(out, "out"), pixel_mm, existing, progress)


def watch(
    folder: AnyPath,
    out: AnyPath,
    bundle: AnyPath | None = None,
    *,
    pixel_mm: float | None = None,
    engine: str | None = None,
    threads: int = 1,
    recursive: bool = False,
    settle_s: float = 30.0,
    on_result: Notify = print,
    on_problem: Notify = print,
    stop: Callable[[], bool] = lambda: False,
) -> int:
    """Predict every picture that lands in a folder, until `stop` returns True or a KeyboardInterrupt.

    Args:
        folder: The folder to watch.
        out: Output folder; a restart goes on with the table there.
        bundle: As in `predict`.
        pixel_mm: As in `predict`.
        engine: As in `load`.
        threads: As in `load`.
        recursive: Watch sub-folders too.
        settle_s: Seconds that a file which looks incomplete must lie unchanged before it is rejected.
        on_result: Called with a line for each prediction.
        on_problem: Called with a line for each file that cannot be used.
        stop: Asked before each file.

    Returns:
        Number of files done.

    Raises:
        CannotWrite: The output folder cannot be used, is another model's, or has a watcher already.

    Example:
        >>> edgebrain.watch("slices/", "watched/", "runs/demo-1", stop=lambda: True)
        0
    """
    from edgebrain.runtime.arrivals import WatchSettings
    from edgebrain.runtime.watch import watch as watch_folder

    settings = WatchSettings(settle_s=settle_s, recursive=recursive)
    source, target = as_path(folder, "folder"), as_path(out, "out")
    return watch_folder(load(bundle, engine, threads), source, target, pixel_mm, on_result, on_problem, stop, settings)
