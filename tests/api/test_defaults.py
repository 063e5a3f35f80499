"""Which run, bundle and data are taken where none is named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgebrain.api.defaults import all_bundles, chosen_bundle, float_bundle
from edgebrain.errors import BadBundle, BadRun
from edgebrain.files import write_json
from edgebrain.runs import newest_run
from tests.runtime.tiny import tiny_bundle


def run_at(name: str, ended_s: int, started_s: int | None = None) -> Path:
    """A run folder whose training started and ended at these moments."""
    run = Path("runs", name)
    tiny_bundle(run / "float")
    tiny_bundle(run / "bundles" / "tflite-int8", precision="int8")
    write_json(run / "run.json", {})
    os.utime(run / "float" / "manifest.json", (ended_s, ended_s))
    started = ended_s - 100 if started_s is None else started_s
    os.utime(run / "run.json", (started, started))
    return run


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_newest_run_is_the_one_whose_training_ended_last() -> None:
    late = run_at("started-first", ended_s=900, started_s=100)
    run_at("started-last", ended_s=800, started_s=700)
    assert newest_run() == late


def test_a_run_that_still_trains_is_not_taken() -> None:
    done = run_at("done", ended_s=100)
    write_json(Path("runs/training/run.json"), {})
    assert newest_run() == done


def test_where_only_unfinished_runs_lie_the_hint_finishes_one() -> None:
    with pytest.raises(BadRun) as none:
        newest_run()
    assert "edgebrain train" in none.value.hint
    write_json(Path("runs/training/run.json"), {})
    with pytest.raises(BadRun) as unfinished:
        newest_run()
    assert "--resume" in unfinished.value.hint


def test_every_command_takes_the_same_run() -> None:
    run_at("older", ended_s=100)
    run = run_at("newer", ended_s=200)
    assert chosen_bundle(None) == run / "bundles" / "tflite-int8"
    assert float_bundle(None) == run / "float"
    assert all_bundles([]) == [run / "bundles" / "tflite-int8", run / "float"]


def test_a_bundle_that_is_named_is_taken_as_it_is() -> None:
    run = run_at("run", ended_s=100)
    assert chosen_bundle(run / "float") == run / "float"
    assert float_bundle(run / "bundles" / "tflite-int8") == run / "bundles" / "tflite-int8"
    assert chosen_bundle(Path("nowhere")) == Path("nowhere")


def test_a_run_without_the_bundle_names_the_line_that_makes_it() -> None:
    run = run_at("run", ended_s=100)
    with pytest.raises(BadRun, match="no int8 onnx bundle") as refused:
        chosen_bundle(run, format="onnx")
    assert refused.value.hint.startswith(f"edgebrain quantize {run} --int8, or name one of ")
    with pytest.raises(BadBundle, match="holds none"):
        all_bundles([Path() / "nowhere"])
