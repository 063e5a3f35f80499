"""Throughput on a GPU, whose name stands for the CPU here: in real workers, through the whole bench."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from edgebrain.benchmarking.measurement import Measurement
from edgebrain.benchmarking.report import as_json, parse_report
from edgebrain.benchmarking.run import run_bench
from edgebrain.benchmarking.throughput import FEWEST_CALLS, measure_throughput
from edgebrain.benchmarking.verify_report import check_figures
from edgebrain.errors import BadReport
from edgebrain.reporting.bench_tables import as_markdown
from edgebrain.targets.local import LocalTarget
from edgebrain.targets.worker import Worker
from tests.benchmarking.factories import labelled, report, row, state
from tests.reporting.test_bench_tables import LONG, shown
from tests.runtime.test_batched import reshaping
from tests.runtime.tiny import tiny_bundle

# Python runs it before anything else, in each worker.
SWAP = """
from edgebrain.runtime.engines import onnxruntime, openvino
openvino.DEVICES["gpu"] = "CPU"
onnxruntime.PROVIDERS["gpu"] = ("CPUExecutionProvider",)
"""


@pytest.fixture
def swapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the workers, the GPU's name stands for the CPU."""
    (tmp_path / "swap").mkdir()
    (tmp_path / "swap" / "sitecustomize.py").write_text(SWAP)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "swap"))


def entry(batch: int = 8, **changes: Any) -> dict[str, Any]:
    """One batch size of a row: 80 slices in 10 calls of 20 ms."""
    filled = {"batch": batch, "slices": 80, "slices_per_s": 400.0, "slices_differing": 0, "call_ns": [20_000_000] * 10}
    return {**filled, "before": state(), "after": state(), **changes}


@pytest.mark.usefixtures("swapped")
def test_a_gpu_is_measured_at_each_batch_size_and_a_cpu_is_not(tmp_path: Path) -> None:
    root = tiny_bundle(tmp_path / "float", "onnx")
    small = tiny_bundle(tmp_path / "openvino", "openvino", lineage={"parent": root.manifest_sha256})
    found = run_bench([root.path, small.path], labelled(tmp_path, 3, 2), [1], 7, ("cpu", "gpu"))
    rows = {(one["target"], one["bundle"]): one for one in as_json(found)["results"]}
    check_figures(found)
    assert rows["cpu", "float"]["throughput"] == rows["cpu", "openvino"]["throughput"] == []
    for name in ("float", "openvino"):
        told = rows["gpu", name]["throughput"]
        assert [(one["batch"], one["slices"]) for one in told] == [(1, 10), (8, 80), (32, 320)]
        assert all(len(one["call_ns"]) == FEWEST_CALLS and not one["slices_differing"] for one in told)
        assert all(one["before"]["ticks"] for one in told)
    assert "Throughput on gpu" in as_markdown(found)


@pytest.mark.usefixtures("swapped")
def test_what_cannot_be_answered_together_is_a_note_and_the_row_stands(tmp_path: Path) -> None:
    bundle = reshaping(tmp_path, as_node=True)
    found = as_json(run_bench([bundle.path], labelled(tmp_path, 1, 1), [1], 7, ("gpu",)))
    (told,) = (one for one in found["results"] if one["target"] == "gpu")
    assert [one["batch"] for one in told["throughput"]] == [1] and told["queries"] == 7 and not found["failures"]
    notes = [note["text"] for note in found["notes"] if (note["kind"], note["target"]) == ("no-throughput", "gpu")]
    assert len(notes) == 2 and "no throughput on gpu, batch 32" in notes[1] and "in one call" in notes[1]


def test_slices_that_are_answered_otherwise_together_are_counted_once_each(tmp_path: Path) -> None:
    bundle, shelf = tiny_bundle(tmp_path / "b", "onnx"), labelled(tmp_path, 2, 1)
    target = LocalTarget()
    target.prepare([bundle], [one.file for one in shelf])
    with Worker(target.start(bundle)) as worker:
        lane = Measurement.start(bundle, 1, worker, target, shelf)
        lane.score(shelf, lambda done: None)
        lane.close()
    names = [one.id for one in shelf]
    assert measure_throughput(lane, target, 2, names, 9).slices_differing == 0
    lane.outputs[names[1]] = "0" * 64
    told = measure_throughput(lane, target, 2, names, 25)
    assert (told.slices_differing, told.slices, len(told.call_ns)) == (1, 26, 13)
    target.close()


def test_a_rate_that_does_not_follow_from_its_durations_is_refused(tmp_path: Path) -> None:
    check_figures(parse_report(report(row(throughput=[entry()]))))
    for wrong in (entry(slices_per_s=4000.0), entry(call_ns=[])):
        with pytest.raises(BadReport, match=r"throughput\[0\]\.slices_per_s is .* but its durations give"):
            check_figures(parse_report(report(row(throughput=[wrong]))))


def test_a_report_is_read_with_and_without_throughput_and_not_with_half_of_it() -> None:
    whole = report(row(throughput=[entry()]), row())
    older = deepcopy(whole)
    del older["results"][1]["throughput"]
    assert as_json(parse_report(older)) == as_json(parse_report(whole))
    del whole["results"][0]["throughput"][0]["slices_differing"]
    with pytest.raises(BadReport, match=r"key 'results\[0\]\.throughput\[0\]\.slices_differing' is missing"):
        parse_report(whole)


def test_the_table_fits_80_columns_and_is_not_there_without_a_figure() -> None:
    told = [entry(1, slices_per_s=98.76), entry(8, slices_per_s=12345.6), entry(32, slices_differing=7)]
    found = row(bundle=LONG, target="gpu", throughput=told, runs={"engine": "onnxruntime", "precision": "bfloat16"})
    text = shown(report(found, row(bundle="plain", target="gpu")))
    assert max(map(len, text.splitlines())) <= 80
    table = text.split("Throughput on gpu")[1]
    assert all(figure in table for figure in ("98.8", "12,346", "400"))
    assert "plain" not in table.split("slices, split")[0]
    for wanted, rows in ((1, [found]), (0, [row()])):
        assert as_markdown(parse_report(report(*rows))).count("## Throughput") == wanted
