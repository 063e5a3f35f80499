"""The bench: for each target, a worker for each bundle and thread count; requests in turn; a report of the answers.

What predicts, times and scores is the runtime, in processes of its own. Targets are measured one after the other, so
that none disturbs another.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from edgebrain.benchmarking.build_report import build_report
from edgebrain.benchmarking.lineage import with_roots
from edgebrain.benchmarking.report import DataFacts, Report
from edgebrain.benchmarking.resume import as_request, restore
from edgebrain.benchmarking.slices import LabelledSlice, spread
from edgebrain.benchmarking.suite import Suite
from edgebrain.benchmarking.target_run import HERE, State, TargetRun
from edgebrain.benchmarking.verify_bundle import check_claims
from edgebrain.bundle import Bundle
from edgebrain.progress import Progress, no_progress
from edgebrain.runtime.engines import runs_here
from edgebrain.targets import refuse_doubles, shown_name
from edgebrain.targets.slices import Slice


def run_bench(
    bundles: Sequence[Path],
    slices: Sequence[LabelledSlice],
    threads: Sequence[int],
    queries: int,
    targets: Sequence[str] = (HERE,),
    data: DataFacts | None = None,
    suite: Suite | None = None,
    progress: Progress = no_progress,
    earlier: Report | None = None,
) -> Report:
    """Measure and score bundles on targets, one after the other, and the float roots of their lineages on this machine.

    Where a target is another machine, everything is scored here too: a drop there has a part of quantization (float
    here, int8 here) and a part of the device (int8 here, int8 there).

    Args:
        bundles: Bundles to measure.
        slices: The slices to score; the timed ones are taken from them.
        threads: Thread counts; empty for those of each target's file, or 1.
        queries: Timed queries of each row.
        targets: Where to measure.
        data: Facts about the slices that the report holds.
        suite: The margins of the verdict.
        progress: Called with what is being done, steps done and steps in all.
        earlier: A report of the same bench. Targets that were measured to the end are not measured again, and what was
            measured on others before they were lost is kept.

    Returns:
        The report. A target that failed is in its `failures`, with the rows of the others and what was measured before.

    Raises:
        EdgebrainError: The problem of the first target where none was measured; for example WorkerFailed (a worker
            died), AnswersDiffer (timed queries were not answered as scored slices were), TargetFailed.
        BadBundle: A file is not what its manifest claims.
        BadTarget: Two targets have one name.
    """
    refuse_doubles(targets)
    family = with_roots(bundles)
    notes = [*family.notes, *filter(None, map(check_claims, family.bundles))]
    files = [one.file for one in slices]
    runs = [TargetRun(name, earlier=restore(shown_name(name), earlier, family.bundles)) for name in targets]
    with ExitStack() as open_targets:
        # Fail fast: report a missing device before measuring for an hour.
        for run in runs:
            run.connect(open_targets)
            run.prepare(family.bundles, files)
        measured = [*_reference(runs, earlier, family.bundles, files, open_targets), *runs]
        for run in measured:
            run.measure(slices, spread(slices, queries), threads, queries, progress)
    if not any(run.measurements for run in runs):
        raise next(run.problem for run in runs if run.problem)
    facts = data or DataFacts(slices=len(slices))
    request = as_request(bundles, targets, threads)
    return build_report(measured, family, queries, facts, suite or Suite(), request, notes, progress)


def _reference(
    runs: Sequence[TargetRun],
    earlier: Report | None,
    bundles: Sequence[Bundle],
    files: Sequence[Slice],
    open_targets: ExitStack,
) -> list[TargetRun]:
    """This machine, to be scored only, where other machines were asked for and it was not."""
    reference = TargetRun(HERE, timed=False, earlier=restore(HERE, earlier, bundles))
    runnable = [one for one in bundles if runs_here(one.format, HERE)]
    reached = any(run.problem is None for run in runs)
    if any(run.here for run in runs) or not (reference.state is State.DONE or (reached and runnable)):
        return []
    reference.connect(open_targets)
    reference.prepare(runnable, files)
    return [reference]
