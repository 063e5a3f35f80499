"""A bench over ssh: rows that keep their machine, and a target that is lost or unfit for its durations."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from edgebrain.benchmarking.report import DataFacts, as_json, parse_report
from edgebrain.benchmarking.report import read_report as read_typed
from edgebrain.benchmarking.run import run_bench
from edgebrain.cli import main
from tests.benchmarking.factories import labelled, run_folder, run_in_working_folder
from tests.targets.board import path_with_python, script
from tests.targets.sshd import Server, free_port, server

pytestmark = pytest.mark.usefixtures("few_wheels")


@pytest.fixture(scope="module")
def measured(board: Server, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Two bundles and their root here and on the board."""
    folder = tmp_path_factory.mktemp("measured")
    _, _, children = run_folder(folder)
    target = str(board.target(folder / "deploy"))
    facts = DataFacts(path=str(folder), split="test", slices=6)
    bundles = [child.path for child in children[:2]]
    return as_json(run_bench(bundles, labelled(folder / "data"), [1], 70, ["cpu", target], facts))


def test_a_report_of_two_targets_keeps_them_apart(measured: dict[str, Any]) -> None:
    assert as_json(parse_report(json.loads(json.dumps(measured, allow_nan=False)))) == measured
    rows = [(row["bundle"], row["target"]) for row in measured["results"]]
    names = ["float", "tflite-float32", "tflite-int8"]
    assert rows == [(name, target) for target in ("cpu", "board") for name in names]
    assert set(measured["environments"]) == {"cpu", "board"}
    assert [entry["target"] for entry in measured["images"]] == [target for _, target in rows]
    assert all(row["queries"] == 70 and row["latency_ms"]["p50"] > 0 for row in measured["results"])


def test_the_drop_on_a_device_has_a_part_of_quantization_and_one_of_the_device(measured: dict[str, Any]) -> None:
    here, there = (
        {row["bundle"]: row for row in measured["results"] if row["target"] == target} for target in ("cpu", "board")
    )
    for name, row in there.items():
        assert row["device_drop"] == {"dice": 0.0, "accuracy": 0.0, "slices_differing": 0}
        assert here[name]["device_drop"] is None
        assert row["drop"] == here[name]["drop"], "float here to int8 there"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run in the working folder, whose data set needs no reader."""
    return run_in_working_folder(tmp_path, monkeypatch)


def read_report(path: Path) -> dict[str, Any]:
    """A report as JSON."""
    return as_json(read_typed(path))


def code_of(*words: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(["bench", "runs/run/bundles/tflite-int8", "--queries", "20", *words])
    return int(caught.value.code or 0)


def test_the_command_measures_on_a_target_of_the_deploy_folder_by_name(
    run: Path, board: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    board.target(Path("deploy"), "kitchen", threads=[1, 2])
    assert code_of("--target", "kitchen") == 0
    report = read_report(run / "bench.json")
    timed = [(row["target"], row["threads"]) for row in report["results"] if row["queries"]]
    assert timed == [("kitchen", 1), ("kitchen", 2)] * 2
    assert any((note["kind"], note["target"]) == ("only-scored", "cpu") for note in report["notes"])
    said = capsys.readouterr().out
    assert "kitchen" in said and "device" in said
    assert "tflite-int8 on kitchen" in (run / "bench.md").read_text()


def test_a_target_that_is_not_there_is_one_line_and_the_others_results_are_written(
    run: Path, board: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EDGEBRAIN_LIBEDGETPU", "libnowhere.so.1")
    board.target(Path("deploy"), "gone", port=free_port())
    assert code_of("--target", "cpu", "--target", "gone", "--target", "coral") == 1
    lines = capsys.readouterr().err.splitlines()
    first = next(place for place, line in enumerate(lines) if line.startswith("Error: "))
    assert lines[first : first + 2] == [
        f"Error: gone ({os.environ.get('USER', 'root')}@127.0.0.1): connecting: no ssh server answers there",
        "  on a Raspberry Pi: sudo systemctl enable --now ssh",
    ]
    assert lines[first + 2].startswith("Error: coral: libnowhere.so.1: cannot be loaded")
    report = read_report(run / "bench.json")
    assert {row["target"] for row in report["results"]} == {"cpu"}
    assert [failure["target"] for failure in report["failures"]] == ["gone", "coral"]


def test_a_board_short_of_power_makes_its_rows_invalid_and_those_here_not(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = path_with_python(tmp_path)
    script(tmp_path / "bin" / "vcgencmd", "echo throttled=0x50005")
    with server(tmp_path / "ssh", tmp_path / "home", environment={"PATH": path}) as weak:
        weak.target(Path("deploy"), "weak")
        assert code_of("--target", "cpu", "--target", "weak") == 0
    report = read_report(run / "bench.json")
    assert {row["target"]: row["invalid"] for row in report["results"]} == {
        "cpu": None,
        "weak": "the board was held back (under-voltage, throttled) in 1 of 1 blocks: mend power supply or cooling",
    }
    assert report["environments"]["weak"]["throttled"] == 0x50005
    assert "tflite-int8 on weak at 1: the board was held back" in " ".join(note["text"] for note in report["notes"])


def test_an_emulated_target_is_scored_and_no_duration_is_told(
    run: Path, board: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    board.target(Path("deploy"), "fake", emulated=True)
    assert code_of("--target", "fake") == 0
    report = read_report(run / "bench.json")
    rows = [row for row in report["results"] if row["target"] == "fake"]
    for row in rows:
        durations = [row["load_ms"], row["throughput_per_s"], *row["latency_ms"].values(), *row["engine_ms"].values()]
        assert row["emulated"] and set(durations) == {None} and row["blocks"] == []
        assert row["dice"] > 0.8 and row["device_drop"]["slices_differing"] == 0
    said = capsys.readouterr().out
    assert "fake: emulated, so nothing was timed" in said.replace("\n", " ")
    assert "(emulated)" in said


def test_the_same_target_twice_is_refused(run: Path, board: Server, capsys: pytest.CaptureFixture[str]) -> None:
    board.target(Path("deploy"), "pi")
    board.target(Path("other"), "pi")
    assert code_of("--target", "pi", "--target", "other/pi.toml") == 1
    assert "two targets are called pi" in capsys.readouterr().err


def test_a_gpu_that_is_not_here_is_one_line(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["bench", "runs/run/float", "--queries", "20", "--target", "gpu"])
    assert ended.value.code == 1
    lines = capsys.readouterr().err.splitlines()
    assert any(line.startswith("Error: ") and "no provider for device 'gpu'" in line for line in lines)
