"""The main line as a person types it: train, quantize, bench, predict. Each command finds the newest run by itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.test_command_line import main_ok
from tests.conftest import TINY_RECIPE


def test_the_commands_of_the_readme_work_as_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tiny.toml").write_text(TINY_RECIPE.replace("epochs = 10", "epochs = 4"))
    Path("mine.toml").write_text("[gate]\nmax_dice_drop = 1.0\nmin_agreement = 0.0\n[calibration]\nslices = 16\n")
    main_ok("data", "phantom", "phantoms", "--count", "96", "--seed", "1")
    main_ok("train", "tiny.toml", "--data", "phantoms")
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
    assert any(word in capsys.readouterr().out for word in ("glioma", "meningioma", "pituitary", "no_tumor"))
    assert sorted(path.suffix for path in Path("answer").rglob("*") if path.is_file()) == [".csv", ".png", ".png"]
