"""The README's thirty seconds, and what each command says comes next, as a person types them.

The commands are read from the README. The run that they start from holds a computed network and pictures of its own
kind, so that the right class and mask are known.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

import edgebrain
from edgebrain.evaluation.metrics import dice
from tests.cli.test_command_line import main_ok
from tests.networks import HEADS, FinishedRun, picture

README = Path(edgebrain.__file__).parents[1] / "README.md"
CLASSES = {"gl": "glioma", "me": "meningioma", "pi": "pituitary", "no": "no_tumor"}


def commands_of_the_readme() -> list[list[str]]:
    """The words of each `$ edgebrain ...` line, without the program's name."""
    lines = re.findall(r"^\$ edgebrain (.+)$", README.read_text(encoding="utf-8"), re.MULTILINE)
    return [shlex.split(line) for line in lines]


def draw(path: Path) -> np.ndarray:
    """Write a picture of the class that a name such as phantom_00004_pi_co.png tells; returns its mask, (H, W) bool."""
    image, mask = picture(path.stem.split("_")[2], np.random.default_rng(4))
    path.parent.mkdir(parents=True)
    cv2.imwrite(str(path), image)
    return mask > 0


def test_the_readme_shows_how_to_compress_and_predict() -> None:
    assert [words[0] for words in commands_of_the_readme()] == ["quantize", "predict"]
    (_, predicted) = commands_of_the_readme()
    assert Path(predicted[1]).stem.split("_")[2] in HEADS


@pytest.mark.slow
def test_the_commands_of_the_readme_work_as_typed(
    computed: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(computed.run, "runs/demo-1")
    quantize, predict = commands_of_the_readme()
    scan = Path(predict[1])
    lesion = draw(scan)

    main_ok(*quantize)
    said = capsys.readouterr()
    assert "run: runs/demo-1" in said.err
    rows = {line.split()[0]: line.split() for line in said.out.splitlines() if "-int8" in line}
    assert set(rows) == {"tflite-int8", "openvino-int8", "onnx-int8"}
    # The gate is on: a bundle that is listed has kept the float network's Dice and classes.
    assert all(float(row[3]) > 0.95 and float(row[5]) > 0.95 for row in rows.values())

    main_ok(*predict)
    said = capsys.readouterr()
    assert "bundle: runs/demo-1/bundles/tflite-int8" in said.err
    assert f"{scan}: {CLASSES[scan.stem.split('_')[2]]} " in said.out
    mask = cv2.imread(f"predictions/{scan.stem}_mask.png", cv2.IMREAD_GRAYSCALE) > 0
    assert dice(mask[None], lesion[None])[0] > 0.95
    area_cm2 = float(re.findall(r"\((\d+\.\d+) cm2\)", said.out)[0])
    assert area_cm2 == pytest.approx(lesion.sum() * 0.5**2 / 100.0, rel=0.05)

    main_ok("bench", "--target", "cpu", "--queries", "64")
    report = json.loads(Path("runs/demo-1/bench.json").read_text())
    assert {row["format"] for row in report["results"]} == {"keras", "tflite", "openvino", "onnx"}
    assert all(abs(row["drop"]["dice"]) < 0.05 for row in report["results"])
