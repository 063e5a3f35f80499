"""A target's run goes through its states, and keeps what was measured wherever it is lost."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from edgebrain.benchmarking import measurement, target_run
from edgebrain.benchmarking.target_run import NEXT, Earlier, State, TargetRun
from edgebrain.bundle import Bundle
from edgebrain.errors import TargetFailed, WorkerFailed
from edgebrain.progress import no_progress
from tests.benchmarking.factories import labelled
from tests.runtime.tiny import tiny_bundle


@pytest.fixture
def entered(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The states that runs enter, in order."""
    found: list[str] = []
    real = TargetRun._enter

    def enter(self: TargetRun, state: State) -> None:
        found.append(state.value)
        real(self, state)

    monkeypatch.setattr(TargetRun, "_enter", enter)
    return found


def measured(run: TargetRun, bundle: Bundle, folder: Path, queries: int = 20) -> TargetRun:
    """A run from connecting to its end."""
    slices = labelled(folder / "data", 2, 1)
    with ExitStack() as stack:
        run.connect(stack)
        run.prepare([bundle], [one.file for one in slices])
        run.measure(slices, slices, [1], queries, no_progress)
    return run


def test_a_run_goes_from_connecting_to_done(tmp_path: Path, entered: list[str]) -> None:
    run = TargetRun("cpu")
    assert run.state is State.CONNECTING
    measured(run, tiny_bundle(tmp_path / "b"), tmp_path)
    assert entered == ["preparing", "scoring", "timing", "done"] and run.state is State.DONE
    assert run.problem is None and run.rounds == 1 and len(run.measurements) == 1


def test_a_target_that_is_not_known_is_lost_at_once(tmp_path: Path, entered: list[str]) -> None:
    run = measured(TargetRun("moon"), tiny_bundle(tmp_path / "b"), tmp_path)
    assert entered == ["lost"] and run.problem is not None and "moon" in run.problem.message
    assert run.measurements == []


def test_a_target_without_an_engine_is_lost_while_preparing_with_a_note(tmp_path: Path, entered: list[str]) -> None:
    run = measured(TargetRun("gpu"), tiny_bundle(tmp_path / "b", "tflite"), tmp_path)
    assert entered == ["preparing", "lost"] and isinstance(run.problem, TargetFailed)
    assert [(note.kind, note.target, note.bundle) for note in run.notes] == [("not-measured", "gpu", "b")]


@pytest.mark.parametrize(("step", "rows"), [("score", 0), ("time", 1)])
def test_a_lost_run_keeps_the_rows_whose_scores_are_whole(
    step: str, rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entered: list[str]
) -> None:
    def lose(self: measurement.Measurement, *rest: Any) -> None:
        raise WorkerFailed("gone", "")

    monkeypatch.setattr(measurement.Measurement, step, lose)
    run = measured(TargetRun("cpu"), tiny_bundle(tmp_path / "b"), tmp_path)
    assert entered[-1] == "lost" and len(run.measurements) == rows and run.rounds == 0


def test_the_rounds_of_a_lost_run_are_those_that_every_row_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = iter(range(4))
    real = measurement.Measurement.time

    def lose_after_three(self: measurement.Measurement, *rest: Any) -> None:
        if next(blocks) == 3:
            raise WorkerFailed("gone", "")
        real(self, *rest)

    monkeypatch.setattr(measurement.Measurement, "time", lose_after_three)
    slices = labelled(tmp_path / "data", 2, 1)
    run = TargetRun("cpu")
    with ExitStack() as stack:
        run.connect(stack)
        run.prepare(
            [tiny_bundle(tmp_path / "a"), tiny_bundle(tmp_path / "b", precision="int8")], [one.file for one in slices]
        )
        run.measure(slices, slices, [1], 3 * target_run.BLOCK, no_progress)
    assert sorted(len(one.blocks) for one in run.measurements) == [1, 2] and run.rounds == 1


def test_what_an_earlier_bench_measured_to_the_end_is_not_connected_to(entered: list[str]) -> None:
    run = TargetRun("moon", earlier=Earlier(done=True))
    with ExitStack() as stack:
        run.connect(stack)
        run.prepare([], [])
        run.measure([], [], [1], 7, no_progress)
    assert run.state is State.DONE and run.problem is None and entered == []


def test_no_state_follows_being_lost_and_none_is_skipped() -> None:
    assert NEXT[State.LOST] == set() and NEXT.keys() == set(State)
    with pytest.raises(AssertionError, match="connecting is not followed by timing"):
        TargetRun("cpu")._enter(State.TIMING)
