"""Everything that a report shows, put together once: HTML, Markdown, JUnit, model card and MLPerf's fields read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path

import numpy as np

from edgebrain import __version__
from edgebrain.benchmarking.report import Report, ScoredBundle
from edgebrain.benchmarking.report_row import RowFigures
from edgebrain.bundle import CLASSES
from edgebrain.errors import BadData, BadReport, EdgebrainError
from edgebrain.evaluation.bootstrap import mean_interval
from edgebrain.evaluation.reliability import reliability
from edgebrain.evaluation.scores import ImageScore, confusion, group_values
from edgebrain.evaluation.verdict import FEWEST_GROUPS, Sampling
from edgebrain.files import sha256_file
from edgebrain.progress import Progress, no_progress
from edgebrain.reporting import mlperf, pictures, run_artifacts, summary
from edgebrain.reporting.bench_tables import speedups
from edgebrain.reporting.inputs import LeftOut, Source
from edgebrain.reporting.page import (
    Headline,
    LeftOutFile,
    Missing,
    Page,
    PageReport,
    PageRow,
    Picture,
    Reliability,
    Worst,
    WorstSlice,
)
from edgebrain.settings import from_builtins


def build_page(
    sources: Sequence[Source],
    left_out: Sequence[LeftOut] = (),
    data: Path | None = None,
    progress: Progress = no_progress,
) -> Page:
    """Put the page together.

    Args:
        sources: Bench reports.
        left_out: What was named and cannot be used.
        data: Data folder of the pictures; else the one that each bench used.
        progress: Called with what is being done, steps done and steps in all.
    """
    return Page(
        version=__version__,
        reports=tuple(_report(part, data, progress) for source in sources for part in by_target(source)),
        left_out=tuple(LeftOutFile(one.name, one.problem.message, one.problem.hint) for one in left_out),
    )


def by_target(source: Source) -> list[Source]:
    """A bench of several targets as one of each, with its own machine; as it is where there is one.

    A target that was only scored, for the comparison with another machine, is left out.
    """
    bench = source.bench
    rows = {target: tuple(row for row in bench.results if row.target == target) for target in bench.environments}
    shown = [target for target in rows if any(row.queries or row.emulated for row in rows[target])] or list(rows)
    if len(shown) == len(rows) == 1:
        return [source]
    return [
        replace(source, bench=replace(bench, results=rows[target], environments={target: bench.environments[target]}))
        for target in shown
        if rows[target]
    ]


def _report(source: Source, data: Path | None, progress: Progress) -> PageReport:
    bench = source.bench
    environment = next(iter(bench.environments.values()))
    machine = run_artifacts.machine_name(environment)
    rows = _rows(bench, machine)
    chosen = summary.headline(rows)
    return PageReport(
        source=str(source.path),
        source_sha256=sha256_file(source.path),
        machine=machine,
        environment=environment,
        protocol=bench.protocol,
        suite=bench.suite,
        data=bench.data,
        notes=bench.notes,
        rows=rows,
        headline=Headline(chosen, summary.RULE),
        worst=_worst(source, rows, rows[chosen], data, progress),
        layers=run_artifacts.layers(source, rows[chosen]),
        audit=run_artifacts.audit(source),
        training=run_artifacts.training(source),
        lineage=tuple(run_artifacts.lineage(source, rows)),
    )


def _rows(bench: Report, machine: str) -> tuple[PageRow, ...]:
    faster, best = speedups(bench), summary.frontier(bench.results)
    entries = [entry.image_scores() for entry in bench.images]
    names = [field.name for field in fields(RowFigures)]
    rows = []
    for index, row in enumerate(bench.results):
        scores = entries[row.images]
        low, high = _dice_interval(scores, bench.suite.sampling)
        classes = _classes(scores)
        figures = {name: getattr(row, name) for name in names}
        # A bench report does not keep the order of the classes, so the matrix is counted again.
        figures["confusion"] = tuple(map(tuple, confusion(scores, classes).tolist()))
        rows.append(
            PageRow(
                **figures,
                dice_low=low,
                dice_high=high,
                reliability=_reliability(scores),
                classes=classes,
                parent=summary.parent_of(row, bench.results),
                speedup=faster.get(index),
                on_frontier=index in best,
                mlperf=mlperf.single_stream(row, machine),
            )
        )
    return tuple(rows)


def _reliability(scores: Sequence[ImageScore]) -> Reliability | None:
    """The calibration of the class probabilities; None where nothing was scored."""
    if not scores:
        return None
    # A softmax in float32 may sum to a little more than 1.
    sure = np.array([min(1.0, max(score.class_probabilities)) for score in scores])
    found = reliability(sure, np.array([score.is_right for score in scores]))
    return from_builtins(asdict(found), Reliability, "scores", BadReport)


def _classes(scores: Sequence[ImageScore]) -> tuple[str, ...]:
    """Our classes in their order, or another data set's by name."""
    met = {label for score in scores for label in (score.label, score.predicted)}
    return tuple(CLASSES) if met <= set(CLASSES) else tuple(sorted(met))


