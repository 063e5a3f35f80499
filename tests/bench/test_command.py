from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edgebrain.bench import slices as module
from edgebrain.bench.schema import read_report
from edgebrain.cli import main
from edgebrain.data.sample import Dataset
from tests.bench.shelf import records, run_folder
from tests.targets.processes import ends_soon


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run in the working folder, whose data set needs no reader."""
    found = tuple(records(tmp_path / "data"))
    monkeypatch.setattr(module, "open_dataset", lambda path: Dataset(path, "fake", found))
    (tmp_path / "runs").mkdir()
    monkeypatch.chdir(tmp_path)
    run, _, _ = run_folder(tmp_path / "runs", tmp_path / "data")
    return run


def code_of(*words: str) -> int:
    """Exit code of `edgebrain bench` with these words."""
    with pytest.raises(SystemExit) as caught:
        main(["bench", "--queries", "20", *words])
    return int(caught.value.code or 0)


def test_without_a_bundle_the_newest_run_is_measured_and_named(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of("--target", "cpu") == 0
    said = capsys.readouterr()
    assert "run: runs/run" in said.err
    assert "tflite-int8" in said.out
    assert read_report(run / "bench.json")["results"][0]["bundle"] == "float"
    assert "## Quality" in (run / "bench.md").read_text()


def test_a_drop_above_the_limit_ends_with_3_after_the_report_is_written(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = str(run / "bundles" / "tflite-int8")
    assert code_of(bundle, "--max-dice-drop", "1.0", "--json", "kept.json") == 0
    dropped = read_report(Path("kept.json"))["results"][-1]["drop"]["dice"]
    capsys.readouterr()
    # The tiny network's int8 model answers a little differently from its float parent on these discs.
    assert dropped != 0.0
    assert code_of(bundle, "--max-dice-drop", "0.0", "--json", "kept.json") == (3 if dropped > 0 else 0)
    assert Path("kept.json").is_file()


def test_json_on_stdout_is_nothing_but_json(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of(str(run / "bundles" / "tflite-int8"), "--json", "-", "--max-images", "2") == 0
    assert json.loads(capsys.readouterr().out)["data"]["slices"] == 2


@pytest.mark.parametrize("threads", ["0", "a", "", "1,-2"])
def test_thread_counts_that_are_none_are_wrong_usage(run: Path, threads: str) -> None:
    assert code_of("--threads", threads) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--target", "moon"], "target 'moon' is not known"),
        (["nowhere"], "nowhere: is not a bundle"),
        (["--split", "nowhere"], "no side of a split"),
    ],
)
def test_bad_input_is_one_line_with_a_way_out(
    run: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert code_of(*words) == 1
    said = capsys.readouterr().err
    assert message in said and said.startswith(("Error: ", "run: "))
    assert "Traceback" not in said


def test_an_older_report_is_replaced_and_any_other_file_is_not(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = str(run / "bundles" / "tflite-int8")
    for _ in range(2):
        assert code_of(bundle, "--json", "kept.json", "--max-images", "1") == 0
    Path("notes.json").write_text("{}")
    capsys.readouterr()
    assert code_of(bundle, "--json", "notes.json") == 1
    assert "notes.json: already exists and is no report" in capsys.readouterr().err
    assert Path("notes.json").read_text() == "{}"


def test_the_figures_are_printed_even_where_the_report_cannot_be_written(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / "bench.json").mkdir()
    assert code_of(str(run / "bundles" / "tflite-int8"), "--max-images", "1") == 1
    said = capsys.readouterr()
    assert "Quality" in said.out and "bench.json: cannot be written" in said.err


def test_ctrl_c_ends_the_workers_too(run: Path) -> None:
    program = (
        "import sys\nfrom pathlib import Path\nfrom edgebrain.bench import slices\nfrom edgebrain.cli import main\n"
        "from edgebrain.data.sample import Dataset\nfrom tests.bench.shelf import records\n"
        "found = tuple(records(Path('data')))\n"
        "slices.open_dataset = lambda path: Dataset(path, 'fake', found)\n"
        "main(['bench', '--queries', '10000000'])\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    bench = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, env=environment, text=True)
    children = Path(f"/proc/{bench.pid}/task/{bench.pid}/children")
    while len(workers := children.read_text().split()) < 4:
        assert bench.poll() is None
        os.sched_yield()
    bench.send_signal(signal.SIGINT)
    said = bench.communicate(timeout=60)[1]
    assert bench.returncode != 0 and "Traceback" not in said
    assert all(ends_soon(int(pid)) for pid in workers)


def test_a_worker_that_cannot_open_a_bundle_says_why(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = run / "bundles" / "tflite-int8"
    (bundle / "model.tflite").write_bytes(b"changed")
    assert code_of(str(bundle)) == 1
    assert "model.tflite: does not match its hash" in capsys.readouterr().err
