"""TensorBoard files, read back by TensorBoard."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from edgebrain.errors import MissingExtra
from edgebrain.training.events import EventWriter
from tests.networks import FinishedRun

INSTALLED = importlib.util.find_spec("tensorboard") is not None


@pytest.mark.skipif(not INSTALLED, reason="tensorboard is not installed: pip install 'edgebrain[tensorboard]'")
@pytest.mark.filterwarnings("ignore")
def test_every_figure_of_an_epoch_is_a_scalar(trained: FinishedRun, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    history = json.loads((trained.run / "history.json").read_text())
    writer = EventWriter(tmp_path)
    for entry in history:
        writer.epoch(entry)
    read = EventAccumulator(str(tmp_path)).Reload()
    assert {f"val/{name}" for name in history[0]["val"]} <= set(read.Tags()["scalars"])
    points = read.Scalars("val/dice")
    assert [point.step for point in points] == [entry["epoch"] for entry in history]
    assert points[-1].value == pytest.approx(history[-1]["val"]["dice"], abs=1e-6)


@pytest.mark.skipif(INSTALLED, reason="tensorboard is installed")
def test_without_tensorboard_the_line_that_installs_it_is_told(tmp_path: Path) -> None:
    with pytest.raises(MissingExtra) as caught:
        EventWriter(tmp_path)
    assert caught.value.hint == "pip install 'edgebrain[tensorboard]'"