def _dice_interval(scores: Sequence[ImageScore], sampling: Sampling) -> tuple[float | None, float | None]:
    """The interval of the mean Dice over groups, as the verdict's are made; None with too few groups for one."""
    values = np.array(group_values(scores, "dice"))
    if len(values) < FEWEST_GROUPS:
        return None, None
    low, high = mean_interval(values, sampling.confidence, sampling.resamples, sampling.seed)
    return (float(low) if np.isfinite(low) else None), (float(high) if np.isfinite(high) else None)


def _worst(source: Source, rows: Sequence[PageRow], row: PageRow, data: Path | None, progress: Progress) -> Worst:
    """The worst slices of the headline bundle with the float parent's figures, and their pictures."""
    parent = None if row.parent is None else rows[row.parent]
    drawn = None if parent is None else pictures.drawn_parent(parent, row, rows)
    images = source.bench.images
    chosen = pictures.worst_scores(images[row.images].image_scores())
    before = {} if parent is None else _by_name(images[parent.images])
    names = [score.name for score in chosen]
    shown: Mapping[str, Picture] = {}
    reasons: Mapping[str, str] = {}
    lacking = None
    try:
        if names:
            shown, reasons = pictures.draw(source, row, drawn, data, progress, names)
    except EdgebrainError as problem:
        lacking = _way_out(source, problem)
    return Worst(
        rule=pictures.RULE,
        bundle=row.bundle,
        parent=None if parent is None else parent.bundle,
        parent_drawn=None if drawn is None else drawn.bundle,
        missing=lacking,
        slices=tuple(
            _slice(score, before.get(score.name), shown.get(score.name), reasons.get(score.name)) for score in chosen
        ),
    )


def _way_out(source: Source, problem: EdgebrainError) -> Missing:
    """Pictures need the bundles and the data: how to get them."""
    if isinstance(problem, BadData):
        return Missing(problem.message, f"edgebrain report {source.run or 'RUN'} --data FOLDER")
    return Missing(problem.message, problem.hint)


def _slice(score: ImageScore, parent: ImageScore | None, picture: Picture | None, not_shown: str | None) -> WorstSlice:
    return WorstSlice(
        name=score.name,
        group=score.group,
        label=score.label,
        plane=score.plane,
        predicted=score.predicted,
        healthy=not score.is_tumour,
        dice=score.as_json()["dice"] if score.is_tumour else None,
        true_share=None if score.true_area is None else score.true_area / score.pixels,
        marked_share=score.marked_share,
        parent_dice=None if parent is None or not score.is_tumour else parent.as_json()["dice"],
        parent_predicted=None if parent is None else parent.predicted,
        parent_marked_share=None if parent is None else parent.marked_share,
        picture=picture,
        not_shown=not_shown,
    )


def _by_name(entry: ScoredBundle) -> dict[str, ImageScore]:
    return {score.name: score for score in entry.image_scores()}
