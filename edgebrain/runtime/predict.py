"""Files and folders in, masks and a table out. One picture that cannot be used does not stop the others."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgebrain.errors import BadImage
from edgebrain.files import claim_folder
from edgebrain.progress import Progress, no_progress
from edgebrain.runtime.answer import answer_file, append_failure, output_names
from edgebrain.runtime.image import read_file
from edgebrain.runtime.listing import PICTURES, left_out, list_files
from edgebrain.runtime.names import OutputNames
from edgebrain.runtime.outputs import Result, check_pixel_mm, refuse_if_written
from edgebrain.runtime.results import RESULTS, Existing, FileState, ResultsTable, model_note, open_table
from edgebrain.runtime.session import Session
from edgebrain.text import in_one_line, shown_name

DEFAULT_OUT = Path("predictions")


@dataclass(frozen=True)
class Picture:
    """A file to answer. folder: its sub-folder below the folder that was named, empty for none."""

    path: Path
    folder: str = ""

    @property
    def name(self) -> str:
        """As tables and messages call it."""
        return shown_name(str(self.path))


@dataclass
class Inputs:
    """What the files and folders that were named hold. unusable: folders without pictures, or that cannot be opened,
    each with its error.

    other: ending -> number of files left out. own: number of files left out because edgebrain wrote them.
    """

    pictures: list[Picture] = field(default_factory=list)
    unusable: list[tuple[str, BadImage]] = field(default_factory=list)
    other: Counter[str] = field(default_factory=Counter)
    own: int = 0

    def left_out(self) -> list[str]:
        """What was left out, a line each."""
        own = f"{self.own} of edgebrain's own outputs left out" if self.own else ""
        return [line for line in (own, left_out(self.other)) if line]


@dataclass
class Outcome:
    """What became of each picture: the answers, and the errors of those that could not be used.

    out: None where there was nothing to predict. entries: a JSON object for each, in the order of the pictures.
    done_before: how many a resumed run left alone.
    """

    out: Path | None
    inputs: Inputs
    results: list[Result] = field(default_factory=list)
    failures: list[BadImage] = field(default_factory=list)
    entries: list[dict[str, Any]] = field(default_factory=list)
    done_before: int = 0

    def add(self, result: Result) -> None:
        """A picture was answered."""
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
) -> Outcome:
    """Predict pictures and write masks, overlays and results.csv, whose lines are on the disk one by one.

    Where there is nothing to predict, nothing is made.

    Args:
        session: The opened model.
        inputs: Files, or folders to search.
        out: The output folder; else the next free predictions-N.
        pixel_mm: Side of a pixel in mm.
        existing: What to do where `out` holds results: refuse, replace them, or continue (pictures that have an answer
            and are unchanged are left as they are).
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
        return _nothing(found)
    with _output_folder(out) as folder:
        if existing == "refuse":
            names = OutputNames()
            refuse_if_written(folder, [names.name(one.folder, one.path.name) for one in found.pictures])
        outcome = Outcome(folder, found)
        with open_table(folder, session.classes, model_note(session.bundle), existing) as table:
            for name, problem in found.unusable:
                outcome.fail(name, problem)
                table.append({"name": name, "error": problem.message})
            names = output_names(table)
            for done, picture in enumerate(found.pictures, start=1):
                _predict_one(session, picture, names, pixel_mm, table, outcome)
                progress("pictures", done, len(found.pictures))
    return outcome


def find_inputs(inputs: Sequence[Path]) -> Inputs:
    """The files as given, and what the one lister finds at or below the folders given; each once."""
    found, known = Inputs(), set()
    # One path says enough of itself; of several, two may lead to one file.
    key = os.path.realpath if len(inputs) > 1 else str
    for path in dict.fromkeys(inputs):
        if key(path) in known:
            continue
        known.add(key(path))
        if not path.is_dir():
            found.pictures.append(Picture(path))
            continue
        for picture in _below(path, found):
            if key(picture.path) not in known:
                known.add(key(picture.path))
                found.pictures.append(picture)
    return found


def _nothing(found: Inputs) -> Outcome:
    """The outcome where no picture is there: a name that was mistyped leaves nothing behind."""
    outcome = Outcome(None, found)
    for name, problem in found.unusable:
        outcome.fail(name, problem)
    for picture in found.pictures:
        try:
            read_file(picture.path, picture.name)
        except BadImage as problem:
            outcome.fail(picture.name, problem)
    return outcome


def find_pictures(inputs: Sequence[Path]) -> list[Path]:
    """The paths of `find_inputs`.

    Raises:
        BadImage: There is none, or a folder that cannot be opened.
    """
    found = find_inputs(inputs)
    if found.unusable:
        raise found.unusable[0][1]
    return [picture.path for picture in found.pictures]


def _below(root: Path, found: Inputs) -> list[Picture]:
    listing = list_files(root)
    found.other.update(listing.other)
    found.own += listing.own
    for path, reason in listing.unreadable:
        problem = BadImage(f"{path}: cannot be opened ({reason})", "check its permissions")
        found.unusable.append((shown_name(str(path)), problem))
    if not listing.pictures and not listing.unreadable:
        others = f" ({text})" if (text := left_out(listing.other)) else ""
        problem = BadImage(f"{root}: holds no picture{others}", f"pass a folder with {', '.join(PICTURES)} files")
        found.unusable.append((shown_name(str(root)), problem))
    return [Picture(path, _folder(path, root)) for path in listing.pictures]


def _folder(path: Path, root: Path) -> str:
    inside = path.parent.relative_to(root)
    return "" if inside == Path() else str(inside)


@contextmanager
def _output_folder(out: Path | None) -> Iterator[Path]:
    """The folder named, or one claimed here, which goes away again if it stays empty."""
    folder = out or claim_folder(DEFAULT_OUT)
    try:
        yield folder
    finally:
        if out is None:
            with suppress(OSError):
                folder.rmdir()


def _predict_one(
    session: Session,
    picture: Picture,
    names: OutputNames,
    pixel_mm: float | None,
    table: ResultsTable,
    outcome: Outcome,
) -> None:
    if _is_done(picture, table):
        outcome.done_before += 1
        return
    assert outcome.out is not None, "there is a picture"
    stem = names.name(picture.folder, picture.path.name)
    changed = picture.name in table.lines and not table.lines[picture.name].error
    try:
        outcome.add(answer_file(session, picture.path, picture.name, stem, outcome.out, table, pixel_mm, changed))
    except BadImage as problem:
        outcome.fail(picture.name, problem)
        append_failure(table, picture.path, picture.name, problem, changed)


def _is_done(picture: Picture, table: ResultsTable) -> bool:
    """Whether a table of an earlier run has an answer for a file that is still the same."""
    before = table.lines.get(picture.name)
    if before is None or before.error:
        return False
    with suppress(OSError):
        return before.state == FileState.of(picture.path.stat())
    return False
