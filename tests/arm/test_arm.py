"""The bench on Arm without a Pi: an aarch64 Debian under qemu, behind a real ssh server; `make test-arm`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from shlex import join
from typing import Any

import pytest

from edgebrain.benchmarking import measurement
from edgebrain.benchmarking.run import run_bench
from edgebrain.benchmarking.slices import choose_slices
from edgebrain.bundle import Bundle
from edgebrain.errors import TargetFailed
from edgebrain.kit.wheels import Platform, wheels_for
from edgebrain.phantom.generator import write_phantoms
from edgebrain.targets import find_target, ssh
from edgebrain.targets.ssh import SshTarget
from edgebrain.targets.worker import Worker
from tests.arm.networks import UNSEEN_SEED
from tests.targets.processes import ends_soon
from tests.targets.sshd import Server, proxy

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Slices that the network has not seen."""
    folder = tmp_path_factory.mktemp("data") / "phantoms"
    write_phantoms(folder, 12, UNSEEN_SEED)
    return folder


def test_the_worker_says_what_it_runs_on(board: Server, int8: Bundle, tmp_path: Path) -> None:
    target = find_target(str(board.target(tmp_path / "deploy", "arm")))
    try:
        target.prepare([int8], [])
        with Worker(target.start(int8), target.where) as worker:
            found = worker.hello()
            opened = worker.open(target.path(int8), target.engine(int8))
    finally:
        target.close()
    assert (found["machine"], found["libc"], found["python"][:4]) == ("aarch64", "glibc 2.36", "3.11")
    assert found["emulated"] is True
    assert found["flags"]["asimddp"], "the processor that was asked for"
    assert found["throttled"] is None, "not a Pi: nothing is made up"
    assert opened["runs"]["delegate"] == "XNNPACK"


def test_wheels_of_this_machine_do_not_load_there(board: Server, int8: Bundle, tmp_path: Path) -> None:
    target = find_target(str(board.target(tmp_path / "deploy", "arm")))
    assert isinstance(target, SshTarget)
    (numpy,) = wheels_for(["numpy"], Platform("x86_64", "2.36", "3.11"))
    try:
        target.prepare([int8], [])
        own = join([*target.python(int8), "-c", "import numpy; print(numpy.__version__)"])
        assert target.connection.run(own, "importing").strip() in numpy.name
        foreign = board.home / "foreign"
        with zipfile.ZipFile(numpy) as wheel:
            wheel.extractall(foreign)
        command = join(["env", f"PYTHONPATH={Path('/home') / board.home.name / 'foreign'}", "python3", "-c"])
        with pytest.raises(TargetFailed, match="importing: exit code 1") as caught:
            target.connection.run(f"{command} 'import numpy'", "importing")
    finally:
        target.close()
    assert "numpy" in caught.value.message


def test_the_command_scores_there_prints_no_duration_and_finds_no_drop_of_the_device(
    board: Server, int8: Bundle, phantoms: Path, tmp_path: Path
) -> None:
    board.target(tmp_path / "deploy", "arm")
    options = ["--data", phantoms, "--split", "all", "--queries", "20", "--json", "report.json"]
    command = [sys.executable, "-m", "edgebrain", "bench", int8.path, "--target", "cpu", "--target", "arm", *options]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode in (0, 3), done.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    (row,) = (row for row in report["results"] if row["target"] == "arm")
    assert row["device_drop"] == {"dice": 0.0, "accuracy": 0.0, "slices_differing": 0}
    here = next(one for one in report["results"] if one["target"] == "cpu" and one["bundle"] == row["bundle"])
    assert row["drop"] == here["drop"], "all of the drop is quantization's"
    assert row["emulated"] and row["queries"] == 0 and row["blocks"] == []
    durations = [row["load_ms"], *row["latency_ms"].values(), *row["engine_ms"].values(), *row["decode_ms"].values()]
    assert set(durations) == {None}
    assert "arm: emulated, so nothing was timed" in " ".join(done.stdout.split())
    assert report["environments"]["arm"]["machine"] == "aarch64"


# What goes wrong, each with an error of its own


def problem_of(path: Path, bundle: Bundle) -> TargetFailed:
    target = find_target(str(path))
    try:
        with pytest.raises(TargetFailed) as caught:
            target.prepare([bundle], [])
    finally:
        target.close()
    return caught.value


def test_an_unknown_host_key_is_an_error_of_its_own(board: Server, int8: Bundle, tmp_path: Path) -> None:
    path = board.target(tmp_path / "deploy", "arm")
    config = path.with_name("ssh_config")
    config.write_text("UserKnownHostsFile /dev/null\n" + config.read_text())
    assert "its host key is not known here" in problem_of(path, int8).message


def test_a_full_disk_is_an_error_of_its_own_before_and_while_sending(
    board: Server, int8: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = board.home / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m", "none", small], check=True)
    try:
        folder = f"/home/{board.home.name}/small"
        path = board.target(tmp_path / "deploy", "arm", folder=folder)
        assert f"{folder} has 20 MiB free, " in problem_of(path, int8).message
        # As if another program took the room after it was asked for.
        monkeypatch.setattr(ssh, "refuse_without_room", lambda found, needed, file: None)
        assert "sending the wheels of litert: No space left on device" in problem_of(path, int8).message
        assert list(small.iterdir()) == []
    finally:
        subprocess.run(["umount", small], check=True)


@pytest.mark.parametrize("how", ["killed", "dropped"])
def test_a_killed_worker_and_a_dropped_connection_are_told_apart_and_leave_no_process(
    how: str, board: Server, int8: Bundle, phantoms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = measurement.Measurement.score

    def score(self: measurement.Measurement, *rest: Any) -> None:
        if self.where and how == "dropped":
            way.cut()
        elif self.where:
            for pid in board.children():
                if b"edgebrain.runtime\0worker" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    os.kill(pid, signal.SIGKILL)
        real(self, *rest)

    monkeypatch.setattr(measurement.Measurement, "score", score)
    records, _ = choose_slices(None, phantoms, "all", 2)
    with proxy(board.port) as way:
        target = str(board.target(tmp_path / "deploy", "arm", port=way.port))
        report = run_bench([int8.path], records, [1], 7, ["cpu", target])
    (failure,) = report.failures
    assert "the worker on arm (" in failure.message
    expected = {"killed": "at `score` (killed by signal 9)", "dropped": "was lost with the connection at `score`"}
    assert failure.message.endswith(expected[how])
    assert {row.target for row in report.results} == {"cpu"}
    assert all(ends_soon(pid, patience_s=60.0) for pid in board.children())
