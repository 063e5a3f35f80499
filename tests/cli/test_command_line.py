"""The command line as a whole: light, helpful, and never a traceback."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from edgebrain.cli import COMMANDS, GROUPS, main
from tests.networks import FinishedRun

HEAVY = ("tensorflow", "keras", "numpy", "cv2", "rich", "openvino", "onnx", "ai_edge_litert", "scipy", "matplotlib")


def run(*words: str) -> int:
    """Exit code of `edgebrain WORDS`, in this process."""
    with pytest.raises(SystemExit) as ended:
        main(words)
    return int(ended.value.code or 0)


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom edgebrain.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print('LOADED', *sorted(name for name in sys.modules if '.' not in name))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    loaded = said.split("LOADED")[1].split()
    assert "typer" in loaded
    assert not set(loaded) & set(HEAVY)


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    said = capsys.readouterr().out
    for name in COMMANDS:
        assert f"\n  {name} " in said
    assert "not a medical device" in said


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in GROUPS])
def test_every_command_has_help_with_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(name, "--help") == 0
    said = capsys.readouterr().out
    assert f"Example: edgebrain {name}" in " ".join(said.split())
    assert max(map(len, said.splitlines())) <= 80


@pytest.mark.parametrize("name", GROUPS)
def test_every_subcommand_has_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    app = import_module(f"edgebrain.cli.{name}").app
    for command in app.registered_commands:
        word = command.name or command.callback.__name__
        assert run(name, word, "--help") == 0
        assert f"Example: edgebrain {name} {word}" in " ".join(capsys.readouterr().out.split())


def test_the_readme_names_every_command() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    for name in COMMANDS:
        assert f"`edgebrain {name}" in readme, name


def test_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert capsys.readouterr().out.startswith("edgebrain ")


def test_wrong_usage_ends_with_two(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("trian") == 2
    assert run("train", "--nonsense") == 2
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said", "way_out"),
    [
        (["train", "brisc-unet182"], "recipe 'brisc-unet182' is not known", "did you mean brisc-unet128"),
        (["train", "demo", "--data", "/nowhere"], "/nowhere", ""),
        (["train", "--resume", "/nowhere"], "/nowhere: is not a run", "edgebrain train"),
        (["train", "--resume", "/nowhere", "--epochs", "3"], "resume takes everything", "leave out"),
        (["evaluate", "/nowhere"], "/nowhere: does not exist", "edgebrain train"),
        (["quantize", "/nowhere"], "/nowhere: is not a run", "edgebrain train"),
        (["quantize", "/nowhere", "--recipe", "int9"], "recipe 'int9' is not known", "did you mean int8"),
        (["recipes", "copy", "dmo"], "recipe 'dmo' is not known", ""),
        (["data", "summary", "/nowhere"], "/nowhere", ""),
    ],
)
def test_an_error_is_a_line_and_a_way_out(
    words: list[str], said: str, way_out: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*words) == 1
    error = capsys.readouterr().err
    assert error.startswith(("Error: ", "run:"))
    assert said in error and way_out in error
    assert "Traceback" not in error


def test_without_a_run_the_newest_is_asked_for_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for words in (["quantize", "--int8"], ["bench", "--target", "cpu"], ["evaluate"]):
        assert run(*words) == 1
        assert "holds no finished run" in capsys.readouterr().err


def test_an_unknown_backend_is_named(monkeypatch: pytest.MonkeyPatch, trained: FinishedRun, tmp_path: Path) -> None:
    from edgebrain.api.keras_backend import import_keras
    from edgebrain.errors import BadRecipe

    monkeypatch.setenv("KERAS_BACKEND", "theano")
    with pytest.raises(BadRecipe, match="KERAS_BACKEND=theano is not known"):
        import_keras("training")


def test_a_missing_library_is_named_with_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from edgebrain.api.keras_backend import import_keras
    from edgebrain.errors import MissingExtra

    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra) as caught:
        import_keras("training")
    assert "keras is not installed" in caught.value.message
    assert caught.value.hint == "pip install 'edgebrain[train]'"


def test_debug_shows_the_traceback() -> None:
    from edgebrain.errors import BadRun

    with pytest.raises(BadRun):
        main(["--debug", "train", "--resume", "/nowhere"])


def test_a_recipe_is_copied_whole_and_not_over_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from edgebrain.recipe import load_train_recipe

    monkeypatch.chdir(tmp_path)
    main_ok("recipes", "copy", "demo")
    assert load_train_recipe("demo.toml") == load_train_recipe("demo")
    assert run("recipes", "copy", "demo") == 1
    assert "already exists" in capsys.readouterr().err
    main_ok("recipes", "copy", "int8-qat", "--out", "mine.toml")
    assert "qat = true" in Path("mine.toml").read_text()


def test_recipes_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    main_ok("recipes", "list")
    said = capsys.readouterr().out
    assert "brisc-unet128-s" in said and "int8-prune50" in said


def test_evaluate_writes_figures_and_picture_and_prints_the_table(
    trained: FinishedRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "figures.json"
    main_ok("evaluate", str(trained.run / "float"), "--out", str(tmp_path / "out"), "--json", str(target))
    said = capsys.readouterr().out
    assert "Dice" in said and "meningioma" in said and "sagittal" in said and "F1:" in said
    assert max(map(len, said.splitlines()[1:-1])) <= 80
    report = json.loads(target.read_text())
    assert {"dice", "iou", "sensitivity", "specificity", "accuracy", "healthy_marked"} <= set(report["summary"])
    assert len(report["images"]) == report["data"]["slices"] == report["summary"]["counts"]["slices"]
    assert set(report["by_plane"]) == {"axial", "coronal", "sagittal"}
    assert (tmp_path / "out" / "confusion.png").read_bytes().startswith(b"\x89PNG")


def test_evaluate_again_takes_a_folder_of_its_own_and_replaces_nothing(
    trained: FinishedRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained.run, run)
    for _ in range(2):
        main_ok("evaluate", str(run), "--split", "val")
    folders = sorted(path.name for path in (run / "evaluation").iterdir())
    assert folders == ["float-val", "float-val-2"]
    figures = [(run / "evaluation" / name / "evaluation.json").read_bytes() for name in folders]
    assert figures[0] == figures[1]
    notes = tmp_path / "notes.json"
    notes.write_text("mine")
    for words in (["--json", str(notes)], ["--out", str(run / "evaluation" / "float-val")]):
        with pytest.raises(SystemExit) as caught:
            main(["evaluate", str(run), *words])
        assert caught.value.code == 1 and "already exists" in capsys.readouterr().err
    assert notes.read_text() == "mine"


def test_evaluate_to_stdout_is_json_alone(
    trained: FinishedRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main_ok("evaluate", str(trained.run / "float"), "--out", str(tmp_path / "out"), "--json", "-", "--split", "val")
    assert json.loads(capsys.readouterr().out)["data"]["split"] == "val"


def main_ok(*words: str) -> None:
    """`edgebrain WORDS` must end well."""
    assert run(*words) == 0


def test_a_stopped_training_says_how_to_go_on(
    trained: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from edgebrain.training import loop

    def stopped(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "finish_run", stopped)
    assert run("train", str(trained.recipe), "--data", str(trained.phantoms), "--out", str(tmp_path / "run")) != 0
    said = capsys.readouterr().err
    assert f"edgebrain train --resume {tmp_path / 'run'}" in " ".join(said.split())
    assert "Traceback" not in said
    assert (tmp_path / "run" / "run.json").is_file()


def test_train_and_evaluate_tell_what_copying_scores(
    trained: FinishedRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main_ok("evaluate", str(trained.run / "float"), "--out", str(tmp_path / "out"))
    assert "copying the nearest training slice: Dice 0." in capsys.readouterr().out
    told = json.loads((tmp_path / "out" / "evaluation.json").read_text())["copying"]
    stored = json.loads((trained.run / "float" / "scores.json").read_text())["copying"]
    assert told["slices"] == 25 and 0.0 <= told["dice"] < 0.9
    assert stored["accuracy"] is not None
