"""What is installed but broken is named with the loader's own words, by every way that leads to it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from importlib import import_module
from importlib.metadata import metadata
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement

from edgebrain.errors import BrokenLibrary, MissingExtra
from edgebrain.formats import CPU, ENGINES
from edgebrain.libraries import MODULES, cure, importing
from edgebrain.reporting.doctor import as_text
from edgebrain.runtime import doctor, library_check
from edgebrain.runtime.doctor import EXTRAS
from edgebrain.runtime.engines import installed, litert
from edgebrain.runtime.environment import environment
from edgebrain.runtime.library_check import RELU_INPUT, RELU_OUTPUT, check_libraries
from tests.runtime.pictures import bright_disc, save
from tests.runtime.tiny import tiny_bundle

LIB_GL = "libGL.so.1: cannot open shared object file: No such file or directory"
STACK = "onnxruntime_pybind11_state.so: cannot enable executable stack as shared object requires: Invalid argument"
ENDINGS = {
    "fine": ("", ""),
    "no_gl": (f"raise ImportError({LIB_GL!r})", LIB_GL),
    "needs": ("import nowhere_at_all", "No module named 'nowhere_at_all'"),
    "another_numpy": ("raise AttributeError('_ARRAY_API not found')", "_ARRAY_API not found"),
    "says_nothing": ("raise RuntimeError", "RuntimeError"),
    "leaves": ("import sys; sys.exit(3)", "3"),
    "talks": ("print('hello'); import os; os.write(1, b'hello'); os.write(2, b'hello')", ""),
    "dies": ("import os, signal; os.kill(os.getpid(), signal.SIGILL)", "SIGILL: an illegal instruction"),
    "aborts": ("import os; os.abort()", "SIGABRT"),
    "exits": ("import os; os._exit(7)", "exit code 7"),
}


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose modules come before all others, in child processes too."""
    folder = tmp_path / "planted"
    folder.mkdir()
    home = str(Path(__file__).parents[2])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), home]))
    return folder


def plant(folder: Path, module: str, source: str) -> None:
    path = folder.joinpath(*module.split(".")).with_suffix(".py")
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.parent != folder:
        (path.parent / "__init__.py").touch()
    path.write_text(source)


def test_every_way_to_fail_is_named_and_the_others_are_tried_all_the_same(planted: Path) -> None:
    for name, (source, _) in ENDINGS.items():
        plant(planted, name, source)
    told: list[tuple[str, int, int]] = []
    found = check_libraries(list(ENDINGS), lambda *done: told.append(done))
    assert {
        name: (problem or ("",))[0] for name, problem in found.items() if name not in ("dies", "aborts", "exits")
    } == {name: reason for name, (_, reason) in ENDINGS.items() if name not in ("dies", "aborts", "exits")}
    for name in ("dies", "aborts", "exits"):
        problem = found[name]
        assert problem is not None and ENDINGS[name][1] in problem[0]
    assert told[-1][2] == len(ENDINGS)


def test_a_library_that_hangs_is_given_up(planted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(planted, "hangs", "import time; time.sleep(600)")
    plant(planted, "fine", "")
    monkeypatch.setattr(library_check, "TIMEOUT_S", 3.0)
    found = check_libraries(["hangs", "fine"])
    assert found["fine"] is None and found["hangs"] is not None
    assert found["hangs"][0] == "it did not answer within 3 s"


@pytest.mark.parametrize("engine", [name for name, row in ENGINES.items() if CPU in row.devices and name != "keras"])
def test_each_engine_computes_the_one_operator(engine: str) -> None:
    if not installed(engine):
        pytest.skip(f"{engine} is not installed")
    relu = import_module(ENGINES[engine].module).relu
    assert relu(np.array([RELU_INPUT], np.float32)).ravel().tolist() == RELU_OUTPUT


def test_an_engine_that_computes_something_else_is_no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(litert, "relu", np.ones_like)
    assert "gave [1.0, 1.0, 1.0, 1.0]" in library_check._check("engine:litert")[0]


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (LIB_GL, "libgl1"),
        (STACK, "executable stacks"),
        ("numpy.core.multiarray failed to import", "another NumPy"),
        ("/lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.34' not found", "library is older"),
        ("libnode.so.9: cannot open shared object file: No such file or directory", "apt-file"),
        ("/x/y.so: wrong ELF class: ELFCLASS32", "another processor"),
        ("the process ended (SIGILL: an illegal instruction)", "lacks instructions"),
        ("something nobody has met", "pip install --force-reinstall PACKAGE"),
    ],
)
def test_what_usually_helps_goes_with_what_the_loader_says(reason: str, words: str) -> None:
    assert words in cure(reason, "PACKAGE")


def test_missing_and_broken_are_two_errors() -> None:
    with (
        pytest.raises(MissingExtra, match="nowhere-at-all is not installed; x needs it") as caught,
        importing("nowhere-at-all", "edge", "x"),
    ):
        import nowhere_at_all  # noqa: F401
    assert not isinstance(caught.value, BrokenLibrary)
    with (
        pytest.raises(BrokenLibrary, match="openvino is installed but cannot be loaded") as caught,
        importing("openvino", "openvino", "x"),
    ):
        raise ImportError(LIB_GL)
    assert LIB_GL in caught.value.message and "libgl1" in caught.value.hint
    with pytest.raises(BrokenLibrary, match="No module named 'a_part'"), importing("openvino", "openvino", "x"):
        raise ModuleNotFoundError("No module named 'a_part'", name="a_part")


