"""A small data set, bundles with a lineage, and a report, for the tests of the bench."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import pytest

from edgebrain.benchmarking import slices
from edgebrain.benchmarking.noise import noise_of
from edgebrain.benchmarking.report import SCHEMA, parse_report
from edgebrain.benchmarking.report_row import Percentiles, Row
from edgebrain.benchmarking.schema import type_name
from edgebrain.benchmarking.slices import LabelledSlice
from edgebrain.benchmarking.suite import Suite
from edgebrain.bundle import Bundle
from edgebrain.data.sample import Dataset, Record
from edgebrain.evaluation.scores import FIGURES, ImageScore, group_means, summarise
from edgebrain.runtime.environment import environment
from edgebrain.settings import as_builtins
from tests.runtime.pictures import bright_disc, save
from tests.runtime.tiny import tiny_bundle


def records(folder: Path, tumours: int = 4, healthy: int = 2) -> list[Record]:
    """Slices with a bright disc and its mask, and dark ones without."""
    found = []
    for number in range(tumours):
        image = bright_disc(64 + number, 60)
        picture = save(folder / f"t{number}.png", image)
        mask = save(folder / f"t{number}_mask.png", (image > 128).astype(np.uint8) * 255)
        found.append(Record(picture.name, picture, mask, "glioma", "axial", "test", f"g{number}"))
    for number in range(healthy):
        picture = save(folder / f"h{number}.png", np.full((50, 50), 10 * number, np.uint8))
        found.append(Record(picture.name, picture, None, "no_tumor", "axial", "test", f"h{number}"))
    return found


def slices_of(found: Sequence[Record]) -> list[LabelledSlice]:
    """Slices as the bench reads them."""
    return [LabelledSlice.of(record, record.load()) for record in found]


def labelled(folder: Path, tumours: int = 4, healthy: int = 2) -> list[LabelledSlice]:
    """The slices of `records`, read."""
    return slices_of(records(folder, tumours, healthy))


def run_folder(folder: Path, data: Path | str = "") -> tuple[Path, Bundle, list[Bundle]]:
    """A run with a root (in ONNX, which needs no Keras) and three children. Returns: run, root, children."""
    run = folder / "run"
    run.mkdir()
    (run / "run.json").write_text(json.dumps({"data": {"path": str(data)}}))
    root = tiny_bundle(run / "float", "onnx")
    lineage = {"parent": root.manifest_sha256}
    kinds = (("tflite", "float32"), ("tflite", "int8"), ("openvino", "float32"))
    return run, root, [tiny_bundle(run / "bundles" / f"{f}-{p}", f, p, lineage=lineage) for f, p in kinds]


def run_in_working_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The run of `run_folder` below the working folder, whose data set needs no reader."""
    found = tuple(records(folder / "data"))
    monkeypatch.setattr(slices, "open_dataset", lambda path: Dataset(path, "fake", found))
    (folder / "runs").mkdir()
    monkeypatch.chdir(folder)
    return run_folder(folder / "runs", folder / "data")[0]


def scores(tumours: int = 30, healthy: int = 20, dice: float = 0.9, wrong: int = 0) -> list[ImageScore]:
    """Scores of tumours with one Dice, then healthy slices; the first `wrong` have another class. A group each."""
    found = []
    for number in range(tumours + healthy):
        label = "glioma" if number < tumours else "no_tumor"
        nothing = math.nan if label == "no_tumor" else dice
        found.append(
            ImageScore(
                name=f"s{number}",
                group=f"g{number}",
                label=label,
                plane="axial",
                predicted="pituitary" if number < wrong else label,
                class_probabilities=(0.7, 0.1, 0.1, 0.1),
                dice=nothing,
                iou=nothing,
                pixel_accuracy=0.9,
                sensitivity=nothing,
                specificity=0.9,
                true_area=100 if label == "glioma" else 0,
                predicted_area=100 if label == "glioma" else 0,
                pixels=2500,
            )
        )
    return found


def verdict(outcome: str = "REFERENCE", reason: str | None = "the float root", **changes: Any) -> dict[str, Any]:
    """A row's verdict without comparisons."""
    return {"outcome": outcome, "reason": reason, "comparisons": [], **changes}


def row(judged: Sequence[ImageScore] = (), **changes: Any) -> dict[str, Any]:
    """One row of a report as JSON, every field filled; its figures follow from `judged`, or from `scores()`."""
    blank: dict[str, Any] = {"number": 1.0, "integer": 1, "string": "x", "list": [], "object": {}, "boolean": False}
    types = get_type_hints(Row, include_extras=True)
    filled = {field.name: blank[type_name(types[field.name]).split(" or ")[0]] for field in fields(Row)}
    times = {field.name: 2.0 for field in fields(Percentiles)}
    filled |= {"latency_ms": times, "engine_ms": times, "decode_ms": times, "threads": 1, "target": "cpu"}
    filled |= {"noise": as_builtins(noise_of([])), "invalid": None, "device_drop": None}
    filled |= {"runs": {"engine": "litert", "precision": "float32"}, "drop": {"dice": 0.0, "accuracy": 0.0}}
    filled |= {"images": 0, "float_parent": "root", "verdict": verdict(), **figures(judged)}
    return {**filled, **changes}


def state(**changes: Any) -> dict[str, Any]:
    """A machine before or after a block, as JSON."""
    quiet = {"governor": None, "frequency_mhz": None, "temperature_c": None, "load": 0.0, "throttled": None}
    return {**quiet, "ticks": {"total": 0, "steal": 0}, **changes}


def block(predict_ns: Sequence[int] = (100,) * 32, **changes: Any) -> dict[str, Any]:
    """A block of queries as JSON."""
    empty = {"engine_ns": [], "decode_ns": [], "before": state(), "after": state()}
    return {"predict_ns": list(predict_ns), **empty, **changes}


def typed_rows(*rows: dict[str, Any]) -> list[Row]:
    """Rows of JSON as the code reads them."""
    return list(parse_report(report(*rows)).results)


def figures(judged: Sequence[ImageScore] = ()) -> dict[str, Any]:
    """The quality of a row, from its scores."""
    found = list(judged) or scores()
    means = summarise(found)
    counts = {**means["counts"], "groups": len({one.group for one in found})}
    return {**group_means(found), "slice_means": {name: means[name] for name in FIGURES}, "counts": counts}


def images(judged: Sequence[ImageScore] = ()) -> dict[str, Any]:
    """An entry of a report's images, as JSON."""
    return {"bundle": "x", "path": "x", "threads": 1, "scores": [one.as_json() for one in list(judged) or scores()]}


def report(*rows: dict[str, Any], scored: Sequence[Sequence[ImageScore]] = ()) -> dict[str, Any]:
    """A report as JSON with these rows. scored: the entries of `images`; else one with `scores()`."""
    protocol = {
        "queries": 64,
        "rounds": 2,
        "block": 32,
        "warm_up": 10,
        "settle": 2,
        "timed_slices": 9,
        "threads": [1],
        "batch": 1,
    }
    data = {"path": "/data", "split": "test", "source": "the run's split", "slices": 9, "names_sha256": "0" * 64}
    return {
        "schema": SCHEMA,
        "environments": {target: environment() for target in dict.fromkeys(row["target"] for row in rows) or ["cpu"]},
        "protocol": protocol,
        "suite": as_builtins(Suite().record()),
        "data": data,
        "results": list(rows),
        "images": [images(one) for one in scored or [()]],
        "notes": [],
    }
