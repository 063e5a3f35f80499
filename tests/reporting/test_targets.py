"""A bench of several targets on the page: each with its own machine, and no duration under another one's name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgebrain.reporting.build import build_page
from edgebrain.reporting.exports import WRITERS
from edgebrain.reporting.html import as_html
from edgebrain.reporting.inputs import read_sources
from edgebrain.reporting.markdown import as_markdown
from edgebrain.reporting.tables import throughput
from tests.benchmarking.factories import state

Copied = Callable[..., Path]
PI = {"board": "Raspberry Pi 5 Model B", "cpu": "Cortex-A76", "cores_usable": 4}


def with_a_pi(bench: dict[str, Any], **changes: Any) -> None:
    """The same rows once more, as if measured on a Pi; ten times as slow."""
    bench["environments"]["pi"] = {**bench["environments"]["cpu"], **PI}
    for row in list(bench["results"]):
        times = {key: None if value is None else 10 * value for key, value in row["latency_ms"].items()}
        nothing = {"dice": 0.0, "accuracy": 0.0, "slices_differing": 0}
        bench["results"].append({**row, "target": "pi", "latency_ms": times, "device_drop": nothing, **changes})


def test_a_page_has_a_report_for_each_target_with_its_own_machine(copied: Copied) -> None:
    page = build_page(*read_sources([copied(with_a_pi)]))
    here, there = page.reports
    assert there.machine == "Raspberry Pi 5 Model B, 4 cores" != here.machine
    assert {row.target for row in here.rows} == {"cpu"} and {row.target for row in there.rows} == {"pi"}
    for one, other in zip(here.rows, there.rows, strict=True):
        assert other.latency_ms.p50 == 10 * one.latency_ms.p50
        assert other.speedup == pytest.approx(one.speedup), "against the float32 row of its own machine"
    assert "Speed and size on Raspberry Pi 5 Model B, 4 cores" in as_html(page)


def test_slices_a_second_of_several_in_one_call_stand_beside_the_machine_that_answered_them(copied: Copied) -> None:
    def with_throughput(bench: dict[str, Any]) -> None:
        ticks = {"call_ns": [10**9] * 10, "before": state(), "after": state()}
        with_a_pi(bench)
        bench["results"][-1]["throughput"] = [
            {"batch": size, "slices": 10 * size, "slices_per_s": float(size), "slices_differing": size - 1, **ticks}
            for size in (1, 8)
        ]

    page = build_page(*read_sources([copied(with_throughput)]))
    here, there = page.reports
    assert throughput(here) is None
    table = throughput(there)
    assert table is not None and [row[1:] for row in table.rows] == [("1", "1", "0", "pi"), ("8", "8", "7", "pi")]
    assert as_html(page).count("Several slices a call") == 1 == as_markdown(page).count("## Several slices a call")


def test_an_emulated_target_has_no_duration_on_the_page(copied: Copied) -> None:
    def emulated(bench: dict[str, Any]) -> None:
        empty = dict.fromkeys(("p25", "p50", "p90", "p99", "mean"))
        with_a_pi(bench, emulated=True, latency_ms=empty, engine_ms=empty, decode_ms=empty, queries=0, blocks=[])
        bench["environments"]["pi"]["emulated"] = True
        for row in bench["results"]:
            if row["target"] == "pi":
                row |= {"latency_ms": empty, "load_ms": None, "peak_rss_mib": None, "throughput_per_s": None}

    page = build_page(*read_sources([copied(emulated)]))
    assert page.reports[1].machine.endswith("(emulated, nothing was timed)")
    assert "emulated" in as_html(page)
    for write in WRITERS.values():
        write(page)


def test_a_target_that_was_only_scored_for_the_comparison_has_no_report_of_its_own(copied: Copied) -> None:
    def only_scored(bench: dict[str, Any]) -> None:
        with_a_pi(bench)
        for row in bench["results"]:
            row["queries"] = 0 if row["target"] == "cpu" else row["queries"]

    (report,) = build_page(*read_sources([copied(only_scored)])).reports
    assert report.machine.startswith("Raspberry Pi")
