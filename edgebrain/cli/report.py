"""`edgebrain report`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from edgebrain.cli.options import STDOUT, Force, JsonFile, say_default


def report(
    named: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Runs, or files of `edgebrain bench --json`; default: the newest finished run.", metavar="RUN|JSON"
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Output page; default: report.html in the run.")] = None,
    json_file: JsonFile = None,
    markdown: Annotated[Path | None, typer.Option(help="Write the same as Markdown to this file.")] = None,
    junit: Annotated[
        Path | None, typer.Option(help="Write a JUnit test case for each question of the verdict.")
    ] = None,
    model_card: Annotated[Path | None, typer.Option(help="Write a model card, to be completed by you.")] = None,
    mlperf: Annotated[Path | None, typer.Option(help="Write MLPerf's summary fields; not a submission.")] = None,
    data: Annotated[Path | None, typer.Option("--data", help="Data folder; default: the one of the bench.")] = None,
    force: Force = False,
) -> None:
    """Write one HTML page about a bench: verdict, plots, worst slices, layers, data, lineage.

    Reports of several machines are kept apart. What cannot be read is left out and named, and the exit code is then 1.

    Example: edgebrain report runs/demo-1 --junit junit.xml
    """
    from edgebrain.api.reports import report as write_report
    from edgebrain.cli.progress import Bars
    from edgebrain.reporting.exports import WRITERS
    from edgebrain.runs import newest_run

    chosen = named or [newest_run()]
    say_default("run", named[0] if named else None, chosen[0])
    with Bars() as bars:
        written = write_report(
            chosen, out=out, json=None if json_file == STDOUT else json_file, markdown=markdown, junit=junit,
            model_card=model_card, mlperf=mlperf, data=data, force=force, progress=bars.show,
        )  # fmt: skip
    if json_file == STDOUT:
        print(WRITERS["json"](written.page), end="")
    else:
        for path in written.files:
            print(f"wrote {path}")
    for one in written.left_out:
        print(f"Error: left out: {one.problem.message}", file=sys.stderr)
        if one.problem.hint:
            print(f"  {one.problem.hint}", file=sys.stderr)
    if written.left_out:
        raise typer.Exit(1)
