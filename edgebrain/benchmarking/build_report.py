"""The report of what was measured: rows, verdicts, scores and notes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from edgebrain.benchmarking.lineage import Family
from edgebrain.benchmarking.measurement import Measurement
from edgebrain.benchmarking.noise import doubts, invalid_because, noise_of
from edgebrain.benchmarking.report import (
    DataFacts,
    Failure,
    Note,
    Protocol,
    Report,
    Request,
    ScoredBundle,
    ScoredSlice,
)
from edgebrain.benchmarking.report_row import NOT_JUDGED, REFERENCE, Counts, DeviceDrop, Drop, Row, RowVerdict
from edgebrain.benchmarking.suite import Suite
from edgebrain.benchmarking.target_run import BLOCK, TargetRun
from edgebrain.evaluation.scores import FIGURES, group_means, summarise
from edgebrain.evaluation.verdict import FAIL, judge_bundle
from edgebrain.progress import Progress
from edgebrain.runtime.latency import SETTLE, WARM_UP

# A measurement and the target that it was made on.
Measured = tuple[TargetRun, Measurement]


def build_report(
    runs: Sequence[TargetRun],
    family: Family,
    queries: int,
    data: DataFacts,
    suite: Suite,
    request: Request,
    notes: Sequence[Note],
    progress: Progress,
) -> Report:
    """Put what was measured into a report.

    Args:
        runs: The targets, measured.
        family: The bundles and their float roots.
        queries: Timed queries of each row.
        data: Which slices.
        suite: The margins of the verdict.
        request: What was asked for.
        notes: What is missing before anything was measured.
        progress: Called with "judging", bundles judged and bundles in all.
    """
    here = next((run for run in runs if run.here), None)

    def find_root(run: TargetRun, measured: Measurement) -> Measurement | None:
        root = family.root(measured.bundle)
        if run.here and root is measured.bundle:
            return measured
        return None if root is None or here is None else here.first(root)

    measured = [(run, one) for run in runs for one in run.measurements]
    # Thread counts that change no answer share their scores: each is judged once.
    scored = list({id(one.scores): (run, one) for run, one in reversed(measured)}.values())[::-1]
    verdicts = []
    for done, (run, one) in enumerate(scored):
        progress("judging", done, len(scored))
        verdicts.append(judge(one, find_root(run, one), suite))
    progress("judging", len(scored), len(scored))
    index_of = {id(one.scores): index for index, (_, one) in enumerate(scored)}
    rows = [
        _row(
            run, one, find_root(run, one), here.first(one.bundle) if here else None, index_of[id(one.scores)],
            verdicts[index_of[id(one.scores)]],
        )
        for run, one in measured
    ]  # fmt: skip
    return Report(
        environments={run.name: run.environment for run in runs if run.environment is not None},
        protocol=_protocol(queries, runs, measured, min(queries, data.slices)),
        suite=suite.record(),
        data=data,
        results=tuple(rows),
        images=tuple(_scored_bundle(run, one) for run, one in scored),
        failures=tuple(
            Failure(run.name, run.problem.message, run.problem.hint, len(run.measurements))
            for run in runs
            if run.problem is not None
        ),
        request=request,
        notes=(
            *notes,
            *(note for run in runs for note in run.notes),
            *_target_notes(runs),
            *_same_answer_notes(scored),
            *doubts(rows),
        ),
    )


def judge(measured: Measurement, root: Measurement | None, suite: Suite) -> RowVerdict:
    """The verdict on a row.

    Args:
        measured: The row's measurement, scored.
        root: That of its float root on this machine; the measurement itself where it is the root; None where the root
            was not measured.
        suite: The margins.
    """
    if root is None:
        return RowVerdict(NOT_JUDGED, "its float parent is not here", ())
    if root is measured:
        return RowVerdict(REFERENCE, "the float root", ())
    found = judge_bundle(root.scores, measured.scores, suite.margins, suite.sampling)
    same = measured.count_same_answers(root)
    if measured.answers_alike:
        # A broken model can keep within a margin where its root is as poor.
        return RowVerdict(FAIL, "one and the same answer to every slice", found.comparisons, same)
    return RowVerdict(found.outcome, None, found.comparisons, same)


def drop_of(root: Mapping[str, Any] | None, row: Mapping[str, Any]) -> Drop:
    """How much is lost against the float root, as a fraction of 1; None where the root was not measured.

    Args:
        root: Figures of the root by name.
        row: Figures of the row by name.
    """
    known = {key: (None if root is None else root[key], row[key]) for key in ("dice", "accuracy")}
    return Drop(**{key: None if a is None or b is None else a - b for key, (a, b) in known.items()})


def _row(
    run: TargetRun,
    measured: Measurement,
    root: Measurement | None,
    twin: Measurement | None,
    images: int,
    verdict: RowVerdict,
) -> Row:
    """A row of the report.

    Args:
        run: The target.
        measured: What was measured on it.
        root: The float root on this machine, or None.
        twin: This bundle on this machine, or None.
        images: Index of its scores.
        verdict: On the row.
    """
    bundle, real = measured.bundle, not run.emulated
    quality, means = summarise(measured.scores, bundle.classes), group_means(measured.scores)
    latency = measured.latency_ms()
    return Row(
        bundle=bundle.name,
        path=str(bundle.path),
        manifest_sha256=bundle.manifest_sha256,
        format=bundle.format,
        precision=bundle.precision,
        target=run.name,
        emulated=run.emulated,
        threads=measured.threads,
        runs=measured.opened.runs,
        size_bytes=bundle.model_bytes,
        parameters=int(bundle.manifest["parameters"]),
        macs=int(bundle.manifest["macs"]),
        int8_mac_share=bundle.manifest["int8_mac_share"],
        # Neither a duration nor the memory of an emulator describes the machine that it emulates.
        load_ms=measured.opened.load_ms if real else None,
        rss_after_load_mib=measured.opened.rss_mib if real else None,
        peak_rss_mib=measured.peak_rss_mib if real else None,
        latency_ms=latency,
        engine_ms=measured.engine_ms(),
        decode_ms=measured.decode_ms(),
        throughput_per_s=1e3 / latency.mean if latency.mean else None,
        throughput=tuple(measured.throughput),
        queries=measured.queries,
        noise=noise_of(measured.blocks),
        invalid=invalid_because(measured.blocks),
        blocks=tuple(measured.blocks),
        images=images,
        **means,
        slice_means={name: quality[name] for name in FIGURES},
        macro_f1=quality["macro_f1"],
        f1=quality["f1"],
        confusion=tuple(map(tuple, quality["confusion"])),
        counts=Counts(**quality["counts"], groups=len({score.group for score in measured.scores})),
        float_parent=None if root is None else root.bundle.name,
        drop=drop_of(None if root is None else group_means(root.scores), means),
        device_drop=None if run.here or twin is None else _device_drop(twin, measured),
        verdict=verdict,
    )


def _device_drop(here: Measurement, there: Measurement) -> DeviceDrop:
    """What the device adds to a bundle's drop, and on how many slices its raw outputs are other than here."""
    drop = drop_of(group_means(here.scores), group_means(there.scores))
    differing = sum(there.outputs[name] != sha256 for name, sha256 in here.outputs.items())
    return DeviceDrop(drop.dice, drop.accuracy, differing)


