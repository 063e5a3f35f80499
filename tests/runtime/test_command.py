from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edgebrain.cli import main
from tests.runtime.pictures import bright_disc, save
from tests.runtime.tiny import tiny_bundle


def code_of(*words: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(words)
    return int(caught.value.code or 0)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a run that holds an int8 and a float TFLite bundle, and a picture."""
    run = tmp_path / "runs" / "first"
    tiny_bundle(run / "float", "onnx")
    tiny_bundle(run / "bundles" / "float32")
    tiny_bundle(run / "bundles" / "int8", precision="int8")
    (run / "run.json").write_text("{}")
    save(tmp_path / "scan.png", bright_disc())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_predict_takes_the_newest_runs_int8_bundle_and_names_it(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of("predict", "scan.png", "--pixel-mm", "0.5") == 0
    said = capsys.readouterr()
    assert "bundle: runs/first/bundles/int8" in said.err
    assert said.out.startswith("scan.png: ") and "cm2" in said.out
    assert sorted(path.name for path in Path("predictions").iterdir()) == [
        "model.json",
        "results.csv",
        "scan_mask.png",
        "scan_overlay.png",
    ]


def test_predict_again_takes_the_next_folder(here: Path) -> None:
    assert code_of("predict", "scan.png") == code_of("predict", "scan.png") == 0
    assert Path("predictions-2", "results.csv").is_file()


def test_a_folder_with_a_bad_picture_ends_with_1_after_the_rest_is_done(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(here / "in" / "a.png", bright_disc())
    (here / "in" / "b.png").write_text("not a picture")
    assert code_of("predict", "in", "--json", "-") == 1
    said = capsys.readouterr()
    assert [(entry["name"], bool(entry["error"])) for entry in json.loads(said.out)] == [
        ("in/a.png", False),
        ("in/b.png", True),
    ]
    assert "1 of 2 pictures done, 1 could not be used" in said.err
    assert "Error: in/b.png: is not a picture but text" in said.err


def test_predict_takes_a_run_for_its_int8_bundle(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of("predict", "scan.png", "--bundle", "runs/first") == 0
    assert "bundle: runs/first/bundles/int8" in capsys.readouterr().err
    shutil.rmtree("runs/first/bundles/int8")
    assert code_of("predict", "scan.png", "--bundle", "runs/first") == 1
    said = capsys.readouterr().err
    assert "runs/first: holds no int8 tflite bundle" in said and "runs/first/bundles/float32" in said


def test_what_was_done_is_not_done_again_with_resume(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of("predict", "scan.png", "--out", "out") == 0
    assert code_of("predict", "scan.png", "--out", "out") == 1
    assert "already exists" in capsys.readouterr().err
    save(here / "later.png", bright_disc())
    assert code_of("predict", "scan.png", "later.png", "--out", "out", "--resume") == 0
    assert "1 of 1 pictures done, 1 were done before" in capsys.readouterr().out
    for words in (["--resume"], ["--resume", "--out", "out", "--force"]):
        assert code_of("predict", "scan.png", *words) == 2


def test_predict_without_any_run_names_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert code_of("predict", "scan.png") == 1
    assert "edgebrain train" in capsys.readouterr().err


def test_predicting_one_picture_imports_neither_rich_nor_a_framework(here: Path) -> None:
    program = (
        "import sys\nfrom edgebrain.cli import main\n"
        "try:\n    main(['predict', 'scan.png', '--out', 'out'])\n"
        "finally:\n    print(*sorted({'tensorflow', 'keras', 'rich', 'scipy', 'openvino'} & set(sys.modules)))\n"
    )
    home = str(Path(__file__).parents[2])
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env={"PYTHONPATH": home})
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == ""


@pytest.mark.usefixtures("libraries_checked")
def test_doctor_prints_text_or_json(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of("doctor") == 0
    assert "target cpu: runs" in capsys.readouterr().out
    assert code_of("doctor", "--json", "-") == 0
    findings = json.loads(capsys.readouterr().out)
    assert findings["engines"]["litert"] is True and findings["environment"]["python"]


@pytest.mark.parametrize("words", [["predict", "scan.png"], ["bench"]])
def test_without_opencv_the_line_that_installs_it_is_told(here: Path, words: list[str]) -> None:
    program = f"import sys\nsys.modules['cv2'] = None\nfrom edgebrain.cli import main\nmain({words!r})\n"
    home = str(Path(__file__).parents[2])
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env={"PYTHONPATH": home})
    assert done.returncode == 1
    assert "pip install 'edgebrain[edge]'" in done.stderr and "Traceback" not in done.stderr
