from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgebrain.benchmarking import measurement
from edgebrain.benchmarking import slices as module
from edgebrain.benchmarking.report import read_report
from edgebrain.cli import main
from edgebrain.data.sample import Dataset
from tests.benchmarking.factories import records, run_in_working_folder
from tests.runtime.tiny import tiny_bundle
from tests.targets.processes import ends_soon


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run in the working folder, whose data set needs no reader."""
    return run_in_working_folder(tmp_path, monkeypatch)


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
    assert read_report(run / "bench.json").results[0].bundle == "float"
    assert "## Quality" in (run / "bench.md").read_text()


def spoilt(monkeypatch: pytest.MonkeyPatch, dice: float) -> None:
    """As if the int8 bundle had this Dice on every tumour."""
    real = measurement.Measurement.score

    def score(self: measurement.Measurement, *rest: Any) -> None:
        real(self, *rest)
        if self.bundle.precision == "int8":
            self.scores = [replace(one, dice=dice) if one.is_tumour else one for one in self.scores]

    monkeypatch.setattr(measurement.Measurement, "score", score)


def many_tumours(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Enough groups for an interval."""
    slices = tuple(records(run / "data", tumours=20, healthy=2))
    monkeypatch.setattr(module, "open_dataset", lambda path: Dataset(path, "fake", slices))


def test_a_drop_beyond_the_margin_ends_with_3_after_the_report_is_written(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    many_tumours(run, monkeypatch)
    spoilt(monkeypatch, 0.5)
    bundle = str(run / "bundles" / "tflite-int8")
    assert code_of(bundle, "--json", "kept.json") == 3
    assert read_report(Path("kept.json")).results[1].verdict.outcome == "FAIL"
    said = capsys.readouterr().out.splitlines()
    assert any(line.startswith("FAIL: tflite-int8 on cpu (Dice loses ") for line in said)


def test_what_the_data_cannot_tell_is_inconclusive_and_ends_with_0(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert code_of(str(run / "bundles" / "tflite-int8")) == 0
    assert "INCONCLUSIVE: tflite-int8 on cpu" in capsys.readouterr().out


def test_max_dice_drop_is_the_margin_of_the_mean_dice(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    many_tumours(run, monkeypatch)
    spoilt(monkeypatch, 0.9)
    bundle = str(run / "bundles" / "tflite-int8")
    for margin, outcome in (("0.5", "PASS"), ("0.01", "FAIL")):
        code_of(bundle, "--max-dice-drop", margin, "--json", "kept.json", "--force")
        dice = read_report(Path("kept.json")).results[1].verdict.comparisons[0]
        assert (dice.measure, dice.margin, dice.outcome) == ("dice", float(margin), outcome)


def test_a_suite_is_read_before_anything_is_measured_and_kept_in_the_report(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = str(run / "bundles" / "tflite-int8")
    Path("mine.toml").write_text("[margins]\ndice = 0.03\n")
    assert code_of(bundle, "--suite", "mine.toml", "--json", "kept.json") == 0
    suite = read_report(Path("kept.json")).suite
    assert (suite.name, suite.source, suite.margins.dice) == ("mine", "mine.toml", 0.03)
    Path("mine.toml").write_text("[margins]\n")
    Path("kept.json").unlink()
    assert code_of(bundle, "--suite", "mine.toml", "--json", "kept.json") == 1
    assert "mine.toml: declares no margin" in capsys.readouterr().err and not Path("kept.json").exists()


def test_a_margin_that_cannot_be_tested_ends_with_3_where_it_was_asked_for(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    orphan = tiny_bundle(run / "bundles" / "orphan", precision="int8", lineage={"parent": "0" * 64}).path
    assert code_of(str(orphan)) == 0
    assert code_of(str(orphan), "--max-dice-drop", "0.5") == 3
    assert "orphan: its float parent is not here" in capsys.readouterr().err


def test_two_reports_of_one_bundle_are_compared(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = str(run / "bundles" / "tflite-int8")
    for name in ("a.json", "b.json"):
        assert code_of(bundle, "--queries", "200", "--max-images", "3", "--json", name) == 0
    capsys.readouterr()
    with pytest.raises(SystemExit) as caught:
        main(["compare", "a.json", "b.json", "--json", "found.json"])
    assert not caught.value.code
    said = capsys.readouterr().out
    assert "tflite-int8 on cpu, 1 threads: " in said and "noise" in said
    assert {row["bundle"] for row in json.loads(Path("found.json").read_text())["rows"]} == {"float", "tflite-int8"}
    assert code_of(bundle, "--queries", "192", "--max-images", "3", "--json", "b.json", "--force") == 0
    with pytest.raises(SystemExit) as caught:
        main(["compare", "a.json", "b.json"])
    assert caught.value.code == 1
    assert "unlike conditions: protocol.queries (200 | 192)" in capsys.readouterr().err


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


def test_no_report_replaces_another(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = str(run / "bundles" / "tflite-int8")
    assert code_of(bundle, "--json", "kept.json", "--max-images", "1") == 0
    first = (run / "bench.json").read_bytes()
    assert code_of(bundle, "--max-images", "2") == 0
    assert (run / "bench.json").read_bytes() == first
    assert read_report(run / "bench-2.json").data.slices == 2 and (run / "bench-2.md").is_file()
    kept = Path("kept.json").read_bytes()
    capsys.readouterr()
    assert code_of(bundle, "--json", "kept.json") == 1
    assert "kept.json: already exists" in capsys.readouterr().err and Path("kept.json").read_bytes() == kept
    assert not (run / "bench-3.json").exists(), "refused before anything is measured"
    assert code_of(bundle, "--json", "kept.json", "--max-images", "1", "--force") == 0
    assert Path("kept.json").read_bytes() != kept


def test_the_figures_are_printed_even_where_the_report_cannot_be_written(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("plain").write_text("a file, and no folder")
    assert code_of(str(run / "bundles" / "tflite-int8"), "--max-images", "1", "--json", "plain/x.json") == 1
    said = capsys.readouterr()
    assert "Quality" in said.out and "x.json: cannot be written" in said.err


def test_ctrl_c_ends_the_workers_too(run: Path) -> None:
    program = (
        "import signal, sys\nfrom pathlib import Path\n"
        "from edgebrain.benchmarking import slices\nfrom edgebrain.cli import main\n"
        # A shell's background job hands down that Ctrl-C is ignored.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from edgebrain.data.sample import Dataset\nfrom tests.benchmarking.factories import records\n"
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
    try:
        said = bench.communicate(timeout=60)[1]
    finally:
        bench.kill()
    assert bench.returncode != 0 and "Traceback" not in said
    assert all(ends_soon(int(pid)) for pid in workers)


def test_a_worker_that_cannot_open_a_bundle_says_why(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = run / "bundles" / "tflite-int8"
    (bundle / "model.tflite").write_bytes(b"changed")
    assert code_of(str(bundle)) == 1
    assert "model.tflite: does not match its hash" in capsys.readouterr().err
