from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from edgebrain.benchmarking.report import parse_report
from edgebrain.reporting.bench_tables import as_markdown, speedups
from edgebrain.reporting.doctor import as_text
from edgebrain.reporting.format import milliseconds, points
from edgebrain.reporting.terminal import show_report
from edgebrain.runtime.doctor import diagnose
from tests.benchmarking.factories import report, row

LONG = "brisc-unet128-s-2-tflite-int8-perchannel-pruned50"


def times(value: float | None) -> dict[str, float | None]:
    return {"p25": value, "p50": value, "p90": value, "p99": None, "mean": value}


def compared() -> dict[str, Any]:
    rows = (
        row(bundle="f", path="f", precision="float32", latency_ms=times(40.0), float_parent="f"),
        row(bundle=LONG, path="i", precision="int8", latency_ms=times(10.0), float_parent="f", images=1),
        row(bundle=LONG, path="i", precision="int8", latency_ms=times(6.0), float_parent="f", images=1, threads=2),
        row(
            bundle="ov",
            path="o",
            precision="int8",
            latency_ms=times(None),
            format="openvino",
            float_parent="f",
            images=2,
        ),
    )
    return report(*rows, scored=[(), (), ()])


def markdown(value: dict[str, Any]) -> str:
    return as_markdown(parse_report(value))


def shown(value: dict[str, Any]) -> str:
    screen = io.StringIO()
    show_report(parse_report(value), Console(file=screen, width=80))
    return screen.getvalue()


def test_the_tables_fit_80_columns_with_long_names_and_large_numbers() -> None:
    large = row(bundle=LONG, latency_ms=times(123456.7), size_bytes=999 << 20, peak_rss_mib=12345.0, threads=128)
    large["runs"] = {"engine": "onnxruntime", "precision": "bfloat16"}
    large["drop"] = {"dice": -0.9999, "accuracy": 0.9999}
    text = shown(report(large))
    assert max(map(len, text.splitlines())) <= 80
    assert "123457" in text and "-99.99" in text


def test_a_speed_up_is_told_against_the_same_runtime_and_thread_count_only() -> None:
    assert speedups(parse_report(compared())) == {1: 4.0}


def test_a_bundle_is_judged_in_one_row_where_threads_change_nothing() -> None:
    quality = markdown(compared()).split("## Quality")[1]
    assert quality.count(LONG) == 1


def test_what_all_names_begin_with_is_told_once() -> None:
    names = ("run-7-float32", "run-7-tflite-int8")
    text = markdown(report(*(row(bundle=name, path=name) for name in names)))
    assert "## Speed of run-7-..." in text and "| tflite-int8 |" in text
    assert "run-7-float32" in markdown(report(row(bundle=names[0])))


def test_what_is_not_known_is_a_dash_and_notes_are_told() -> None:
    text = markdown({**compared(), "notes": [{"kind": "not-counted", "text": "something is missing"}]})
    assert "| ov | litert f32 | 1 | 0.00 | - | - | - | - |" in text
    assert "- something is missing" in text


@pytest.mark.parametrize(("value", "text"), [(None, "-"), (0.123, "0.12"), (99.999, "100.00"), (250.4, "250")])
def test_milliseconds_keep_three_figures(value: float | None, text: str) -> None:
    assert milliseconds(value) == text


@pytest.mark.parametrize(("value", "text"), [(None, "-"), (0.01234, "1.23"), (-0.000001, "0.00"), (-0.05, "-5.00")])
def test_drops_are_told_in_points_without_a_minus_zero(value: float | None, text: str) -> None:
    assert points(value) == text


@pytest.mark.usefixtures("libraries_checked")
def test_the_doctor_tells_how_to_install_what_is_missing() -> None:
    findings = diagnose(["cpu"], {"gpu": "no engine runs on a GPU; use --target cpu"})
    text = as_text(findings)
    for extra in findings["extras"]:
        assert extra["installed"] == (extra["missing"] == [])
        assert (extra["install"] or extra["name"]) in text
    assert "target cpu: runs keras, tflite, openvino, onnx" in text
    assert max(map(len, text.splitlines())) <= 80
