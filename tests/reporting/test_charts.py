from __future__ import annotations

import itertools
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from edgebrain.benchmarking.report_row import Percentiles, RowFigures, RowVerdict
from edgebrain.evaluation.verdict import Comparison
from edgebrain.reporting import charts
from edgebrain.reporting.mlperf import single_stream
from edgebrain.reporting.page import PageRow
from edgebrain.reporting.pictures import drawn_parent, outline, worst_scores
from edgebrain.reporting.summary import frontier, headline, parent_of
from tests.benchmarking.factories import row, scores, typed_rows
from tests.reporting.conftest import Measured


def made(name: str, p50: float | None, dice: float, outcome: str = "PASS", **changes: Any) -> PageRow:
    """A row of the page."""
    (found,) = typed_rows(row(bundle=name, path=name, precision="int8", target="cpu"))
    figures = {field.name: getattr(found, field.name) for field in fields(RowFigures)}
    shown = PageRow(
        **figures, dice_low=dice - 0.05, dice_high=dice + 0.05, reliability=None, classes=(), parent=None,
        speedup=None, on_frontier=False, mlperf=single_stream(found, "here"),
    )  # fmt: skip
    times = Percentiles(p50, p50, p50, p50, p50)
    return replace(shown, latency_ms=times, verdict=RowVerdict(outcome, None, ()), dice=dice, **changes)


def test_the_page_is_about_the_fastest_of_the_int8_bundles_with_the_best_verdict() -> None:
    rows = [
        made("root", 1.0, 0.9, "REFERENCE", precision="float32"),
        made("failing", 0.5, 0.5, "FAIL"),
        made("slow", 4.0, 0.9),
        made("fast", 2.0, 0.9),
        made("open", 1.0, 0.9, "INCONCLUSIVE"),
        made("float", 0.1, 0.9, precision="float32"),
    ]
    assert rows[headline(rows)].bundle == "fast"
    assert rows[headline([*rows[:3], made("held", 0.1, 0.9, invalid="held back")])].bundle == "slow"
    assert rows[headline(rows[:1])].bundle == "root"


def test_the_frontier_holds_who_is_not_beaten_in_both() -> None:
    rows = [made("a", 3.0, 0.9), made("b", 2.0, 0.8), made("worse", 2.5, 0.7), made("same", 3.5, 0.9)]
    rows += [made("unknown", None, 0.99), made("held", 1.0, 0.99, invalid="held back")]
    assert [rows[index].bundle for index in frontier(rows)] == ["b", "a"]


def test_a_root_is_known_by_its_name_unless_two_have_it() -> None:
    child = made("child", 1.0, 0.9, float_parent="root")
    rows = [made("root", 9.0, 0.9, path="a/float"), child]
    assert parent_of(child, rows) == 0 and parent_of(rows[0], rows) is None
    assert parent_of(child, [*rows, made("root", 9.0, 0.9, path="b/float")]) is None


@pytest.mark.parametrize("count", [1, 2, 7, 16])
@pytest.mark.parametrize("width", [350, 1040])
def test_labels_lie_beside_the_plot_and_never_on_each_other(count: int, width: int) -> None:
    rows = [made(f"run-1-tflite-{n}", 2.0 + 0.01 * n, 0.7 + 0.0001 * (n % 3)) for n in range(count)]
    plot = charts.pareto(rows, width)
    assert plot is not None and len(plot["points"]) == count
    heights = sorted(point["label_y"] for point in plot["points"])
    assert all(b - a >= 12 for a, b in itertools.pairwise(heights))
    assert plot["top"] <= heights[0] and heights[-1] <= plot["bottom"]
    for point in plot["points"]:
        assert plot["right"] < point["label_x"] and point["label_x"] + 6.6 * len(point["label"]) <= width
        assert plot["left"] <= point["x"] <= plot["right"] and plot["top"] <= point["y"] <= plot["bottom"]
        assert point["ends"][0] >= point["y"] >= point["ends"][1]


