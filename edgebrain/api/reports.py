"""The report of a bench: one HTML page, and the same as JSON, Markdown, JUnit, model card and MLPerf fields."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgebrain.api.arguments import AnyPath, as_path, as_paths, optional_path
from edgebrain.files import refuse_to_overwrite, write_text
from edgebrain.progress import Progress, no_progress
from edgebrain.runs import newest_run

if TYPE_CHECKING:
    from edgebrain.reporting.inputs import LeftOut, Source
    from edgebrain.reporting.page import Page


@dataclass(frozen=True)
class WrittenReport:
    """What was written, and what could not be read.

    Attributes:
        files: The files, in the order of the arguments; the page first.
        left_out: Runs and files that were named and cannot be used, each with its error.
        page: Everything that the page shows, as docs/report-schema.md describes it.
    """

    files: tuple[Path, ...]
    left_out: Sequence[LeftOut]
    page: Page


def report(
    named: AnyPath | Iterable[AnyPath] | None = None,
    *,
    out: AnyPath | None = None,
    json: AnyPath | None = None,
    markdown: AnyPath | None = None,
    junit: AnyPath | None = None,
    model_card: AnyPath | None = None,
    mlperf: AnyPath | None = None,
    data: AnyPath | None = None,
    force: bool = False,
    progress: Progress = no_progress,
) -> WrittenReport:
    """Write one HTML page on a bench: verdict, plots, worst slices, layers, data, lineage.

    Reports of several machines are kept apart.

    Args:
        named: Runs, or reports of `bench`; the newest finished run when left out.
        out: The page; report.html beside the bench report when left out.
        json: Write everything that the page shows there, as JSON.
        markdown: Write the same as Markdown there.
        junit: Write a test case for each question there, for CI.
        model_card: Write a model card there, to be filled in.
        mlperf: Write MLPerf's summary fields there; no submission.
        data: Folder of the data set, where it has moved since the bench.
        force: Replace files that are there.
        progress: Called with what is being done, the number of steps done and the number in all.

    Returns:
        The files written, and what was left out because it cannot be read.

    Raises:
        BadRun, BadReport: There is nothing to report on.
        CannotWrite: A file is in the way.

    Example:
        >>> edgebrain.report("runs/demo-1", junit="junit.xml").files
        (PosixPath('runs/demo-1/report.html'), PosixPath('junit.xml'))
    """
    from edgebrain.reporting.build import build_page
    from edgebrain.reporting.exports import WRITERS
    from edgebrain.reporting.inputs import read_sources

    sources, left_out = read_sources(as_paths(named, "named") or [newest_run()])
    options = {"json": json, "markdown": markdown, "junit": junit, "model card": model_card, "mlperf": mlperf}
    wanted = {"html": optional_path(out, "out") or _page(sources[0])}
    wanted |= {kind: as_path(path, kind) for kind, path in options.items() if path is not None}
    for path in wanted.values():
        refuse_to_overwrite(path, force)
    page = build_page(sources, left_out, optional_path(data, "data"), progress)
    for kind, path in wanted.items():
        write_text(path, WRITERS[kind](page))
    return WrittenReport(tuple(wanted.values()), left_out, page)


def _page(source: Source) -> Path:
    """Beside the bench report: report.html for bench.json, report-2.html for bench-2.json; else after its name."""
    path = source.path
    stem = re.sub(r"^bench(?=(-\d+)?$)", "report", path.stem)
    return path.with_name(f"{stem}.html")
