"""Files and folders in, masks and a table out. One picture that cannot be used does not stop the others."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgebrain.errors import BadImage
from edgebrain.files import claim_folder
from edgebrain.progress import Progress, no_progress
from edgebrain.runtime.image import read_file
from edgebrain.runtime.inputs import FoundPictures, PictureFile, find_inputs
from edgebrain.runtime.names import OutputNames
from edgebrain.runtime.outputs import (
    PictureResult,
    check_pixel_mm,
    predict_and_record,
    record_failure,
    refuse_if_written,
)
from edgebrain.runtime.results import Existing, FileState, ResultsTable, model_note, open_table
from edgebrain.runtime.results_file import RESULTS
from edgebrain.runtime.session import Session
from edgebrain.text import in_one_line

DEFAULT_OUT = Path("predictions")


@dataclass
class PredictionRun:
    """What became of each picture.

    Attributes:
        out: The output folder; None where there was nothing to predict.
        inputs: The pictures that were found.
        results: One for each picture that was predicted.
        failures: The error of each picture or folder that could not be used.
        entries: A JSON object for each of both, in the order of the pictures.
        done_before: How many pictures a resumed run left as they were.
    """

    out: Path | None
    inputs: FoundPictures
    results: list[PictureResult] = field(default_factory=list)
    failures: list[BadImage] = field(default_factory=list)
    entries: list[dict[str, Any]] = field(default_factory=list)
    done_before: int = 0

    def add(self, result: PictureResult) -> None:
        """A picture was predicted."""
        self.results.append(result)
        self.entries.append(result.as_json())

    def fail(self, name: str, problem: BadImage) -> None:
        """A picture, or a folder, could not be used."""
        self.failures.append(problem)
        self.entries.append({"name": name, "error": problem.message, "hint": problem.hint, "warning": None})

    def summary(self) -> str:
        """How many pictures were done and how many not, where the table lies, and what was left out."""
        total = len(self.results) + len(self.failures)
        failed = f", {len(self.failures)} could not be used" if self.failures else ""
        before = f", {self.done_before} were done before" if self.done_before else ""
        doubtful = sum(bool(result.warning) for result in self.results)
        warned = f", {doubtful} with a warning" if doubtful else ""
        where = f": {self.out / RESULTS}" if self.out else ""
        done = f"{len(self.results)} of {total} pictures done{failed}{before}{warned}{where}"
        return "\n".join([in_one_line(done), *self.inputs.left_out()])


def predict_files(
    session: Session,
    inputs: Sequence[Path],
    out: Path | None = None,
    pixel_mm: float | None = None,
    existing: Existing = "refuse",
    progress: Progress = no_progress,
) -> PredictionRun:
    """Predict pictures and write masks, overlays and results.csv, whose rows reach the disk one by one.

    Where there is nothing to predict, nothing is made.

    Args:
        session: The opened model.
        inputs: Files, or folders to search.
        out: The output folder; else the next free predictions-N.
        pixel_mm: Side of a pixel in mm.
        existing: What to do where `out` holds results: refuse, replace them, or continue (pictures that have a
            result and are unchanged are left as they are).
        progress: Called with "pictures", how many are done and how many there are.

    Returns:
        What became of each picture.

    Raises:
        CannotWrite: A file is in the way, the disk is full, no permission, another process writes there, or the results
            there are another model's.
    """
    check_pixel_mm(pixel_mm)
    found = find_inputs(inputs)
    if not any(os.path.lexists(picture.path) for picture in found.pictures):
        return _without_pictures(found)
    with _output_folder(out) as folder:
        if existing == "refuse":
            names = OutputNames()
            refuse_if_written(folder, [names.name(one.folder, one.path.name) for one in found.pictures])
        run = PredictionRun(folder, found)
        with open_table(folder, session.classes, model_note(session.bundle), existing) as table:
            for name, problem in found.unusable:
                run.fail(name, problem)
                table.append({"name": name, "error": problem.message})
            # Names that the table uses are kept, and so is what edgebrain did not write.
            names = table.output_names()
            for done, picture in enumerate(found.pictures, start=1):
                _predict_one(session, picture, names, pixel_mm, table, run)
                progress("pictures", done, len(found.pictures))
    return run


def print_run(run: PredictionRun, as_json: bool) -> None:
    """Print what became of each picture: failures and what was left out on stderr, results on stdout.

    Args:
        run: What `predict_files` returned.
        as_json: Print one JSON array on stdout instead, with an object for each picture, failures included.
    """
    for failure in run.failures:
        print(f"Error: {failure.message}\n  {failure.hint}", file=sys.stderr)
    if as_json:
        print(json.dumps(run.entries, indent=1))
        print(run.summary(), file=sys.stderr)
        return
    for result in run.results:
        print(result.sentence())
    print(run.summary())


def _without_pictures(found: FoundPictures) -> PredictionRun:
    """The run where no picture is there: a name that was mistyped leaves nothing behind."""
    run = PredictionRun(None, found)
    for name, problem in found.unusable:
        run.fail(name, problem)
    for picture in found.pictures:
        try:
            read_file(picture.path, picture.name)
        except BadImage as problem:
            run.fail(picture.name, problem)
    return run


@contextmanager
def _output_folder(out: Path | None) -> Iterator[Path]:
    """The folder named, or one claimed here, which is removed again if it stays empty."""
    folder = out or claim_folder(DEFAULT_OUT)
    try:
        yield folder
    finally:
        if out is None:
            with suppress(OSError):
                folder.rmdir()


def _predict_one(
    session: Session,
    picture: PictureFile,
    names: OutputNames,
    pixel_mm: float | None,
    table: ResultsTable,
    run: PredictionRun,
) -> None:
    if _is_done(picture, table):
        run.done_before += 1
        return
    stem = names.name(picture.folder, picture.path.name)
    before = table.recorded.get(picture.name)
    changed = before is not None and not before.error
    try:
        run.add(predict_and_record(session, picture.path, picture.name, stem, table, pixel_mm, changed))
    except BadImage as problem:
        run.fail(picture.name, problem)
        record_failure(table, picture.path, picture.name, problem, changed)


def _is_done(picture: PictureFile, table: ResultsTable) -> bool:
    """Whether a table of an earlier run has a result for a file that has not changed since."""
    before = table.recorded.get(picture.name)
    if before is None or before.error:
        return False
    with suppress(OSError):
        return before.state == FileState.of(picture.path.stat())
    return False
