"""Measuring bundles on targets, and comparing two bench reports."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from edgebrain.api.arguments import AnyPath, as_names, as_path, as_paths, check_count, optional_path
from edgebrain.api.defaults import all_bundles
from edgebrain.files import claim_file, write_json, write_text
from edgebrain.progress import Notify, Progress, no_notice, no_progress
from edgebrain.runs import run_of

if TYPE_CHECKING:
    from edgebrain.benchmarking.compare import ReportChange
    from edgebrain.benchmarking.report import Report
    from edgebrain.benchmarking.resume import BenchRequest
    from edgebrain.benchmarking.suite import Suite


def bench(
    bundles: AnyPath | Iterable[AnyPath] | None = None,
    *,
    target: str | Iterable[str] = "cpu",
    threads: int | Iterable[int] | None = None,
    data: AnyPath | None = None,
    split: str = "test",
    queries: int = 704,
    max_images: int | None = None,
    suite: AnyPath | Suite | None = None,
    max_dice_drop: float | None = None,
    allow_rejected: bool = False,
    progress: Progress = no_progress,
    notify: Notify = no_notice,
    on_report: Callable[[Report], None] = lambda report: None,
) -> Report:
    """Time and score bundles on targets, and compare their accuracy with the float model that they were made from.

    The report is also saved in the run folder of the bundles: bench.json and bench.md, or bench-2.json and so on where
    these exist.

    Args:
        bundles: Bundles, or folders with some; those of the newest finished run when left out.
        target: Where to run, one or several: cpu, gpu, coral, a name from deploy/*.toml, user@host.
        threads: Thread counts, one or several; the target file's, or 1, when left out.
        data: Folder of a data set; the run's own when left out.
        split: Split to score: train, val, test or all.
        queries: Timed inferences per row. The percentiles are MLPerf's early-stopping estimates, which need 64 queries
            for p90 and 662 for p99.
        max_images: Score at most this many slices, evenly spaced over the split.
        suite: The accepted drops, as a Suite or a TOML file; 0.005 of mean Dice and more when left out.
        max_dice_drop: Replaces the suite's margin of the mean Dice; 0.005 is half a point.
        allow_rejected: Continue even if a whole class, or more than a tenth of the masks, cannot be used.
        progress: Called with what is being done, the number of steps done and the number in all.
        notify: Called with messages for the user: slices that are left out, and where the report was saved.
        on_report: Called with the finished report before it is saved, so that the figures survive a failed write.

    Returns:
        The report, as docs/bench-schema.md describes it. A target that could not be measured is in its `failures`.

    Raises:
        BadBundle, BadData, BadSuite, BadTarget: What was given cannot be used.
        TargetFailed, WorkerFailed: No target could be measured.

    Example:
        >>> report = edgebrain.bench("runs/demo-1/bundles/tflite-int8", threads=(1, 2), queries=64, max_images=12)
        >>> [(row.format, row.verdict.outcome) for row in report.results if row.threads == 2]
        [('keras', 'REFERENCE'), ('tflite', 'INCONCLUSIVE')]
    """
    from edgebrain.benchmarking.resume import BenchRequest

    check_count(queries, "queries")
    counts = [threads] if isinstance(threads, int) else list(threads or ())
    for count in counts:
        check_count(count, "threads")
    if max_images is not None:
        check_count(max_images, "max_images")
    request = BenchRequest(
        all_bundles(as_paths(bundles, "bundles")),
        as_names(target, "target"),
        counts,
        queries,
        optional_path(data, "data"),
        split,
        max_images,
        resolve_suite(suite, max_dice_drop),
        allow_rejected,
    )
    return _run_and_save(request, None, "", progress, notify, on_report)


def resume_bench(
    path: AnyPath,
    *,
    progress: Progress = no_progress,
    notify: Notify = no_notice,
    on_report: Callable[[Report], None] = lambda report: None,
) -> Report:
    """Resume a bench in which a target failed; the whole report replaces the one in that file.

    Args:
        path: The report, as `bench` saved it or `edgebrain bench --json` wrote it.
        progress: As in `bench`.
        notify: As in `bench`.
        on_report: As in `bench`.

    Returns:
        The whole report.

    Raises:
        BadReport: Nothing is left to measure, or the bundles, slices or machines differ from those in the report.
        TargetFailed, WorkerFailed: No target could be measured.

    Example:
        >>> edgebrain.resume_bench("before.json")
        Traceback (most recent call last):
            ...
        edgebrain.errors.BadReport: before.json: nothing is left to measure, no target failed
          measure anew, without --resume
    """
    from edgebrain.benchmarking.report import read_report
    from edgebrain.benchmarking.resume import BenchRequest

    file = as_path(path, "path")
    earlier = read_report(file)
    return _run_and_save(BenchRequest.from_report(earlier, str(file)), earlier, str(file), progress, notify, on_report)


def compare(first: AnyPath, second: AnyPath) -> ReportChange:
    """List which rows became slower or faster between two reports, and which changes are within the noise.

    Args:
        first: A report of `bench`.
        second: A later one.

    Returns:
        For each pair of rows the change with its interval, and the change to be expected from noise alone.

    Raises:
        BadReport: One cannot be read.
        UnlikeReports: They were measured under different conditions (processor, threads, slices, protocol).

    Example:
        >>> [row.finding for row in edgebrain.compare("before.json", "before.json").rows]
        ['no difference', 'no difference']
    """
    from edgebrain.benchmarking.compare import compare_reports
    from edgebrain.benchmarking.report import read_report

    one, other = as_path(first, "first"), as_path(second, "second")
    return compare_reports(read_report(one), read_report(other), (str(one), str(other)))


def resolve_suite(suite: AnyPath | Suite | None, max_dice_drop: float | None) -> Suite:
    """The margins of a file, or the usual ones; another Dice margin where one is given. Raises BadSuite."""
    from edgebrain.benchmarking.suite import Suite, load_suite

    if suite is None:
        declared = Suite()
    elif isinstance(suite, Suite):
        declared = suite
    else:
        declared = load_suite(as_path(suite, "suite"))
    return declared if max_dice_drop is None else declared.with_dice_margin(max_dice_drop)


def _run_and_save(
    request: BenchRequest,
    earlier: Report | None,
    source: str,
    progress: Progress,
    notify: Notify,
    on_report: Callable[[Report], None],
) -> Report:
    """Measure what is asked for, and keep the report. earlier, source: the report to go on with, and its file."""
    from edgebrain.benchmarking.resume import refuse_other_slices
    from edgebrain.benchmarking.run import run_bench
    from edgebrain.benchmarking.slices import choose_slices
    from edgebrain.bundle import open_bundle
    from edgebrain.targets import refuse_unknown

    if earlier is None:
        # Before the slices are read, which takes minutes for a large data set.
        refuse_unknown(request.targets)
    run = run_of(request.bundles[0])
    opened = [open_bundle(path) for path in request.bundles]
    slices, facts = choose_slices(run, request.data, request.split, request.slices, opened, request.allow_rejected)
    if facts.left_out:
        notify(facts.left_out)
    if earlier is not None:
        refuse_other_slices(earlier, facts, source)
    report = run_bench(
        request.bundles, slices, request.threads, request.queries, request.targets, facts, request.suite, progress,
        earlier,
    )  # fmt: skip
    on_report(report)
    _save_report(report, run, Path(source) if source else None, notify)
    return report


def _save_report(report: Report, run: Path | None, resumed: Path | None, notify: Notify) -> None:
    """Save the report in the run folder, next to those of earlier benches; a resumed one replaces its own file."""
    from edgebrain.benchmarking.report import as_json
    from edgebrain.reporting.bench_tables import as_markdown

    in_run = resumed is not None and resumed.parent == run
    if resumed is not None and not in_run:
        write_json(resumed, as_json(report))
    if run is not None:
        path = resumed if resumed is not None and in_run else claim_file(run / "bench.json")
        write_json(path, as_json(report))
        write_text(path.with_suffix(".md"), as_markdown(report))
        notify(f"report: {path.with_suffix('.md')}")
