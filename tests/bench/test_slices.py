from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgebrain.bench import slices as module
from edgebrain.bench.slices import choose_slices, spread
from edgebrain.data.sample import Dataset
from edgebrain.data.split import Split
from edgebrain.errors import BadData
from tests.bench.shelf import records


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run whose split holds t0 and t1 for training, t2 for validation, and t3 for the test."""
    found = tuple(sorted(records(tmp_path / "data"), key=lambda record: record.name))
    monkeypatch.setattr(module, "open_dataset", lambda path: Dataset(path, "fake", found))
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps({"data": {"path": str(tmp_path / "data")}}))
    groups = {name: f"group of {name}" for name in ("t0.png", "t1.png", "t2.png", "t3.png")}
    Split(("t0.png", "t1.png"), ("t2.png",), ("t3.png",), groups).write(folder / "split.json")
    return folder


def test_the_runs_own_split_and_groups_are_used(run: Path) -> None:
    chosen, facts = choose_slices(run, None, "test")
    assert [(record.name, record.group) for record in chosen] == [("t3.png", "group of t3.png")]
    assert facts["source"] == "the run's split" and facts["slices"] == 1


def test_a_data_set_that_lacks_slices_of_the_split_is_taken_by_its_own_folders(run: Path) -> None:
    Split((), (), ("elsewhere.png",), {}).write(run / "split.json")
    chosen, facts = choose_slices(run, None, "test")
    assert len(chosen) == 6 and facts["source"] == "the data set's own folders"


def test_fewer_slices_are_spread_evenly_and_change_the_hash(run: Path) -> None:
    few, facts = choose_slices(None, run, "all", most=3)
    assert [record.name for record in few] == ["h0.png", "t0.png", "t2.png"]
    assert facts["names_sha256"] != choose_slices(None, run, "all")[1]["names_sha256"]
    assert spread(few, 99) == few


@pytest.mark.parametrize(("side", "word"), [("nowhere", "no side of a split"), ("val", "no slice on the side")])
def test_a_side_without_slices_is_an_error(run: Path, side: str, word: str) -> None:
    with pytest.raises(BadData, match=word):
        choose_slices(None, run, side)


def test_without_run_and_data_the_way_out_is_named() -> None:
    with pytest.raises(BadData) as caught:
        choose_slices(None, None, "test")
    assert "--data" in caught.value.hint
