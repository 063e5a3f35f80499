"""A folder watched without end: each slice that lands gives mask, overlay and a row of results.csv, whatever happens.

The row is written last and flushed to the disk. A file that has a row is done; one that has none is predicted again
after a restart, over the same file names. So a kill or a power cut at any moment leaves nothing half, lost or twice.

OUT/
  results.csv      a row for each file, in the order of their arrival; its columns are those of `predict`
  NAME_mask.png    NAME_overlay.png    NAME is the whole file name: a.png and a.jpg are two slices
  rejected/        a copy of each file that cannot be used, and NAME.txt with the reason
  model.json       which bundle predicts here: two models never share a table

A file whose size or time changes after its row is predicted again, with a row that says so.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from edgebrain.errors import BadImage, CannotWrite, IncompleteImage
from edgebrain.files import write_bytes, write_text
from edgebrain.progress import Notify
from edgebrain.runtime.arrivals import Arrivals, WatchSettings
from edgebrain.runtime.image import MOST_BYTES
from edgebrain.runtime.names import OutputNames, short_name
from edgebrain.runtime.outputs import check_pixel_mm, predict_and_record, record_failure
from edgebrain.runtime.results import ResultsTable, model_note, open_table
from edgebrain.runtime.results_file import REJECTED
from edgebrain.runtime.session import Session
from edgebrain.text import in_one_line

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def watch(
    session: Session,
    folder: Path,
    out: Path,
    pixel_mm: float | None = None,
    on_result: Notify = print,
    on_problem: Notify = print,
    stop: Callable[[], bool] = lambda: False,
    settings: WatchSettings | None = None,
) -> int:
    """Predict every file that lands in a folder, until `stop` returns True.

    Every file counts, whatever its ending: what is no picture is rejected by name. Hidden files wait, and so do files
    that still change or have a name such as `x.part`.

    Args:
        session: The opened model.
        folder: The folder to watch.
        out: The output folder; a restart goes on with the table there.
        pixel_mm: Side of a pixel in mm, for areas in cm2.
        on_result: Called with a line for each prediction.
        on_problem: Called with a line for each file that cannot be used, and when the folder has gone (it may come
            back).
        stop: Asked before each file.
        settings: Times, and whether sub-folders are watched.

    Returns:
        Number of files done.

    Raises:
        CannotWrite: The output folder cannot be used, is another model's, or has a watcher already.
    """
    check_pixel_mm(pixel_mm)
    if not folder.is_dir():
        raise CannotWrite(f"{folder}: is no folder to watch", "make it first, or name another one")
    if out.resolve() == folder.resolve():
        raise CannotWrite(f"{out}: is the folder that is watched", "choose another --out")
    with open_table(out, session.classes, model_note(session.bundle), "continue") as table:
        arrivals = Arrivals(folder, table.recorded, settings or WatchSettings(), on_problem)
        predictor = _Predictor(session, out, table, table.output_names(), pixel_mm, on_result, on_problem)
        return sum(predictor.predict(arrivals, name) for name in arrivals.names(stop))


@dataclass
class _Predictor:
    """Predicts or rejects one file after the other."""

    session: Session
    out: Path
    table: ResultsTable
    names: OutputNames
    pixel_mm: float | None
    on_result: Notify
    on_problem: Notify

    def predict(self, arrivals: Arrivals, name: str) -> bool:
        """Predict or reject a file.

        Returns:
            False where it may still be on its way, or was rejected before.
        """
        file, changed = arrivals.file(name), arrivals.has_changed(name)
        stem = self.names.whole_name(file.folder, file.path.name)
        try:
            result = predict_and_record(self.session, file.path, name, stem, self.table, self.pixel_mm, changed)
        except BadImage as problem:
            self.names.give_back(stem)
            if isinstance(problem, IncompleteImage) and not arrivals.is_settled(name):
                return False
            if arrivals.is_recorded(name, problem.message):
                arrivals.set_done(name, problem.message)
                return False
            _reject(file.path, self.out / REJECTED / file.folder / short_name(file.path.name), problem)
            record_failure(self.table, file.path, name, problem, changed)
            self.on_problem(in_one_line(f"{problem.message} ({problem.hint}); see {self.out / REJECTED}"))
            arrivals.set_done(name, problem.message)
            return True
        self.on_result(result.sentence())
        arrivals.set_done(name)
        return True


def _reject(picture: Path, copy: Path, problem: BadImage) -> None:
    """Keep a copy and the reason. What cannot be read cannot be copied: its row in the table says why."""
    with suppress(OSError):
        if picture.stat().st_size <= MOST_BYTES:
            write_bytes(copy, picture.read_bytes())
    write_text(copy.with_name(f"{copy.name}.txt"), f"{problem.message}\n{problem.hint}\n")


@contextmanager
def stop_on_signals() -> Iterator[Callable[[], bool]]:
    """Yields a callable that returns True once SIGTERM or SIGINT arrived."""
    received: list[int] = []
    before = {number: signal.signal(number, lambda got, _: received.append(got)) for number in STOP_SIGNALS}
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
