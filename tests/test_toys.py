"""Formats, engines and networks of installed packages go the whole way, without a line of edgebrain being edited."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from edgebrain import formats
from edgebrain.benchmarking.report import read_report
from edgebrain.bundle import open_bundle
from edgebrain.errors import BrokenPlugin
from edgebrain.files import read_json
from edgebrain.model import families
from tests.networks import FinishedRun
from tests.runtime.pictures import bright_disc, save
from tests.runtime.tiny import tiny_bundle

ROOT = Path(__file__).parents[1]
TOYS = ROOT / "tests" / "toys"
# The gate is tested by itself; a toy network of one epoch is no good one.
GATE = "[calibration]\nslices = 24\n[gate]\nslices = 24\nmax_dice_drop = 1.0\nmin_agreement = 0.0\n"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the three toy packages are installed."""
    folder = tmp_path_factory.mktemp("site")
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    toys = [str(TOYS / name) for name in ("engine", "format", "network")]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, "--target", str(folder), *toys], check=True)
    return folder


def edgebrain(site: Path | None, folder: Path, *words: object) -> subprocess.CompletedProcess[str]:
    """The command line in a folder, with the packages of `site` installed."""
    paths = os.pathsep.join(map(str, filter(None, (ROOT, site))))
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "200"}
    command = [sys.executable, "-m", "edgebrain", *map(str, words)]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def main_ok(site: Path, folder: Path, *words: object) -> str:
    done = edgebrain(site, folder, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def results(folder: Path) -> list[dict[str, str]]:
    with (folder / "results.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_predict_uses_an_installed_engine_and_marks_what_the_own_one_marks(site: Path, tmp_path: Path) -> None:
    tiny_bundle(tmp_path / "bundle", "onnx")
    save(tmp_path / "disc.png", bright_disc())
    rows = []
    for engine in ("onnxruntime", "toy"):
        main_ok(site, tmp_path, "predict", "disc.png", "--bundle", "bundle", "--engine", engine, "--out", engine)
        (row,) = results(tmp_path / engine)
        rows.append((row["label"], int(row["area_px"])))
    assert rows[0] == rows[1] and rows[0][1] > 100


def test_an_engine_is_known_where_its_package_is_and_only_there(site: Path, tmp_path: Path) -> None:
    tiny_bundle(tmp_path / "bundle", "onnx")
    tiny_bundle(tmp_path / "other", "tflite")
    save(tmp_path / "disc.png", bright_disc())
    for packages, bundle, readers in ((None, "bundle", "onnxruntime"), (site, "other", "litert or tflite or openvino")):
        done = edgebrain(packages, tmp_path, "predict", "disc.png", "--bundle", bundle, "--engine", "toy")
        assert done.returncode == 1 and "engine 'toy' does not read" in done.stderr
        assert f"use --engine {readers}\n" in done.stderr


def test_doctor_tries_installed_engines_and_lists_installed_formats(site: Path, tmp_path: Path) -> None:
    found = json.loads(main_ok(site, tmp_path, "doctor", "--json", "-"))
    assert found["engines"]["toy"] is True and found["engines"]["toyz"] is True
    assert "toyz" in found["targets"]["cpu"]


@pytest.mark.slow
def test_an_installed_format_is_quantized_to_and_measured(computed: FinishedRun, site: Path, tmp_path: Path) -> None:
    (tmp_path / "toy.toml").write_text(GATE)
    words = ("quantize", computed.run, "--recipe", "toy.toml", "--format", "toyz")
    main_ok(site, tmp_path, *words, "--out", "bundles")
    assert sorted(path.name for path in (tmp_path / "bundles").iterdir()) == ["toyz-float32", "toyz-int8"]
    manifest = read_json(tmp_path / "bundles" / "toyz-int8" / "manifest.json", BrokenPlugin)
    # ONNX has no integer transposed convolution; the rest is counted as int8 in the written file.
    assert manifest["precision"] == "mixed" and 0.9 < manifest["int8_mac_share"] < 1.0
    assert manifest["lineage"]["calibration_seen"] == 24
    measured = (
        "--data",
        computed.phantoms,
        "--split",
        "all",
        "--queries",
        20,
        "--max-images",
        8,
        "--json",
        "report.json",
    )
    main_ok(site, tmp_path, "bench", "bundles/toyz-int8", "bundles/toyz-float32", *measured)
    rows = {row.format: row for row in read_report(tmp_path / "report.json").results}
    assert rows["toyz"].runs["engine"] == "toyz" and rows["toyz"].queries == 20
    main_ok(site, tmp_path, *words, "--keep-float", "mask", "--out", "mixed")
    assert (tmp_path / "mixed" / "toyz-int8-mixed").is_dir()
    unknown = edgebrain(None, tmp_path, *words, "--out", "none")
    assert unknown.returncode == 1 and "compress.formats = 'toyz' is not known" in unknown.stderr


@pytest.mark.slow
def test_an_installed_network_is_trained_quantized_and_asked(computed: FinishedRun, site: Path, tmp_path: Path) -> None:
    (tmp_path / "train.toml").write_text(
        '[model]\nfamily = "toy"\nwidth = 4\nside = 64\n[train]\nepochs = 2\nbatch = 8\nlearning_rate = 1e-2\n'
    )
    (tmp_path / "int8.toml").write_text(GATE)
    main_ok(site, tmp_path, "train", "train.toml", "--data", computed.phantoms, "--out", "run")
    manifest = read_json(tmp_path / "run" / "float" / "manifest.json", BrokenPlugin)
    assert manifest["model"] == {"architecture": "toy", "side": 64, "classes": 4, "width": 4}
    main_ok(site, tmp_path, "quantize", "run", "--recipe", "int8.toml", "--format", "tflite")
    bundle = open_bundle(tmp_path / "run" / "bundles" / "tflite-int8")
    assert bundle.manifest["int8_mac_share"] == 1.0 and bundle.manifest["macs"] == manifest["macs"]
    picture = next((computed.phantoms / "images").iterdir())
    main_ok(site, tmp_path, "predict", picture, "--bundle", "run/bundles/tflite-int8", "--out", "out")
    assert len(results(tmp_path / "out")) == 1
    pruned = edgebrain(site, tmp_path, "quantize", "run", "--prune", "0.5", "--out", "pruned")
    assert pruned.returncode == 1 and "toy networks cannot be pruned" in pruned.stderr
    # What was exported needs the package no more.
    assert edgebrain(None, tmp_path, "predict", picture, "--bundle", bundle.path, "--out", "alone").returncode == 0
    gone = edgebrain(None, tmp_path, "quantize", "run", "--recipe", "int8.toml", "--force")
    assert gone.returncode == 1 and "model.family = 'toy' is not known" in gone.stderr


@pytest.mark.parametrize(
    ("group", "value", "words"),
    [
        ("formats", "edgebrain.no_such_module:ROW", "cannot be loaded"),
        ("formats", "edgebrain.formats:ENGINES", "is dict, not Format"),
        ("engines", "tests.test_toys:TAKEN", "'litert'"),
    ],
)
def test_a_package_that_brings_no_usable_row_is_named(
    group: str, value: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = EntryPoint("mine", value, f"edgebrain.{group}")
    monkeypatch.setattr(formats, "find_plugins", lambda name: {"mine": entry} if name == f"edgebrain.{group}" else {})
    reset(monkeypatch)
    with pytest.raises(BrokenPlugin, match=words):
        formats.all_formats() if group == "formats" else formats.all_engines()


@pytest.mark.parametrize("value", ["json:JSONDecoder", "edgebrain.model.families.unet:UNetSpec"])
def test_a_package_that_brings_no_usable_network_is_named(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint("mine", value, "edgebrain.networks")
    monkeypatch.setattr(families, "find_plugins", lambda group: {"mine": entry})
    monkeypatch.setattr(families, "_added", families._added.__wrapped__)
    with pytest.raises(BrokenPlugin, match=f"{value} .* is no usable family 'mine'"):
        families.spec_class("mine")


def test_a_built_in_engine_is_chosen_without_a_look_at_installed_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgebrain.runtime.engines import choose_engine

    def no_look(group: str) -> dict[str, Any]:
        raise AssertionError(f"looked for {group}, which takes longer than a prediction")

    monkeypatch.setattr(formats, "find_plugins", no_look)
    reset(monkeypatch)
    assert choose_engine(tiny_bundle(tmp_path / "b", "onnx")) == "onnxruntime"


TAKEN = formats.EngineInfo("litert", "somewhere", ("tflite",), "json", "json")


def reset(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what was found, for this test alone."""
    for name in ("_added_formats", "_added_engines"):
        monkeypatch.setattr(formats, name, getattr(formats, name).__wrapped__)
