"""Everything that a report shows, gathered once into one plain structure: the JSON of `edgebrain report`.

HTML, Markdown, JUnit, model card and MLPerf's fields read this structure and nothing else. `report.schema` names its
fields.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgebrain import __version__
from edgebrain.benchmarking.schema import DATA, machines
from edgebrain.bundle import CLASSES
from edgebrain.errors import BadData, EdgebrainError
from edgebrain.evaluation.bootstrap import mean_interval
from edgebrain.evaluation.reliability import reliability
from edgebrain.evaluation.scores import ImageScore, confusion, group_values
from edgebrain.evaluation.verdict import FEWEST_GROUPS
from edgebrain.files import sha256_file
from edgebrain.reporting import mlperf, pictures, run_artifacts, summary
from edgebrain.reporting.inputs import LeftOut, Source
from edgebrain.reporting.schema import GENERATOR, SCHEMA
from edgebrain.reporting.table import speedups

Row = Mapping[str, Any]
Progress = Callable[[str, int, int], None]


def gather(
    sources: Sequence[Source],
    left_out: Sequence[LeftOut] = (),
    data: Path | None = None,
    progress: Progress = lambda what, done, total: None,
) -> dict[str, Any]:
    """The page as JSON object.

    data: where the pictures lie; else where each bench found them. progress: told (what, done, total).
    """
    return {
        "generator": GENERATOR,
        "schema": SCHEMA,
        "version": __version__,
        "reports": [_report(part, data, progress) for source in sources for part in by_target(source)],
        "left_out": [{"name": one.name, "message": one.problem.message, "hint": one.problem.hint} for one in left_out],
    }


def by_target(source: Source) -> list[Source]:
    """A bench of several targets as one of each, with its own machine; as it is where there is one.

    A target that was only scored, for the comparison with another machine, is left out.
    """
    bench = source.bench
    named = machines(bench)
    rows = {target: [row for row in bench["results"] if row["target"] == target] for target in named}
    told = [target for target in named if any(row["queries"] or row.get("emulated") for row in rows[target])]
    if len(told or named) == len(named) == 1:
        return [source]
    return [
        replace(source, bench={**bench, "results": rows[target], "environment": named[target], "environments": None})
        for target in told or named
    ]


def _report(source: Source, data: Path | None, progress: Progress) -> dict[str, Any]:
    bench = source.bench
    machine = run_artifacts.machine_name(bench["environment"])
    rows = _rows(bench, machine)
    place = summary.headline(rows)
    return {
        "source": str(source.path),
        "source_sha256": sha256_file(source.path),
        "machine": machine,
        **{key: bench[key] for key in ("environment", "protocol", "suite", "notes")},
        # A bench that was not started by the command need not say where its slices come from.
        "data": {**dict.fromkeys(DATA), **bench["data"]},
        "rows": rows,
        "headline": {"row": place, "rule": summary.RULE},
        "worst": _worst(source, rows, place, data, progress),
        "layers": run_artifacts.layers(source, rows[place]),
        "audit": run_artifacts.audit(source),
        "training": run_artifacts.training(source),
        "lineage": run_artifacts.lineage(source, rows),
    }


def _rows(bench: Mapping[str, Any], machine: str) -> list[dict[str, Any]]:
    faster = speedups(bench)
    best = summary.frontier(bench["results"])
    scored = [_of_scores(entry, bench["suite"]["sampling"]) for entry in bench["images"]]
    return [
        {
            **{key: value for key, value in row.items() if key != "blocks"},
            **scored[row["images"]],
            # Reports that were written before a row could be invalid lack the word.
            "invalid": row.get("invalid"),
            "parent": summary.parent_of(row, bench["results"]),
            "speedup": faster.get(place),
            "on_frontier": place in best,
            "mlperf": mlperf.single_stream(row, machine),
        }
        for place, row in enumerate(bench["results"])
    ]


def _of_scores(entry: Mapping[str, Any], sampling: Mapping[str, Any]) -> dict[str, Any]:
    """What the per-image scores of a bundle give beyond the means: the interval of the Dice, and the calibration."""
    scores = [ImageScore.from_json(score) for score in entry["scores"]]
    low, high = _dice_interval(scores, sampling)
    # A softmax in float32 may sum to a little more than 1.
    sure = np.array([min(1.0, max(score.class_probabilities)) for score in scores])
    found = reliability(sure, np.array([score.is_right for score in scores])) if scores else None
    classes = _classes(scores)
    return {
        "dice_low": low,
        "dice_high": high,
        "reliability": None if found is None else asdict(found),
        "classes": classes,
        "confusion": confusion(scores, classes).tolist(),
    }


def _classes(scores: Sequence[ImageScore]) -> list[str]:
    """Our classes in their order, or another data set's by name: a bench report does not keep their order."""
    met = {label for score in scores for label in (score.label, score.predicted)}
    return list(CLASSES) if met <= set(CLASSES) else sorted(met)


