"""A target of an installed package: measured from the command line, without a line of edgebrain being edited."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgebrain.benchmarking.report import read_report
from edgebrain.phantom.generator import write_phantoms
from tests.benchmarking.factories import run_folder

ROOT = Path(__file__).parents[2]
TOY = ROOT / "tests" / "toys" / "target"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the toy package is installed into."""
    folder = tmp_path_factory.mktemp("installed")
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--disable-pip-version-check", "--target", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(TOY)], check=True)
    return folder


def edgebrain(folder: Path, packages: Path | None, *words: str) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join(map(str, filter(None, (ROOT, packages))))
    environment = {**os.environ, "PYTHONPATH": paths, "COLUMNS": "200"}
    command = [sys.executable, "-m", "edgebrain", *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_a_package_adds_a_target_that_bench_measures_on(installed: Path, tmp_path: Path) -> None:
    write_phantoms(tmp_path / "phantoms", 40, seed=3)
    run, _, _ = run_folder(tmp_path, tmp_path / "phantoms")
    words = ("bench", str(run / "bundles" / "tflite-int8"), "--target", "toy", "--queries", "20", "--split", "all")
    done = edgebrain(tmp_path, installed, *words, "--max-images", "8", "--json", "kept.json")
    assert done.returncode == 0, done.stderr
    rows = {(row.target, row.bundle): row for row in read_report(tmp_path / "kept.json").results}
    assert rows["toy", "tflite-int8"].queries == 20 and rows["toy", "tflite-int8"].device_drop is not None
    assert rows["toy", "tflite-int8"].device_drop.slices_differing == 0
    # Its float root has no engine there, and is scored here.
    assert ("cpu", "float") in rows and ("toy", "float") not in rows
    notes = json.loads((tmp_path / "kept.json").read_text())["notes"]
    assert ("not-measured", "toy", "float") in [(one["kind"], one["target"], one["bundle"]) for one in notes]


def test_without_the_package_the_target_is_not_known_and_with_it_its_name_is_listed(
    installed: Path, tmp_path: Path
) -> None:
    run, _, _ = run_folder(tmp_path, tmp_path)
    words = ("bench", str(run / "float"), "--data", str(tmp_path))
    for packages, name, known in ((None, "toy", False), (installed, "tow", True)):
        done = edgebrain(tmp_path, packages, *words, "--target", name)
        assert done.returncode == 1 and f"target '{name}' is not known" in done.stderr
        assert ("toy or " in done.stderr.split("use --target")[1]) is known


def test_a_target_file_of_the_name_of_a_package_is_refused(installed: Path, tmp_path: Path) -> None:
    run, _, _ = run_folder(tmp_path, tmp_path)
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy" / "toy.toml").write_text('host = "h"\n')
    done = edgebrain(tmp_path, installed, "bench", str(run / "float"), "--target", "toy")
    assert done.returncode == 1 and "two targets are called toy: that of an installed package and" in done.stderr
