"""One file answered: read, predicted, mask and overlay written, and last its line in the table.

The line comes last: what has none is done again by the next run, over the same file names.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from edgebrain.errors import BadImage
from edgebrain.runtime.image import read_file
from edgebrain.runtime.names import OutputNames
from edgebrain.runtime.outputs import Result, result_of, write_pictures
from edgebrain.runtime.plausibility import unlike_a_head
from edgebrain.runtime.results import MASK, FileState, Line, ResultsTable
from edgebrain.runtime.session import Session

CHANGED = "answered again: the file has changed since its last line"


def output_names(table: ResultsTable) -> OutputNames:
    """Names for what will be written; what the table names already is kept, and so is what is not ours."""
    return OutputNames((mask.removesuffix(MASK) for mask in table.masks), table.is_free)


def answer_file(
    session: Session,
    path: Path,
    name: str,
    stem: str,
    out: Path,
    table: ResultsTable,
    pixel_mm: float | None = None,
    changed: bool = False,
) -> Result:
    """Answer a picture's file.

    Args:
        name: As table and messages call it.
        stem: Of mask and overlay, relative to `out`.
        changed: It had a line that says something else.

    Raises:
        BadImage: There is no answer, and no line yet (see `append_failure`).
        CannotWrite: The disk is full, or the folder cannot be written to.
    """
    data, status = read_file(path, name)
    state = FileState.of(status)
    image, prediction = session.predict_file(data, name)
    warnings = [unlike_a_head(image), CHANGED if changed else ""]
    result = result_of(prediction, name, stem, pixel_mm, "; ".join(filter(None, warnings)))
    table.begin(stem)
    write_pictures(out, image, prediction, result)
    table.append({**result.cells(), "bytes": state.size_bytes, "modified": state.modified})
    return result


def append_failure(table: ResultsTable, path: Path, name: str, problem: BadImage, changed: bool = False) -> None:
    """The line of a file that cannot be used, unless the table says just that already. Raises CannotWrite."""
    cells = {"name": name, "error": problem.message, "warning": CHANGED if changed else ""}
    with suppress(OSError):
        state = FileState.of(path.stat())
        if table.lines.get(name) == Line(state, problem.message):
            return
        cells |= {"bytes": str(state.size_bytes), "modified": state.modified}
    table.append(cells)