def _dice_interval(scores: Sequence[ImageScore], sampling: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """The interval of the mean Dice over groups, as the verdict's are made; None with too few groups for one."""
    values = np.array(group_values(scores, "dice"))
    if len(values) < FEWEST_GROUPS:
        return None, None
    low, high = mean_interval(values, sampling["confidence"], sampling["resamples"], sampling["seed"])
    return tuple(float(end) if np.isfinite(end) else None for end in (low, high))  # type: ignore[return-value]


def _worst(source: Source, rows: Sequence[Row], place: int, data: Path | None, progress: Progress) -> dict[str, Any]:
    """The worst slices of the headline bundle with the float parent's figures beside, and their pictures."""
    row = rows[place]
    parent = None if row["parent"] is None else rows[row["parent"]]
    drawn = None if parent is None else pictures.stand_in(parent, row, rows)
    images = source.bench["images"]
    chosen = pictures.worst_scores([ImageScore.from_json(score) for score in images[row["images"]]["scores"]])
    before = {} if parent is None else _by_name(images[parent["images"]])
    names = [score.name for score in chosen]
    shown: dict[str, dict[str, Any]] = {}
    told: dict[str, str] = {}
    lacking = None
    try:
        if names:
            shown, told = pictures.pictures(source, row, drawn, data, progress, names)
    except EdgebrainError as problem:
        lacking = _way_out(source, problem)
    return {
        "rule": pictures.RULE,
        "bundle": row["bundle"],
        "parent": None if parent is None else parent["bundle"],
        "parent_drawn": None if drawn is None else drawn["bundle"],
        "missing": lacking,
        "slices": [_slice(score, before.get(score.name), shown, told) for score in chosen],
    }


def _way_out(source: Source, problem: EdgebrainError) -> dict[str, str]:
    """Pictures need the bundles and the data: how to get them."""
    if isinstance(problem, BadData):
        return run_artifacts.missing(problem.message, f"edgebrain report {source.run or 'RUN'} --data FOLDER")
    return run_artifacts.missing(problem.message, problem.hint)


def _slice(
    score: ImageScore, parent: ImageScore | None, shown: Mapping[str, Any], told: Mapping[str, str]
) -> dict[str, Any]:
    figures = score.as_json()
    before = None if parent is None else parent.as_json()
    return {
        **{key: figures[key] for key in ("name", "group", "label", "plane", "predicted")},
        "healthy": not score.is_tumour,
        "dice": figures["dice"] if score.is_tumour else None,
        "true_share": None if score.true_area is None else score.true_area / score.pixels,
        "marked_share": score.marked_share,
        "parent_dice": None if before is None or not score.is_tumour else before["dice"],
        "parent_predicted": None if before is None else before["predicted"],
        "parent_marked_share": None if parent is None else parent.marked_share,
        "picture": shown.get(score.name),
        "not_shown": told.get(score.name),
    }


def _by_name(entry: Mapping[str, Any]) -> dict[str, ImageScore]:
    return {score["name"]: ImageScore.from_json(score) for score in entry["scores"]}
