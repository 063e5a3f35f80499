"""`edgebrain bench`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from edgebrain.benchmarking.report import Report


def bench(
    context: typer.Context,
    bundles: Annotated[
        list[Path] | None, typer.Argument(help="Bundles or runs; else all of the newest run.", metavar="BUNDLE")
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(help="Where to run: cpu, a name from deploy/*.toml, user@host; cpu when left out. Repeatable."),
    ] = None,
    threads: Annotated[
        str | None, typer.Option(help="Thread counts, such as 1,2; else the target file's, or 1.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Data folder; else the run's own.")] = None,
    split: Annotated[str, typer.Option(help="Side: train, val, test or all.")] = "test",
    queries: Annotated[int, typer.Option(min=7, help="Timed queries of each row; p90 needs 64, p99 662.")] = 704,
    max_images: Annotated[int | None, typer.Option(min=1, help="Score so many slices only, evenly spread.")] = None,
    suite: Annotated[
        Path | None, typer.Option(help="TOML file with the margins of the verdict; else half a point of Dice.")
    ] = None,
    max_dice_drop: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="Margin of the mean Dice instead; 0.01 is one point.")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the report there; - for stdout.")] = None,
    allow_rejected: Annotated[
        bool, typer.Option("--allow-rejected", help="Go on where a class or a tenth of the masks cannot be used.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the file that --json names.")] = False,
    resume: Annotated[
        Path | None,
        typer.Option(help="Go on with the bench of this report, which lost a target; the whole one replaces it."),
    ] = None,
) -> None:
    """Time and score bundles on targets, and judge what they lose against the float model that they come from.

    Exit code 3 if a bundle FAILs, or if a margin was given and a bundle's float model is not here; 1 if a target is not
    there or is lost midway: the others are measured, and what was measured is written.

    Example: edgebrain bench --target cpu --threads 1,2 --suite benchmarks/default.toml
    """
    from edgebrain.benchmarking.report import read_report
    from edgebrain.benchmarking.resume import BenchRequest, refuse_other_slices
    from edgebrain.benchmarking.run import run_bench
    from edgebrain.benchmarking.slices import choose_slices
    from edgebrain.bundle import open_bundle
    from edgebrain.cli.progress import Bars
    from edgebrain.files import refuse_to_overwrite
    from edgebrain.runs import run_of
    from edgebrain.targets import refuse_unknown

    if json_file is not None and json_file not in (Path("-"), resume):
        refuse_to_overwrite(json_file, force)
    earlier = None
    if resume is not None:
        _refuse_beside_resume(context)
        earlier, json_file = read_report(resume), json_file or resume
        asked = BenchRequest.from_report(earlier, str(resume))
    else:
        declared = _suite(suite, max_dice_drop)
        asked = BenchRequest(
            _bundles(bundles or []), target or ["cpu"], _counts(threads), queries, data, split, max_images, declared,
            allow_rejected,
        )  # fmt: skip
        # Before the slices are read, which takes minutes for a large data set.
        refuse_unknown(asked.targets)
    run = run_of(asked.bundles[0])
    opened = [open_bundle(path) for path in asked.bundles]
    slices, facts = choose_slices(run, asked.data, asked.split, asked.slices, opened, asked.allow_rejected)
    if facts.left_out:
        print(facts.left_out, file=sys.stderr)
    if earlier is not None:
        refuse_other_slices(earlier, facts, str(resume))
    with Bars() as bars:
        report = run_bench(
            asked.bundles, slices, asked.threads, asked.queries, asked.targets, facts, asked.suite, bars.show, earlier
        )
    _hand_out(report, run, json_file, resume)
    _tell_failures(report)
    _exit_code(report, asked.suite.declared)


def _refuse_beside_resume(context: typer.Context) -> None:
    """Raises BadParameter: an option that the report decides was given."""
    names = [str(one.name) for one in context.command.params if one.name not in ("resume", "json_file", "force")]
    # By name: Typer brings a click of its own, or takes the one that is installed.
    if any(getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE" for name in names):
        raise typer.BadParameter("asks as the report's bench did; give --json at most beside it", param_hint="--resume")


def _suite(path: Path | None, max_dice_drop: float | None) -> Any:
    """The margins: of the file, or the usual ones; another Dice margin where it was given. Read before measuring."""
    from edgebrain.benchmarking.suite import Suite, load_suite

    declared = Suite() if path is None else load_suite(path)
    return declared if max_dice_drop is None else declared.with_dice_margin(max_dice_drop)


def _bundles(named: list[Path]) -> list[Path]:
    """The bundles named, those in the folders named, or those of the newest run, which is then told on stderr."""
    from edgebrain.benchmarking.lineage import bundles_at
    from edgebrain.runs import newest_run

    if not named:
        named = [newest_run()]
        print(f"run: {named[0]}", file=sys.stderr)
    return [bundle for path in named for bundle in bundles_at(path)]


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


def _hand_out(report: Report, run: Path | None, json_file: Path | None, resumed: Path | None) -> None:
    """Print the report, and keep it in the run folder, beside those of earlier benches, and where --json says."""
    from edgebrain.benchmarking.report import as_json
    from edgebrain.files import canonical_json, claim_file, write_json, write_text
    from edgebrain.reporting.bench_tables import as_markdown
    from edgebrain.reporting.terminal import show_report

    # Printed first: where a disk is full, the figures of a long measurement are not lost.
    to_stdout = json_file == Path("-")
    if to_stdout:
        print(canonical_json(as_json(report)), end="")
    else:
        show_report(report)
    if run is not None:
        kept = resumed if resumed is not None and resumed.parent == run else claim_file(run / "bench.json")
        write_json(kept, as_json(report))
        write_text(kept.with_suffix(".md"), as_markdown(report))
        print(f"report: {kept.with_suffix('.md')}", file=sys.stderr)
    if json_file is not None and not to_stdout:
        write_json(json_file, as_json(report))
        print(f"report: {json_file}", file=sys.stderr)


def _tell_failures(report: Report) -> None:
    """Exit 1 where a target was not there or was lost, after the others' results were handed out."""
    for failure in report.failures:
        print(f"Error: {failure.message}", f"  {failure.hint}", sep="\n", file=sys.stderr)
    if report.failures:
        raise typer.Exit(1)


def _exit_code(report: Report, declared: bool) -> None:
    """Exit 3 where a bundle fails, or where a margin was asked for and cannot be tested."""
    missing = report.unjudged if declared else []
    for name in missing:
        print(f"Failed: {name}: its float parent is not here, so its drop is not known", file=sys.stderr)
    if report.failed or missing:
        raise typer.Exit(3)
