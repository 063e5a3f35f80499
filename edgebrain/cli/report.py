"""`edgebrain report`."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from edgebrain.reporting.inputs import LeftOut, Source


def report(
    named: Annotated[
        list[Path] | None,
        typer.Argument(help="Runs, or files of `bench --json`; else the newest run.", metavar="RUN|JSON"),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The page; else report.html in the run.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Everything in it, as JSON.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="The same as Markdown.")] = None,
    junit: Annotated[Path | None, typer.Option(help="A test case a question, for CI.")] = None,
    model_card: Annotated[Path | None, typer.Option(help="A model card, to be filled in.")] = None,
    mlperf: Annotated[Path | None, typer.Option(help="MLPerf's summary fields; no submission.")] = None,
    data: Annotated[Path | None, typer.Option(help="Data folder; else where the bench found it.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that a person may have written.")] = False,
) -> None:
    """Write one HTML page on a bench: verdict, plots, worst slices, layers, data, lineage.

    Reports of several machines are kept apart. What cannot be read is left out and named, and the exit code is then 1.

    Example: edgebrain report runs/demo-1 --junit junit.xml
    """
    from edgebrain.cli.progress import Bars
    from edgebrain.files import write_text
    from edgebrain.reporting.build import build_page
    from edgebrain.reporting.exports import WRITERS, refuse_unless_ours
    from edgebrain.reporting.inputs import read_sources

    sources, left_out = read_sources(named or _newest())
    asked = (out or _page(sources[0]), json_file, markdown, junit, model_card, mlperf)
    wanted = {kind: path for kind, path in zip(WRITERS, asked, strict=True) if path is not None}
    refuse_unless_ours(wanted.values(), force)
    with Bars() as bars:
        page = build_page(sources, left_out, data, bars.show)
    for kind, path in wanted.items():
        write_text(path, WRITERS[kind](page))
        print(f"wrote {path}")
    _end(left_out)


def _newest() -> list[Path]:
    """The newest run, which is told on stderr."""
    from edgebrain.runs import newest_run

    run = newest_run()
    print(f"run: {run}", file=sys.stderr)
    return [run]


def _page(source: Source) -> Path:
    """Beside the bench report: report.html for bench.json, report-2.html for bench-2.json; else after its name."""
    path = source.path
    stem = re.sub(r"^bench(?=(-\d+)?$)", "report", path.stem)
    return path.with_name(f"{stem}.html")


def _end(left_out: Sequence[LeftOut]) -> None:
    """Exit 1 where something was left out, naming each."""
    for one in left_out:
        print(f"Error: left out: {one.problem.message}", file=sys.stderr)
        if one.problem.hint:
            print(f"  {one.problem.hint}", file=sys.stderr)
    if left_out:
        raise typer.Exit(1)