@pytest.mark.parametrize(
    ("module", "source", "words"),
    [
        ("cv2.__init__", f"raise ImportError({LIB_GL!r})", LIB_GL),
        ("ai_edge_litert.interpreter", "raise ImportError('GLIBC_2.34 not found')", "GLIBC_2.34 not found"),
        ("numpy.__init__", "raise ImportError('libopenblas.so.0: cannot open shared object file')", "libopenblas.so.0"),
        ("numpy.__init__", "raise RuntimeError('built with baseline (X86_V2), your machine lacks it')", "X86_V2"),
    ],
)  # fmt: skip
def test_predict_says_what_the_loader_says(tmp_path: Path, planted: Path, module: str, source: str, words: str) -> None:
    bundle = tiny_bundle(tmp_path / "bundle", precision="int8").path
    plant(planted, module, source)
    picture = save(tmp_path / "a.png", bright_disc())
    command = [sys.executable, "-m", "edgebrain", "predict", str(picture), "--bundle", str(bundle), "--out", "out"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1 and words in done.stderr, done.stderr
    assert done.stderr.startswith("Error: ") and "Traceback" not in done.stderr and "not installed" not in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.fixture
def light(planted: Path) -> Path:
    """As `planted`, with other modules in place of the frameworks, which take 10 s to import."""
    for name in ("tensorflow", "tensorflow_model_optimization", "tf_keras", "nncf", "tf2onnx", "matplotlib"):
        if find_spec(name) is not None:
            plant(planted, name, "")
    plant(planted, "keras", "raise ImportError('no backend')")
    return planted


def test_doctor_calls_broken_what_is_broken_and_lets_no_target_run_on_it(light: Path, tmp_path: Path) -> None:
    plant(light, "cv2.__init__", f"raise ImportError({LIB_GL!r})")
    plant(light, "onnxruntime.__init__", f"raise ImportError({STACK!r})")
    command = [sys.executable, "-m", "edgebrain", "doctor"]
    text = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path).stdout
    assert "libGL.so.1" in text and "executable stack" in text and "target cpu: runs nothing yet" in text
    assert all(len(line) <= 80 for line in text.splitlines()), "tables fit 80 columns"


def test_doctor_leaves_the_engines_that_work(light: Path, tmp_path: Path) -> None:
    plant(light, "onnxruntime.__init__", f"import os, signal; os.kill(os.getpid(), {signal.SIGILL.value})")
    command = [sys.executable, "-m", "edgebrain", "doctor", "--json", "-"]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path).stdout)
    assert found["engines"]["litert"] is True and found["engines"]["onnxruntime"] is False
    assert "SIGILL" in found["broken"]["onnxruntime"]["reason"]
    assert "lacks instructions" in found["broken"]["onnxruntime"]["cure"]
    assert "tflite" in found["targets"]["cpu"] and "onnx" not in found["targets"]["cpu"]
    broken = {extra["name"]: extra["broken"] for extra in found["extras"]}
    assert broken["onnx"] == ["onnxruntime"] and broken["edge"] == []


def test_what_is_wrong_with_a_library_of_several_extras_is_said_once() -> None:
    extra = {"installed": True, "missing": [], "broken": ["cv2"], "adds": "", "install": None}
    findings = {
        "environment": environment(),
        "extras": [{"name": "edge", **extra}, {"name": "all", **extra}],
        "broken": {"cv2": {"reason": LIB_GL, "cure": "apt-get install libgl1"}},
        "targets": {},
        "lacking": {},
    }
    text = as_text(findings)
    assert text.count("libGL.so.1") == 1 and text.count("cv2: see above") == 1


def test_what_is_not_installed_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []
    monkeypatch.setattr(doctor, "EXTRAS", (doctor.Extra("x", ("nowhere_at_all", "json"), "nothing"),))
    monkeypatch.setattr(doctor, "check_libraries", lambda names, progress: tried.extend(names) or dict.fromkeys(names))
    findings = doctor.diagnose(["cpu"], {})
    assert "json" in tried and "nowhere_at_all" not in tried
    assert findings["extras"][0]["missing"] == ["nowhere_at_all"]


def test_every_extra_is_listed_with_the_modules_of_its_packages() -> None:
    about = metadata("edgebrain")
    assert sorted(extra.name for extra in EXTRAS) == sorted(about.get_all("Provides-Extra") or [])
    packages: dict[str, set[str]] = {extra.name: set() for extra in EXTRAS}
    for line in about.get_all("Requires-Dist") or []:
        needed = Requirement(line)
        for name in packages:
            wanted = needed.marker is not None and needed.marker.evaluate({"extra": name, "python_version": "3.11"})
            # Every installation has NumPy; and an extra's own packages may be listed by its name, edgebrain[data].
            if wanted and needed.name not in ("numpy", "edgebrain"):
                packages[name].add(MODULES.get(needed.name, needed.name.replace("-", "_")))
    listed = {extra.name: set(extra.modules) for extra in EXTRAS}
    assert {name: modules - listed[name] for name, modules in packages.items()} == {name: set() for name in listed}
    assert set().union(*listed.values()) == set().union(*packages.values())
