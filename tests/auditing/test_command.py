from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from edgebrain.cli.data import app
from edgebrain.data.readers import open_dataset
from edgebrain.errors import BadData, CannotWrite
from tests.auditing.factories import Folder, lesion, phantom_head
from tests.data.pictures import no_file_above


@pytest.fixture
def leaking(tmp_path: Path) -> Folder:
    """Eight unrelated_slices, a mirrored copy across sides with another label, and an empty mask."""
    folder = Folder(tmp_path / "set")
    for n in range(8):
        folder.put(phantom_head(n), ("glioma", "no_tumor")[n % 2], ("train", "test")[n // 2 % 2])
    folder.put(phantom_head(0)[:, ::-1], "pituitary", "test")
    folder.put(phantom_head(9), mask=np.zeros(phantom_head(9).shape, np.uint8))
    return folder


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["audit", *map(str, words)], catch_exceptions=True)


def test_the_tables_are_within_80_columns_worst_first_with_examples(leaking: Folder) -> None:
    result = run(leaking.root)
    assert result.exit_code == 0, result.exception
    lines = [line for line in result.stdout.splitlines() if str(leaking.root) not in line]
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    worst, *others = (text.index(word) for word in ("mirrored copies, across sides", "two labels", "empty masks"))
    assert worst < min(others)
    assert "brisc2025_test_00009_pi_ax_t1.png" in text and "-> " in text
    assert re.search(r"same picture in training +1 ", text) and "copied Dice" in text
    assert "majority" in text


def test_nothing_is_written_unless_asked_for(leaking: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    run(leaking.root)
    assert sorted(tmp_path.rglob("*")) == before


def test_groups_json_and_page_are_written_and_named(leaking: Folder, tmp_path: Path) -> None:
    files = [tmp_path / "groups.csv", tmp_path / "audit.json", tmp_path / "audit.html"]
    result = run(leaking.root, "--out-groups", files[0], "--json", files[1], "--html", files[2])
    assert result.exit_code == 0 and all(f"wrote {file}" in result.stdout for file in files)
    groups = {record.name: record.group for record in open_dataset(leaking.root, files[0]).records}
    assert groups["brisc2025_train_00001_gl_ax_t1.png"] == groups["brisc2025_test_00009_pi_ax_t1.png"]
    assert json.loads(files[1].read_text())["groups"] == 9


def test_json_on_stdout_is_json_alone(leaking: Folder) -> None:
    content = json.loads(run(leaking.root, "--json", "-").stdout)
    assert content["schema"] == 2 and content["findings"][0]["key"] == "mirrored-across"


def test_files_that_are_there_are_replaced_only_with_force(leaking: Folder, tmp_path: Path) -> None:
    mine = tmp_path / "groups.csv"
    mine.write_text("mine")
    result = run(leaking.root, "--out-groups", mine, "--json", tmp_path / "a.json")
    assert isinstance(result.exception, CannotWrite) and "--force" in result.exception.hint
    assert mine.read_text() == "mine" and not (tmp_path / "a.json").exists()
    assert run(leaking.root, "--out-groups", mine, "--force").exit_code == 0
    assert mine.read_text().startswith("name,group\n")


def test_a_full_disk_leaves_the_old_groups_file(leaking: Folder, tmp_path: Path) -> None:
    mine = tmp_path / "groups.csv"
    mine.write_text("mine")
    with no_file_above(100):
        result = run(leaking.root, "--out-groups", mine, "--force")
    assert isinstance(result.exception, CannotWrite) and mine.read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_folder_that_cannot_be_audited_is_an_error(tmp_path: Path) -> None:
    assert isinstance(run(tmp_path / "nowhere").exception, BadData)


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]


def test_the_page_needs_no_network_and_shows_pairs_side_by_side(leaking: Folder, tmp_path: Path) -> None:
    run(leaking.root, "--html", tmp_path / "a.html")
    text = (tmp_path / "a.html").read_text()
    page = _Tags()
    page.feed(text)
    assert page.tags.count("figure") == 2 and page.tags.count("img") == 4
    assert all(source.startswith("data:image/jpeg;base64,") for source in page.sources)
    assert not {"script", "link", "iframe"} & set(page.tags) and "url(" not in text and "http" not in text
    assert "prefers-color-scheme:dark" in text and "mirrored left-right" in text and "pituitary / glioma" in text


def test_names_are_escaped_in_the_page(tmp_path: Path) -> None:
    from tests.auditing.factories import write

    for n, name in enumerate(("<b>a", "c&d")):
        write(tmp_path / "set" / f"{name}.png", phantom_head(0) if n == 0 else phantom_head(0)[:, ::-1])
    run(tmp_path / "set", "--html", tmp_path / "a.html")
    text = (tmp_path / "a.html").read_text()
    assert "<b>" not in text and "&lt;b&gt;a.png" in text and "c&amp;d.png" in text


@pytest.mark.slow
def test_the_page_of_the_real_brisc_stays_below_3_mb(real_brisc: Path, tmp_path: Path) -> None:
    run(real_brisc, "--html", tmp_path / "a.html")
    assert (tmp_path / "a.html").stat().st_size < 3_000_000


def test_a_set_without_findings_says_so(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "set")
    for n in range(4):
        folder.put(phantom_head(n), mask=lesion(phantom_head(n).shape, 10 + n))
    result = run(folder.root)
    assert "nothing was found" in result.stdout and "all slices are glioma" in result.stdout
