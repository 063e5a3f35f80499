"""The examples run as they stand, and do what they say."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.networks import RECIPE as COMPUTED
from tests.networks import FinishedRun

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
SCRIPTS = sorted(path.relative_to(EXAMPLES).as_posix() for path in EXAMPLES.rglob("*.py"))
RECIPE = COMPUTED.replace('name = "computed"', 'name = "tiny"') + "[phantom]\ncount = 96\n"


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory, computed: FinishedRun, session_cache: Path) -> Path:
    """A folder in which the newest finished run has an INT8 bundle."""
    import edgebrain

    folder = tmp_path_factory.mktemp("workplace")
    shutil.copytree(computed.run, folder / "runs" / "demo-1")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(session_cache))
        results = edgebrain.quantize(folder / "runs" / "demo-1", "int8")
    assert all(result.error is None for result in results)
    return folder


def run(script: str, *arguments: str, folder: Path, site: Path | None = None) -> str:
    """What an example prints; it must end well."""
    paths = os.pathsep.join(map(str, filter(None, (site, ROOT))))
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / script), *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_each_example_is_named_in_the_readme() -> None:
    readme = (EXAMPLES / "README.md").read_text()
    for name in ("train_quantize_bench.py", "predict_to_dataframe.py", "tour.ipynb", "custom_reader/"):
        assert f"`{name}`" in readme and (EXAMPLES / name).exists()


@pytest.mark.parametrize("script", [name for name in SCRIPTS if "class_folders" not in name])
def test_an_example_that_is_imported_does_nothing(script: str, tmp_path: Path) -> None:
    code = f"import runpy; runpy.run_path({str(EXAMPLES / script)!r}, run_name='example')"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout, list(tmp_path.iterdir())) == (0, "", []), done.stderr


def test_the_custom_reader_is_installed_and_used(tmp_path: Path) -> None:
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    install = [sys.executable, "-m", "pip", "install", *options, "--target", str(tmp_path / "site")]
    subprocess.run([*install, str(EXAMPLES / "custom_reader")], check=True)
    shown = run("custom_reader/try_it.py", folder=tmp_path, site=tmp_path / "site")
    assert "laid out as class-folders: 24 slices, 19 tumours with a mask" in shown
    assert "wrong:" not in shown


@pytest.mark.slow
def test_the_answers_for_a_folder_become_a_table(workplace: Path, computed: FinishedRun) -> None:
    shown = run("predict_to_dataframe.py", str(computed.phantoms / "images"), "--out", "answers", folder=workplace)
    pictures = sorted(path.name for path in (computed.phantoms / "images").iterdir())
    assert all(name in shown for name in pictures)
    assert len(list((workplace / "answers").glob("*_mask.png"))) == len(pictures)
    for line in shown.splitlines():
        # The names of these pictures hold their true class.
        if "_no_" in line:
            assert "no_tumor" in line


@pytest.mark.slow
def test_a_network_is_trained_quantized_and_measured_from_python(tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(RECIPE)
    shown = run("train_quantize_bench.py", "--recipe", "tiny.toml", "--queries", "64", folder=tmp_path)
    assert "float model: validation Dice" in shown
    for name in ("tflite-int8", "openvino-int8", "onnx-int8"):
        # One epoch is too few to pass the gate on every processor; what became of each format is said in any case.
        assert f"{name}: written" in shown or f"{name}: refused" in shown
    table = [line for line in shown.splitlines() if " p50 " in line]
    assert any("float32" in line for line in table) and all(" ms " in line and "Dice" in line for line in table)


@pytest.mark.slow
def test_the_notebook_runs_from_top_to_bottom(workplace: Path) -> None:
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(EXAMPLES / "tour.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert not any(cell.get("outputs") for cell in notebook.cells), "outputs of somebody's machine are committed"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        patch.setenv("MPLBACKEND", "agg")
        NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(workplace)}}).execute()
    texts = "".join(
        str(output.get("text", output.get("data", {}).get("text/plain", "")))
        for cell in notebook.cells
        for output in cell.get("outputs", [])
    )
    assert "dice" in texts and "preprocess" in texts and (workplace / "tour-answers" / "results.csv").is_file()
