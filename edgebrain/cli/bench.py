"""`edgebrain bench`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgebrain.cli.options import (
    STDOUT,
    AllowRejected,
    Data,
    Force,
    JsonFile,
    refuse_early,
    say_default,
    write_json_file,
)

if TYPE_CHECKING:
    from edgebrain.benchmarking.report import Report


def bench(
    context: typer.Context,
    bundles: Annotated[
        list[Path] | None,
        typer.Argument(help="Bundles or runs; default: all bundles of the newest finished run.", metavar="BUNDLE"),
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(
            help="Where to run: cpu, gpu, coral, NAME of deploy/NAME.toml, user@host; default: cpu. Repeatable."
        ),
    ] = None,
    threads: Annotated[
        str | None, typer.Option(help="Thread counts, such as 1,2; default: the target file's, or 1.")
    ] = None,
    data: Data = None,
    split: Annotated[str, typer.Option(help="Side of the split: train, val, test or all.")] = "test",
    queries: Annotated[int, typer.Option(min=7, help="Timed queries of each row; p90 needs 64, p99 needs 662.")] = 704,
    max_images: Annotated[
        int | None, typer.Option(min=1, help="Score at most this many slices, evenly spread.")
    ] = None,
    suite: Annotated[
        Path | None, typer.Option(help="TOML file with the margins of the verdict; default: benchmarks/default.toml's.")
    ] = None,
    max_dice_drop: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, help="Margin of the mean Dice, instead of the suite's; 0.01 is one point."),
    ] = None,
    json_file: JsonFile = None,
    allow_rejected: AllowRejected = False,
    force: Force = False,
    resume: Annotated[
        Path | None,
        typer.Option(help="Measure what is missing in this report, which lost a target, and complete it."),
    ] = None,
) -> None:
    """Time and score bundles on targets, and judge what they lose against their float parent.

    Exit code 3 if a bundle FAILs, or if a margin was given and a bundle's float model is not here; 1 if a target is not
    available or is lost midway: the others are measured, and what was measured is written.

    Example: edgebrain bench --target cpu --threads 1,2 --suite benchmarks/default.toml
    """
    from edgebrain.api.benchmark import bench as measure
    from edgebrain.api.benchmark import resolve_suite, resume_bench
    from edgebrain.benchmarking.report import as_json
    from edgebrain.cli.progress import Bars
    from edgebrain.reporting.terminal import show_report
    from edgebrain.runs import newest_run

    if json_file != resume:
        refuse_early(json_file, force)

    def on_report(report: Report) -> None:
        if json_file != STDOUT:
            show_report(report)

    if resume is not None:
        _refuse_beside_resume(context)
        with Bars() as bars:
            report = resume_bench(resume, progress=bars.show, notify=bars.say, on_report=on_report)
    else:
        counts, declared = _counts(threads), resolve_suite(suite, max_dice_drop)
        named = bundles or [newest_run()]
        say_default("run", bundles[0] if bundles else None, named[0])
        with Bars() as bars:
            report = measure(
                named, target=target or ["cpu"], threads=counts, data=data, split=split, queries=queries,
                max_images=max_images, suite=declared, allow_rejected=allow_rejected,
                progress=bars.show, notify=bars.say, on_report=on_report,
            )  # fmt: skip
    write_json_file(as_json(report), json_file)
    _exit_code(report)


def _refuse_beside_resume(context: typer.Context) -> None:
    """Raises BadParameter: an option that the report decides was given."""
    names = [str(one.name) for one in context.command.params if one.name not in ("resume", "json_file", "force")]
    # By name: Typer brings a click of its own, or takes the one that is installed.
    if any(getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE" for name in names):
        raise typer.BadParameter(
            "repeats what the report's bench was asked; only --json and --force may be added", param_hint="--resume"
        )


def _counts(text: str | None) -> list[int]:
    """Thread counts from `1,2`; none where none were given. Raises BadParameter."""
    if text is None:
        return []
    try:
        counts = list(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError:
        counts = []
    if not counts or min(counts) < 1:
        raise typer.BadParameter(f"{text!r} is no list of thread counts; write 1,2", param_hint="--threads")
    return counts


def _exit_code(report: Report) -> None:
    """Exit 1 where a target was lost; 3 where a bundle fails, or where a margin was given and cannot be tested."""
    from edgebrain.benchmarking.suite import BUILT_IN

    for failure in report.failures:
        print(f"Error: {failure.message}", f"  {failure.hint}", sep="\n", file=sys.stderr)
    if report.failures:
        raise typer.Exit(1)
    missing = report.unjudged if report.suite.source != BUILT_IN else []
    for name in missing:
        print(f"Failed: {name}: its float parent is not here, so its drop is not known", file=sys.stderr)
    if report.failed or missing:
        raise typer.Exit(3)
