from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edgebrain.cli import main
from edgebrain.files import write_json
from tests.reporting.conftest import Measured

Copied = Callable[..., Path]


def code_of(*words: str) -> int:
    """Exit code of `edgebrain report` with these words."""
    with pytest.raises(SystemExit) as caught:
        main(["report", *words])
    return int(caught.value.code or 0)


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what takes seconds: other tests look at the pictures."""
    monkeypatch.setattr("edgebrain.reporting.build.pictures.draw", lambda *rest: ({}, {}))


def test_every_format_is_written_with_the_bench_extra_alone(
    measured: Measured, copied: Copied, tmp_path: Path, no_pictures: None, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    for library in ("matplotlib", "keras", "tensorflow"):
        monkeypatch.setitem(sys.modules, library, None)
    run = copied()
    files = {option: tmp_path / f"out{option}" for option in ("json", "markdown", "junit", "model-card", "mlperf")}
    words = [word for option, file in files.items() for word in (f"--{option}", str(file))]
    assert code_of(str(run), *words) == 0
    assert (run / "report.html").read_text().startswith("<!doctype html>")
    assert [f"wrote {run / 'report.html'}", *(f"wrote {file}" for file in files.values())] == (
        capsys.readouterr().out.splitlines()
    )
    rows = json.loads(files["json"].read_text())["reports"][0]["rows"]
    assert [row["dice"] for row in rows] == [row["dice"] for row in measured.bench["results"]]
    card = files["model-card"].read_bytes()
    assert code_of(str(run), *words) == 1
    assert f"{run / 'report.html'}: already exists" in capsys.readouterr().err
    (run / "report.html").unlink()
    assert code_of(str(run), *words) == 1
    assert files["model-card"].read_bytes() == card
    assert code_of(str(run), *words, "--force") == 0


def test_a_persons_file_is_kept_unless_forced(
    copied: Copied, tmp_path: Path, no_pictures: None, capsys: pytest.CaptureFixture[str]
) -> None:
    run, mine = copied(), tmp_path / "mine.html"
    mine.write_text("my notes on edgebrain report")
    assert code_of(str(run), "--out", str(mine)) == 1
    assert mine.read_text() == "my notes on edgebrain report" and not (run / "report.html").exists()
    assert f"{mine}: already exists" in capsys.readouterr().err
    assert code_of(str(run), "--out", str(mine), "--force") == 0
    assert "<!doctype html>" in mine.read_text()


def test_without_a_name_the_newest_run_is_taken_and_told(
    copied: Copied, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, no_pictures: None,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    run = copied()
    (tmp_path / "runs").mkdir()
    run.rename(tmp_path / "runs" / "demo-1")
    monkeypatch.chdir(tmp_path)
    assert code_of() == 0
    assert "run: runs/demo-1" in capsys.readouterr().err
    assert Path("runs/demo-1/report.html").is_file()


def test_a_report_of_another_name_gives_the_page_its_name(
    measured: Measured, tmp_path: Path, no_pictures: None
) -> None:
    write_json(tmp_path / "pi.json", measured.bench)
    assert code_of(str(tmp_path / "pi.json")) == 0
    assert (tmp_path / "pi.html").is_file()


def test_bad_input_is_named_and_the_rest_is_done(
    measured: Measured, copied: Copied, tmp_path: Path, no_pictures: None, capsys: pytest.CaptureFixture[str]
) -> None:
    run, older, edited = copied(), tmp_path / "older.json", tmp_path / "edited.json"
    write_json(older, {**measured.bench, "schema": 1})
    changed = json.loads(json.dumps(measured.bench))
    changed["results"][0]["accuracy"] = 1.0
    write_json(edited, changed)
    assert code_of(str(run), str(older), str(edited), str(tmp_path / "gone.json")) == 1
    said = capsys.readouterr().err
    for words in ("older.json: schema 1 is older than 2", "(float).accuracy is 1.0", "gone.json: cannot be read"):
        assert words in said
    assert "older.json: schema 1 is older than 2" in (run / "report.html").read_text()


def test_nothing_to_report_is_an_error_with_a_way_out(
    copied: Copied, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = copied()
    (run / "bench.json").unlink()
    assert code_of(str(run)) == 1
    assert f"holds no bench.json, so there is nothing to report\n  edgebrain bench {run}" in capsys.readouterr().err
    assert code_of(str(tmp_path)) == 1
    assert "is not a run" in capsys.readouterr().err