def _scored_bundle(run: TargetRun, measured: Measurement) -> ScoredBundle:
    scores = tuple(
        # An older report that this bench went on with lacks hashes of the answers.
        ScoredSlice.of(score, measured.outputs[score.name], measured.answers.get(score.name))
        for score in measured.scores
    )
    bundle = measured.bundle
    return ScoredBundle(bundle.name, str(bundle.path), measured.threads, scores, run.name)


def _protocol(queries: int, runs: Sequence[TargetRun], measured: Sequence[Measured], timed_slices: int) -> Protocol:
    return Protocol(
        queries=queries,
        rounds=max(run.rounds for run in runs),
        block=BLOCK,
        warm_up=WARM_UP,
        settle=SETTLE,
        timed_slices=timed_slices,
        threads=tuple(sorted({one.threads for _, one in measured})),
        batch=1,
    )


def _target_notes(runs: Sequence[TargetRun]) -> Iterator[Note]:
    """What a reader must know of each target's rows."""
    for run in runs:
        if run.measurements and not run.timed:
            text = f"{run.name}: scored for the comparison and not timed; add --target {run.name} to time it"
            yield Note("only-scored", text, run.name)
        elif run.measurements and run.emulated:
            yield Note("emulated", f"{run.name}: emulated, so nothing was timed; its scores count", run.name)
        if run.problem is not None:
            kept = f"; kept is what was measured before, {run.rounds} rounds" if run.measurements else ""
            yield Note("lost", f"{run.name} failed: {run.problem.message}{kept}", run.name)


def _same_answer_notes(scored: Sequence[Measured]) -> Iterator[Note]:
    for run, one in scored:
        if one.answers_alike:
            text = f"{one.bundle.name}, {one.threads} threads: one and the same answer to all {len(one.outputs)} slices"
            yield Note("same-answer", text, run.name, one.bundle.name)
