"""What a report is made of: bench reports, the run that each belongs to, and the bundles and data that are still here.

What cannot be used is left out and named, and the rest is done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgebrain.benchmarking.report import Report, read_report
from edgebrain.benchmarking.report_row import RowFigures
from edgebrain.bundle import MANIFEST, find_bundles
from edgebrain.errors import BadReport, BadRun, EdgebrainError
from edgebrain.files import newest_name, sha256_file
from edgebrain.runs import RUN_FILE, run_of

BENCH = "bench.json"


@dataclass(frozen=True)
class Source:
    """A bench report whose figures follow from its scores.

    Attributes:
        path: Its file.
        bench: The report.
        run: The run folder that it belongs to; None where that is not here.
    """

    path: Path
    bench: Report
    run: Path | None

    @property
    def data(self) -> Path | None:
        """Where the bench found its slices; None where it does not say."""
        path = self.bench.data.path
        return None if path is None else Path(path)

    def bundle_folder(self, row: RowFigures) -> Path | None:
        """The folder of the very bundle that a row was measured on, by its manifest's hash; None where not here."""
        folders = [Path(row.path), *(find_bundles(self.run) if self.run else ())]
        return next((folder for folder in folders if _is(folder, row.manifest_sha256)), None)


@dataclass(frozen=True)
class LeftOut:
    """Something that was named and cannot be used."""

    name: str
    problem: EdgebrainError


def read_sources(named: Sequence[Path]) -> tuple[list[Source], list[LeftOut]]:
    """Read the bench reports of runs and files, each once.

    Args:
        named: Runs, or files of `bench --json`.

    Returns:
        The reports, and what cannot be used.

    Raises:
        BadRun, BadReport: There is nothing to report on; the message has every problem, the hint is the first one's.
    """
    sources: dict[Path, Source] = {}
    left_out = []
    for path in named:
        try:
            source = _read(path)
            sources[source.path.resolve()] = source
        except EdgebrainError as problem:
            left_out.append(LeftOut(str(path), problem))
    if not sources:
        first = left_out[0].problem
        raise type(first)("; ".join(one.problem.message for one in left_out), first.hint)
    return list(sources.values()), left_out


def _read(path: Path) -> Source:
    file = _bench_of(path) if path.is_dir() else path
    bench = read_report(file)
    if not bench.results:
        raise BadReport(f"{file}: holds no row", "measure again with `edgebrain bench`")
    return Source(file, bench, _run_that_holds(bench.results, file))


def _run_that_holds(rows: Sequence[RowFigures], file: Path) -> Path | None:
    """The run of the bundles that were measured; a report may have been put into another one's folder."""
    near = (run_of(path) for path in (file, *(Path(row.path) for row in rows)))
    known = {row.manifest_sha256 for row in rows}
    return next(
        (run for run in dict.fromkeys(near) if run and known & set(map(_manifest_sha256, find_bundles(run)))), None
    )


def _bench_of(run: Path) -> Path:
    if not (run / RUN_FILE).is_file():
        raise BadRun(f"{run}: is not a run (no {RUN_FILE})", "name a run, or a file of `edgebrain bench --json`")
    newest = newest_name(run / BENCH)
    if newest is None:
        raise BadRun(f"{run}: holds no {BENCH}, so there is nothing to report", f"edgebrain bench {run}")
    return newest


def _is(folder: Path, manifest_sha256: str) -> bool:
    return (folder / MANIFEST).is_file() and _manifest_sha256(folder) == manifest_sha256


def _manifest_sha256(bundle: Path) -> str:
    return sha256_file(bundle / MANIFEST)
