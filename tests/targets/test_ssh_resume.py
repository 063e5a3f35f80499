"""A bench goes on after its target was lost: what was measured is kept, and only the rest is asked for."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgebrain.benchmarking import measurement, slices
from edgebrain.benchmarking.report import as_json
from edgebrain.benchmarking.report import read_report as read_typed
from edgebrain.cli import main
from edgebrain.files import newest_name
from tests.benchmarking.factories import run_in_working_folder
from tests.runtime.pictures import bright_disc, save
from tests.targets.sshd import Server, free_port, proxy

pytestmark = pytest.mark.usefixtures("few_wheels")
BENCH = ["bench", "runs/run/bundles/tflite-int8", "--queries", "100"]
ROUNDS = 4


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run in the working folder, whose data set needs no reader."""
    return run_in_working_folder(tmp_path, monkeypatch)


def code_of(*words: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main([*map(str, words)])
    return int(caught.value.code or 0)


def losing(monkeypatch: pytest.MonkeyPatch, lose: Callable[[Any], None], after: int) -> None:
    """Lose a target over ssh before so many blocks of it were timed."""
    real, blocks = measurement.Measurement.time, count()

    def time(self: measurement.Measurement, block: list[Any]) -> None:
        if self.where and next(blocks) == after:
            lose(self)
        real(self, block)

    monkeypatch.setattr(measurement.Measurement, "time", time)


def read_report(path: Path) -> dict[str, Any]:
    """A report as JSON."""
    return as_json(read_typed(path))


def rows_of(report: dict[str, Any], target: str) -> list[dict[str, Any]]:
    return [row for row in report["results"] if row["target"] == target]


@pytest.fixture
def lost(run: Path, board: Server, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The report of a bench of this machine and a board that was lost in its third round."""
    with proxy(board.port) as way, monkeypatch.context() as patch:
        board.target(Path("deploy"), port=way.port)
        losing(patch, lambda _: way.cut(), after=5)
        assert code_of(*BENCH, "--target", "cpu", "--target", "board") == 1
    report = read_report(run / "bench.json")
    assert [len(row["blocks"]) for row in rows_of(report, "board")] == [3, 2]
    board.target(Path("deploy"))
    return report


def test_it_goes_on_with_the_block_that_was_not_measured_and_nothing_is_measured_twice(
    run: Path, lost: dict[str, Any]
) -> None:
    assert code_of("bench", "--resume", "runs/run/bench.json") == 0
    whole = read_report(run / "bench.json")
    assert whole["failures"] == [] and not any(note["kind"] == "lost" for note in whole["notes"])
    (note,) = (note for note in whole["notes"] if note["kind"] == "resumed")
    assert note["target"] == "board" and "went on after round 3" in note["text"]
    assert rows_of(whole, "cpu") == rows_of(lost, "cpu"), "measured to the end before"
    for before, after in zip(rows_of(lost, "board"), rows_of(whole, "board"), strict=True):
        kept = before["blocks"]
        assert after["blocks"][: len(kept)] == kept and len(after["blocks"]) == ROUNDS
        assert after["queries"] == 100 and after["device_drop"]["slices_differing"] == 0
    assert whole["images"] == lost["images"]
    assert whole["protocol"]["rounds"] == ROUNDS
    assert code_of("bench", "--resume", "runs/run/bench.json") == 1, "nothing is left"


def test_a_target_that_was_not_there_at_first_is_measured_later(
    run: Path, board: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    board.target(Path("deploy"), port=free_port())
    assert code_of(*BENCH, "--target", "cpu", "--target", "board", "--json", "kept.json") == 1
    assert rows_of(read_report(Path("kept.json")), "board") == []
    # Still gone: the rows that were kept are kept again.
    assert code_of("bench", "--resume", "kept.json") == 1
    assert len(rows_of(read_report(Path("kept.json")), "cpu")) == 2
    board.target(Path("deploy"))
    assert code_of("bench", "--resume", "kept.json", "--json", "whole.json") == 0
    whole = read_report(Path("whole.json"))
    assert [row["queries"] for row in rows_of(whole, "board")] == [100, 100]
    newest = newest_name(run / "bench.json")
    assert newest is not None and read_report(newest) == whole


def test_lost_once_more_it_keeps_what_both_have_measured(
    run: Path, lost: dict[str, Any], board: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill(one: measurement.Measurement) -> None:
        for pid in board.children():
            if b"edgebrain.runtime\0worker" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)

    with monkeypatch.context() as patch:
        losing(patch, kill, after=1)
        assert code_of("bench", "--resume", "runs/run/bench.json") == 1
    again = read_report(run / "bench.json")
    assert [len(row["blocks"]) for row in rows_of(again, "board")] == [3, 3]
    assert code_of("bench", "--resume", "runs/run/bench.json") == 0
    whole = rows_of(read_report(run / "bench.json"), "board")
    assert [len(row["blocks"]) for row in whole] == [ROUNDS, ROUNDS]


def test_a_bundle_that_was_written_again_is_refused(run: Path, lost: dict[str, Any], capsys: Any) -> None:
    manifest = run / "bundles" / "tflite-int8" / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "name": "another"}))
    before = (run / "bench.json").read_bytes()
    assert code_of("bench", "--resume", "runs/run/bench.json") == 1
    assert capsys.readouterr().err.splitlines()[-2].startswith("Error: ")
    assert (run / "bench.json").read_bytes() == before


def test_slices_that_are_no_longer_there_are_refused(
    run: Path, lost: dict[str, Any], capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = slices.open_dataset
    monkeypatch.setattr(slices, "open_dataset", lambda path: replace(real(path), records=real(path).records[1:]))
    assert code_of("bench", "--resume", "runs/run/bench.json") == 1
    assert "now holds other slices than were measured on" in capsys.readouterr().err


def test_a_board_with_other_libraries_does_not_go_on_a_row(run: Path, lost: dict[str, Any], capsys: Any) -> None:
    path = run / "bench.json"
    report = json.loads(path.read_text())
    report["environments"]["board"]["versions"]["numpy"] = "1.0"
    path.write_text(json.dumps(report))
    assert code_of("bench", "--resume", str(path)) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "the machine is not what it was when the bench began" in said and "without --resume" in said
    assert [len(row["blocks"]) for row in rows_of(read_report(path), "board")] == [3, 2], "nothing is lost"


@pytest.mark.parametrize("name", ["t0.png", "t0_mask.png"])
def test_a_picture_or_a_mask_that_was_changed_is_refused_and_the_report_stays(
    run: Path, lost: dict[str, Any], name: str, capsys: Any
) -> None:
    before = (run / "bench.json").read_bytes()
    changed = bright_disc(64, 60)[::-1]
    save(Path("data") / name, np.where(changed > 127, 255, 0).astype(np.uint8) if "mask" in name else changed // 2)
    assert code_of("bench", "--resume", "runs/run/bench.json") == 1
    assert "now holds other pictures, masks, labels or groups than were measured on" in capsys.readouterr().err
    assert (run / "bench.json").read_bytes() == before


def test_a_worker_that_answers_otherwise_than_before_ends_it_and_the_report_stays(
    run: Path, lost: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    before, real = (run / "bench.json").read_bytes(), measurement.Measurement.time

    def time(self: measurement.Measurement, block: list[Any]) -> None:
        real(self, block)
        self.timed[-len(block) :] = [(name, "another") for name, _ in self.timed[-len(block) :]]

    monkeypatch.setattr(measurement.Measurement, "time", time)
    assert code_of("bench", "--resume", "runs/run/bench.json") == 1
    assert "timed queries were not answered as scored slices were" in capsys.readouterr().err
    assert (run / "bench.json").read_bytes() == before


def test_a_target_that_stays_lost_costs_the_report_nothing(run: Path, board: Server, monkeypatch: Any) -> None:
    with proxy(board.port) as way, monkeypatch.context() as patch:
        board.target(Path("deploy"), port=way.port)
        losing(patch, lambda _: way.cut(), after=5)
        assert code_of(*BENCH, "--target", "board") == 1
    before = read_report(run / "bench.json")
    board.target(Path("deploy"), port=free_port())
    assert code_of("bench", "--resume", "runs/run/bench.json") == 1
    assert read_report(run / "bench.json")["results"] == before["results"], "this machine's, and the board's"
    Path("deploy/board.toml").unlink()
    assert code_of("bench", "--resume", "runs/run/bench.json") == 1
    assert read_report(run / "bench.json")["results"] == before["results"]


def test_a_target_that_was_measured_to_the_end_is_not_looked_for_again(
    run: Path, board: Server, monkeypatch: Any
) -> None:
    done = board.target(Path("deploy"), "done")
    board.target(Path("deploy"), port=free_port())
    assert code_of(*BENCH, "--target", "deploy/done.toml", "--target", "board") == 1
    before = read_report(run / "bench.json")
    done.unlink()
    board.target(Path("deploy"))
    assert code_of("bench", "--resume", "runs/run/bench.json") == 0
    whole = read_report(run / "bench.json")
    assert rows_of(whole, "done") == rows_of(before, "done") and whole["failures"] == []
    assert len(rows_of(whole, "board")) == 2


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda report: report["request"].pop("bundles"), "key 'request.bundles' is missing"),
        (lambda report: report["request"].update(bundles=[]), "does not hold on which bundles"),
        (lambda report: report["request"].update(bundles=["gone"]), "gone is not here"),
        (
            lambda report: report.update(data={"split": "test", "slices": 6}),
            "does not hold on which bundles and slices",
        ),
        (lambda report: report.pop("request"), "does not hold what was asked for"),
    ],
)
def test_a_report_that_does_not_say_enough_is_refused(
    run: Path, lost: dict[str, Any], spoil: Callable[[Any], Any], said: str, capsys: Any
) -> None:
    spoil(lost)
    Path("spoilt.json").write_text(json.dumps(lost))
    assert code_of("bench", "--resume", "spoilt.json") == 1
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--queries", "20"], ["--target", "cpu"], ["runs/run/float"]])
def test_what_the_report_decides_is_not_asked_for_again(run: Path, words: list[str], capsys: Any) -> None:
    assert code_of("bench", "--resume", "bench.json", *words) == 2
    assert "repeats what the report's bench was asked" in " ".join(capsys.readouterr().err.replace("│", " ").split())
