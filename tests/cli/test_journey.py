"""The main line as a person types it: train, quantize, bench, predict. Each command finds the newest run by itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_command_line import main_ok
from tests.networks import FinishedRun, write_pictures


def starts_computed(computed: FinishedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """Training starts from the computed network: how far it gets from nothing hangs on the processor, and the gate
    refuses what has learnt nothing."""
    from edgebrain.model.network import set_weights_by_layer, weights_by_layer
    from edgebrain.training import loop
    from edgebrain.training.float_bundle import open_float_model

    weights = weights_by_layer(open_float_model(computed.run / "float")[1])
    real = loop.build

    def build(*arguments: Any, **options: Any) -> Any:
        model = real(*arguments, **options)
        set_weights_by_layer(model, weights)
        return model

    monkeypatch.setattr(loop, "build", build)


def test_the_commands_of_the_readme_work_as_typed(
    computed: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    starts_computed(computed, monkeypatch)
    recipe = computed.recipe.read_text().replace('"computed"', '"tiny"')
    # A step of Adam moves a weight by the rate at most.
    Path("tiny.toml").write_text(recipe.replace("epochs = 1", "epochs = 1\nlearning_rate = 1e-6"))
    Path("mine.toml").write_text("[calibration]\nslices = 16\n")
    main_ok("data", "phantom", "phantoms", "--count", "96", "--seed", "1")
    write_pictures(Path("pictures"), 96)
    main_ok("train", "tiny.toml", "--data", "pictures")
    assert "next: edgebrain quantize runs/tiny-1" in capsys.readouterr().out
    main_ok("quantize", "--recipe", "mine.toml")
    assert "tflite-int8" in capsys.readouterr().out
    main_ok("bench", "--target", "cpu", "--queries", "14", "--json", "bench.json")
    report = json.loads(Path("bench.json").read_text())
    assert {row["format"] for row in report["results"]} == {"keras", "tflite", "openvino", "onnx"}
    assert all(row["drop"]["dice"] is not None for row in report["results"])
    assert Path("runs/tiny-1/bench.md").is_file()
    capsys.readouterr()
    picture = sorted(Path("phantoms/images").glob("*_gl_*.png"))[0]
    main_ok("predict", str(picture), "--out", "answer", "--pixel-mm", "0.5")
    said = capsys.readouterr().out
    assert any(word in said for word in ("glioma", "meningioma", "pituitary", "no_tumor"))
    assert sorted(path.suffix for path in Path("answer").rglob("*") if path.is_file()) == [
        ".csv",
        ".json",
        ".png",
        ".png",
    ]
