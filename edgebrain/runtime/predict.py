"""Files and folders in, masks and a table out. One picture that cannot be used does not stop the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain, count
from pathlib import Path

from edgebrain.errors import BadImage
from edgebrain.runtime.outputs import (
    RESULTS,
    Result,
    check_pixel_mm,
    refuse_if_written,
    result_of,
    write_pictures,
    write_results,
)
from edgebrain.runtime.session import Session

PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")

Progress = Callable[[int, int], None]


@dataclass
class Outcome:
    """What became of each picture: the answers, and the errors of those that could not be used."""

    out: Path
    results: list[Result] = field(default_factory=list)
    failures: list[BadImage] = field(default_factory=list)

    def summary(self) -> str:
        """How many pictures were done and how many not, and where the table lies."""
        total = len(self.results) + len(self.failures)
        failed = f", {len(self.failures)} could not be used" if self.failures else ""
        return f"{len(self.results)} of {total} pictures done{failed}: {self.out / RESULTS}"


def predict_files(
    session: Session,
    inputs: Sequence[Path],
    out: Path,
    pixel_mm: float | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> Outcome:
    """Predict pictures and write masks, overlays and results.csv.

    results.csv is written even when the work is interrupted: it then holds what was done until there.

    Args: inputs: files, or folders to search. pixel_mm: side of a pixel in mm. progress: told (done, total).
    Raises BadImage: a folder without pictures. CannotWrite: a file is in the way, the disk is full, no permission.
    """
    check_pixel_mm(pixel_mm)
    pictures = find_pictures(inputs)
    stems = unique_stems(pictures)
    refuse_if_written(out, stems, force)
    outcome = Outcome(out)
    rows: list[tuple[Result | None, str, str]] = []
    try:
        for place, (picture, stem) in enumerate(zip(pictures, stems, strict=True), start=1):
            rows.append(_predict_one(session, picture, stem, pixel_mm, outcome))
            if progress is not None:
                progress(place, len(pictures))
    except KeyboardInterrupt:
        write_results(out, rows, session.classes)
        raise
    write_results(out, rows, session.classes)
    return outcome


def find_pictures(inputs: Sequence[Path]) -> list[Path]:
    """The files as given, and every picture at or below the folders given, sorted; hidden ones are left out.

    Raises BadImage: a folder without pictures.
    """
    found: list[Path] = []
    for path in inputs:
        if not path.is_dir():
            found.append(path)
            continue
        below = sorted(p for p in path.rglob("*") if p.suffix.lower() in PICTURES and not p.name.startswith("."))
        if not below:
            raise BadImage(f"{path}: holds no picture", f"pass a folder with {', '.join(PICTURES)} files")
        found.extend(below)
    return list(dict.fromkeys(found))


def free_folder(wished: Path = Path("predictions")) -> Path:
    """The folder wished for, or where that exists, the first of wished-2, wished-3 ... that does not."""
    choices = (wished.with_name(f"{wished.name}-{number}") for number in count(2))
    return next(choice for choice in chain([wished], choices) if not choice.exists())


def unique_stems(pictures: Sequence[Path]) -> list[str]:
    """A name for each picture's outputs: its stem, or where two would share it the whole file name, or a number too."""
    taken: set[str] = set()
    stems = []
    for picture in pictures:
        choices = (picture.stem, picture.name, *(f"{picture.name}-{number}" for number in range(2, len(pictures) + 2)))
        stems.append(next(choice for choice in choices if choice not in taken))
        taken.add(stems[-1])
    return stems


def _predict_one(
    session: Session, picture: Path, stem: str, pixel_mm: float | None, outcome: Outcome
) -> tuple[Result | None, str, str]:
    try:
        image, prediction = session.predict_file(_read(picture), str(picture))
    except BadImage as problem:
        outcome.failures.append(problem)
        return None, str(picture), problem.message
    result = result_of(prediction, str(picture), stem, pixel_mm)
    write_pictures(outcome.out, image, prediction, result)
    outcome.results.append(result)
    return result, str(picture), ""


def _read(picture: Path) -> bytes:
    try:
        return picture.read_bytes()
    except OSError as problem:
        raise BadImage(f"{picture}: cannot be read ({problem.strerror or problem})", "check the path") from problem
