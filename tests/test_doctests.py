"""The examples in docstrings are true: each module's run in a folder with the files that they name."""

from __future__ import annotations

import doctest
import shutil
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import edgebrain
from edgebrain.benchmarking.report import as_json
from edgebrain.files import write_json
from tests.networks import FinishedRun

ROOT = Path(edgebrain.__file__).parent
EXAMPLES = sorted(path for path in ROOT.rglob("*.py") if ">>> " in path.read_text(encoding="utf-8"))
OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL


@pytest.fixture(scope="module")
def world(computed: FinishedRun, session_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished, quantized and benched run; its recipe and data; and two of its pictures."""
    folder = tmp_path_factory.mktemp("world")
    shutil.copytree(computed.run, folder / "runs/demo-1")
    shutil.copy(computed.recipe, folder / "recipe.toml")
    (folder / "pictures").symlink_to(computed.phantoms)
    (folder / "slices").mkdir()
    healthy, glioma = (sorted((computed.phantoms / "images").glob(f"*_{kind}_*"))[0] for kind in ("no", "gl"))
    shutil.copy(glioma, folder / "slices/1.png")
    shutil.copy(healthy, folder / "slices/2.png")
    shutil.copy(glioma, folder / "slice.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(session_cache))
        patch.chdir(folder)
        edgebrain.quantize("runs/demo-1", formats=["tflite"])
        report = edgebrain.bench("runs/demo-1/bundles/tflite-int8", queries=192, max_images=12)
        write_json(folder / "before.json", as_json(report))
    return folder


def run(path: Path) -> doctest.TestResults:
    """Run the examples of a module."""
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    module = import_module(".".join(part for part in parts if part != "__init__"))
    return doctest.testmod(module, extraglobs={"edgebrain": edgebrain, "np": np}, optionflags=OPTIONS)


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", [one for one in EXAMPLES if not named(one).startswith("api/")], ids=named)
def test_the_examples_of_a_module_are_true(path: Path) -> None:
    assert run(path).failed == 0


@pytest.mark.slow
@pytest.mark.parametrize("path", [one for one in EXAMPLES if named(one).startswith("api/")], ids=named)
def test_the_examples_of_the_public_functions_are_true(
    path: Path, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(world, tmp_path / "here", symlinks=True)
    monkeypatch.chdir(tmp_path / "here")
    assert run(path).failed == 0


def test_no_example_of_a_public_function_is_skipped() -> None:
    assert not [path for path in EXAMPLES if "doctest: +SKIP" in path.read_text(encoding="utf-8")]