def test_a_long_name_leaves_room_for_the_plot_and_is_told_whole() -> None:
    name = "brisc-unet128-s-tflite-int8-perchannel-retrained-pruned50"
    plot = charts.pareto([made(name, 2.0, 0.7)], 350)
    assert plot is not None and plot["right"] - plot["left"] > 100
    label = plot["points"][0]["label"]
    assert label.startswith("brisc") and label.endswith("-pruned50") and "..." in label
    assert name in plot["alt"]


def test_a_wide_span_of_latencies_gets_a_logarithmic_axis() -> None:
    plots = [charts.pareto([made("a", 2.0, 0.7), made("b", slow, 0.7)], 900) for slow in (3.0, 100.0)]
    assert [plot and plot["log"] for plot in plots] == [False, True]
    assert plots[1] is not None and [label for _, label in plots[1]["x_ticks"]] == ["2", "5", "10", "20", "50", "100"]


def test_ticks_are_round_and_told_apart() -> None:
    axis = charts.Axis(0.705, 0.735, 0.0, 100.0)
    assert axis.ticks(6) == pytest.approx([0.71, 0.72, 0.73]) and axis.decimals(6) == 2
    assert charts.Axis(0.0, 10.0, 0.0, 100.0)(2.5) == 25.0


def test_an_interval_that_reaches_beyond_the_axis_is_an_arrow() -> None:
    one = Comparison("dice", "", 50, 50, 0.01, None, 0.5, 0.95, 0.02, "INCONCLUSIVE")
    inside, told = replace(one, low=-0.01, high=0.03), replace(one, margin=None)
    wide, whole, none = charts.forest([one, inside, told])
    assert wide and whole and none is None
    assert wide["beyond"] == [6.0, charts.FOREST_PX - 6.0] and whole["beyond"] == [None, None]
    assert whole["low"] < whole["zero"] < whole["drop"] < whole["margin"] < whole["high"]
    far = charts.forest([replace(one, drop=0.4)])[0]
    assert far and far["drop"] is None


def test_the_reliability_plot_has_a_point_for_each_bin_that_is_not_empty(measured: Measured) -> None:
    rows = measured.page.reports[0].rows[:2]
    plot = charts.reliability(rows)
    for row_, series in zip(rows, plot["series"], strict=True):
        assert len(series) == sum(one.slices > 0 for one in row_.reliability.bins)


def test_the_worst_come_first_and_marked_healthy_slices_are_among_them() -> None:
    poor = scores(tumours=1, healthy=0, dice=0.1)[0]
    good = scores(tumours=1, healthy=0, dice=0.9)[0]
    healthy = scores(tumours=0, healthy=1)[0]
    marked = replace(healthy, predicted_area=50)
    assert worst_scores([good, poor, healthy, marked]) == [marked, poor, good]
    assert worst_scores([good, poor], most=1) == [poor]


def test_an_outline_closes_around_each_part_and_its_holes() -> None:
    mask = np.zeros((9, 9), dtype=bool)
    assert outline(mask) == ""
    mask[0, 0] = True
    mask[3:8, 3:8] = True
    mask[5, 5] = False
    path = outline(mask)
    assert path.count("M") == path.count("Z") == 3
    numbers = [float(part) for part in path.replace("M", " ").replace("L", " ").replace("Z", " ").split()]
    assert min(numbers) >= 0.0 and max(numbers) <= 9.0


def test_without_the_roots_library_its_float_sibling_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    root = made("root", 9.0, 0.9, "REFERENCE", format="keras", precision="float32", float_parent=None)
    child = made("int8", 1.0, 0.9, format="tflite", float_parent="root")
    sibling = made("float", 2.0, 0.9, format="tflite", precision="float32", float_parent="root")
    other = made("onnx", 2.0, 0.9, format="onnx", precision="float32", float_parent="root")
    monkeypatch.setattr("edgebrain.reporting.pictures.runs_here", lambda name: name != "keras")
    assert drawn_parent(root, child, [root, child, other, sibling]) is sibling
    assert drawn_parent(root, child, [root, child, other]) is root
    monkeypatch.setattr("edgebrain.reporting.pictures.runs_here", lambda name: True)
    assert drawn_parent(root, child, [root, child, sibling]) is root
