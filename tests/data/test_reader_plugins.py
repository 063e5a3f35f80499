"""Readers of installed packages: from the command line they do all that the built-in ones do."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from edgebrain.data.readers import open_dataset, registry
from edgebrain.data.readers.registry import Reader, known_layouts, reader_named, reader_names
from edgebrain.errors import BadData, BrokenPlugin
from edgebrain.phantom.generator import write_phantoms

TOY = Path(__file__).parents[1] / "toys" / "reader"
RECIPE = 'name = "tiny"\n[model]\nwidth = 4\nside = 32\n[train]\nepochs = 1\nbatch = 8\n'


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of installed packages with the toy reader in it."""
    folder = tmp_path_factory.mktemp("site")
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, "--target", str(folder), str(TOY)], check=True)
    return folder


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Phantoms in the toy's layout: pictures and masks in one folder, and a table."""
    drawn, root = tmp_path_factory.mktemp("drawn") / "set", tmp_path_factory.mktemp("tables")
    write_phantoms(drawn, 60, seed=2)
    rows = []
    for record in open_dataset(drawn).records:
        picture, mask = f"files/{record.name}", f"files/m{record.name}" if record.mask_path else ""
        (root / "files").mkdir(exist_ok=True)
        record.image_path.rename(root / picture)
        if record.mask_path:
            record.mask_path.rename(root / mask)
        rows.append([picture, mask, record.label, record.plane, record.group, ""])
    with (root / "slices.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([["picture", "mask", "class", "plane", "patient", "side"], *rows])
    return root


def edgebrain(site: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a folder, with the packages of `site` installed."""
    paths = os.pathsep.join([str(site), str(Path(__file__).parents[2])])
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "edgebrain", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_a_folder_that_only_an_installed_reader_knows_is_summarised(site: Path, tables: Path, tmp_path: Path) -> None:
    done = edgebrain(site, tmp_path, "data", "summary", str(tables), "--json", "-")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["kind"], found["slices"], found["unreadable"], found["strays"]) == ("toy", 60, [], [])
    assert found["masks"] > 30 and not found["missing_masks"]


def test_without_the_package_the_folder_is_refused(tables: Path, tmp_path: Path) -> None:
    done = edgebrain(tmp_path, tmp_path, "data", "summary", str(tables))
    assert done.returncode == 1 and "is laid out as no data set that edgebrain knows" in done.stderr


@pytest.mark.slow
def test_with_an_installed_reader_a_network_is_trained_and_evaluated(site: Path, tables: Path, tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(RECIPE)
    trained = edgebrain(site, tmp_path, "train", "tiny.toml", "--data", str(tables), "--out", "run")
    assert trained.returncode == 0, trained.stderr
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    assert run["data"]["kind"] == "toy" and run["data"]["slices"] == 60
    scored = edgebrain(site, tmp_path, "evaluate", "run", "--json", "figures.json")
    assert scored.returncode == 0, scored.stderr
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["data"]["source"] == "the run's split"
    assert figures["summary"]["counts"]["slices"] == run["split"]["slices"]["test"] == len(figures["images"])
    split = json.loads((tmp_path / "run" / "split.json").read_text())
    assert {split["groups"][image["name"]] for image in figures["images"]} == {i["group"] for i in figures["images"]}


def test_a_damaged_table_is_an_error_in_the_readers_own_words(site: Path, tmp_path: Path) -> None:
    (tmp_path / "slices.csv").write_text("picture,mask\na.png,\n")
    done = edgebrain(site, tmp_path, "data", "summary", ".")
    assert done.returncode == 1 and "slices.csv: has no column 'class'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", registry.READERS)
def test_the_built_in_readers_keep_the_protocol(name: str) -> None:
    assert isinstance(reader_named(name), Reader)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("broken", "edgebrain.no_such_module", "cannot be loaded"),
        ("number", "edgebrain.data.split:SIDES", "is tuple, not Reader"),
        ("brisc", "edgebrain.data.readers.phantom", "brings a reader 'brisc', which edgebrain has itself"),
    ],
)
def test_a_package_that_brings_no_usable_reader_is_named(
    name: str, value: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = EntryPoint(name, value, registry.GROUP)
    monkeypatch.setattr(registry, "find_plugins", lambda group: {name: entry})
    with pytest.raises(BrokenPlugin, match=words):
        known_layouts()


def test_the_layouts_of_installed_readers_are_among_the_known_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint("mine", "edgebrain.data.readers.phantom", registry.GROUP)
    monkeypatch.setattr(registry, "find_plugins", lambda group: {"mine": entry})
    assert reader_names() == [*registry.READERS, "mine"]
    assert "mine: phantom.json" in known_layouts()


def test_a_reader_that_is_gone_is_named() -> None:
    with pytest.raises(BadData, match="no reader is called 'gone'"):
        reader_named("gone")


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (["a/1.png,,glioma,axial,p1,", "b/1.png,,no_tumor,axial,p2,"], "lists 1.png twice"),
        (["1.png,,cyst,axial,p1,"], "gives the class 'cyst'"),
    ],
)
def test_what_a_reader_promises_is_checked(
    rows: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(TOY))
    monkeypatch.setattr(
        registry, "find_plugins", lambda group: {"toy": EntryPoint("toy", "toy_reader", registry.GROUP)}
    )
    (tmp_path / "slices.csv").write_text("\n".join(["picture,mask,class,plane,patient,side", *rows]) + "\n")
    with pytest.raises(BadData, match=words):
        open_dataset(tmp_path)
