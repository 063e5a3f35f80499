"""What goes wrong between two machines: host, step and the way out."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from edgebrain.benchmarking import measurement
from edgebrain.benchmarking.run import run_bench
from edgebrain.bundle import Bundle
from edgebrain.errors import EdgebrainError, TargetFailed
from edgebrain.targets import ssh
from edgebrain.targets.file import load_file
from edgebrain.targets.ssh import SshTarget
from edgebrain.targets.ssh_connection import SshConnection
from edgebrain.targets.worker import Worker
from tests.benchmarking.factories import labelled
from tests.runtime.tiny import tiny_bundle
from tests.system_programs import needs
from tests.targets.board import ends_all, script
from tests.targets.sshd import Server, free_port, make_key, proxy, server

pytestmark = pytest.mark.usefixtures("few_wheels")


def refused(path: Path, bundle: Bundle, opened: Any) -> tuple[str, str]:
    """Message and hint of a target that cannot be prepared."""
    with pytest.raises(EdgebrainError) as caught:
        opened(path).prepare([bundle], [])
    return caught.value.message, caught.value.hint


@pytest.mark.parametrize(
    ("spoil", "said", "way_out"),
    [
        (lambda b, f: b.target(f, port=free_port()), "connecting: no ssh server answers", "enable --now ssh"),
        (lambda b, f: b.target(f, host="no-such.invalid"), "connecting: no machine of that name", "check the name"),
        (lambda b, f: config(b.target(f), "IdentityFile", make_key(f / "other")), "does not take your key", "copy-id"),
        (lambda b, f: config(b.target(f), "UserKnownHostsFile", "/dev/null"), "key is not known here", "answer yes"),
        (lambda b, f: config(b.target(f), "UserKnownHostsFile", impostor(f)), "not the one on record", "ssh-keygen -R"),
        (lambda b, f: b.target(f, folder="/proc/nowhere"), "/proc/nowhere cannot be written", "set `folder`"),
    ],
    ids=["no server", "no name", "wrong key", "unknown host key", "changed host key", "read-only"],
)  # fmt: skip
def test_a_host_that_cannot_be_used_says_at_which_step_and_the_way_out(
    board: Server, tmp_path: Path, opened: Any, spoil: Any, said: str, way_out: str
) -> None:
    message, hint = refused(spoil(board, tmp_path / "deploy"), tiny_bundle(tmp_path / "b"), opened)
    assert message.startswith("board (") and said in message
    assert way_out in hint
    assert "\n" not in message + hint


def config(path: Path, key: str, value: str | Path) -> Path:
    """Replace a line of the ssh config beside a target file."""
    file = path.with_name("ssh_config")
    kept = [line for line in file.read_text().splitlines() if not line.startswith(key)]
    file.write_text("\n".join([f"{key} {value}", *kept, ""]))
    return path


def impostor(folder: Path) -> Path:
    """A record with another key under the server's name."""
    key = make_key(folder / "impostor")
    record = folder / "known"
    record.write_text("loopback " + key.with_suffix(".pub").read_text())
    return record


def test_a_network_without_a_way_to_the_host_is_said(tmp_path: Path) -> None:
    asks = (
        "from edgebrain.targets import find_target\nfrom edgebrain.errors import TargetFailed\n"
        "target = find_target('pi@192.0.2.7')\n"
        "try:\n    target.prepare([], [])\n"
        "except TargetFailed as problem:\n    print(problem.message, problem.hint, sep='\\n')\n"
        "target.close()"
    )
    needs("unshare")
    # A network of its own, with no interface that is up: as a laptop whose Wi-Fi is off.
    done = subprocess.run(["unshare", "-rn", sys.executable, "-c", asks], capture_output=True, text=True)
    if "unshare" in done.stderr:
        pytest.skip(f"a network of its own cannot be had here: {done.stderr.strip()}")
    assert done.stdout.splitlines() == [
        "pi@192.0.2.7: connecting: there is no route to it",
        "check cable, Wi-Fi and address",
    ], done.stderr


def test_a_host_that_asks_for_a_password_is_told_from_one_that_refuses_the_key(tmp_path: Path, opened: Any) -> None:
    asks = {"PubkeyAuthentication": "no", "PasswordAuthentication": "yes"}
    with server(tmp_path / "ssh", tmp_path / "home", **asks) as strict:
        message, hint = refused(strict.target(tmp_path / "deploy"), tiny_bundle(tmp_path / "b"), opened)
    assert "asks for a password, and none can be typed here" in message
    assert hint.startswith("ssh-copy-id -F ")


SURVEYED = (
    "seen=3.11\\ncommand=python3\\npython=3.11\\nbits=64\\nlibc=glibc\\nglibc=2.36\\nfolder=/f\\nfree=99999999999"
)


@pytest.mark.parametrize(
    ("python", "said", "way_out"),
    [
        (None, "there is no python3", "install Python 3.11 or newer"),
        ('[ "$1" = -c ] && { echo 3.9; exit 1; }', "Python 3.9 is too old", "install Python 3.11 or newer"),
        ("printf 'seen=3.11\\nlacks=zipfile\\n'", "its Python lacks zipfile", "apt-get install python3"),
        (f"printf '{SURVEYED}\\n' | sed s/bits=64/bits=32/", "the programs are 32-bit", "install the 64-bit system"),
        (f"printf '{SURVEYED}\\n' | sed 's/^libc=.*/libc=/'", "C library is not glibc", "use Debian"),
        (f"printf '{SURVEYED}\\n' | sed s/free=.*/free=1000/", "/f has 0 MiB free, 1 MiB", "free some space"),
    ],
    ids=["no python", "old python", "minimal python", "32-bit", "musl", "no space"],
)  # fmt: skip
def test_a_system_that_does_not_fit_is_refused_before_anything_is_sent(
    tmp_path: Path, opened: Any, monkeypatch: pytest.MonkeyPatch, python: str | None, said: str, way_out: str
) -> None:
    programs = tmp_path / "bin"
    for name in ("sh", "uname", "sed", "printf"):
        script(programs / name, f'exec /bin/{name} "$@"')
    if python is not None:
        survey_only = (
            f'case "$*" in *import?base64*) echo "{{}}";; -c*version_info\\ \\<*|-I*) {python};; -c*) echo 3.11;; esac'
        )
        answer = python if python.startswith("[") else survey_only
        script(programs / "python3", answer)
    monkeypatch.setattr(SshTarget, "_call_agent", lambda self, step, command, *names: dict.fromkeys(names, "absent"))
    with server(tmp_path / "ssh", tmp_path / "home", environment={"PATH": str(programs)}) as odd:
        message, hint = refused(odd.target(tmp_path / "deploy"), tiny_bundle(tmp_path / "b"), opened)
    assert "looking at the machine" in message and said in message
    assert way_out in hint


def test_wheels_that_fit_nowhere_there_are_named(
    board: Server, tmp_path: Path, opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgebrain.kit import wheels
    from edgebrain.targets import probe_host

    monkeypatch.setattr(ssh, "choose_wheels", wheels.choose_wheels)
    monkeypatch.setattr(probe_host, "Platform", lambda machine, glibc, python: wheels.Platform("armv7l", glibc, "3.11"))
    message, hint = refused(board.target(tmp_path / "deploy"), tiny_bundle(tmp_path / "b"), opened)
    assert "no wheels are pinned for armv7l with Python 3.11" in message
    assert "aarch64 with Python 3.11" in hint


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_disk_that_fills_up_while_sending_leaves_nothing_and_says_so(
    board: Server, tmp_path: Path, opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = tmp_path / "small"
    small.mkdir()
    assert os.system(f"mount -t tmpfs -o size=64k none {small}") == 0
    try:
        # As if another program had taken the room after it was asked for.
        monkeypatch.setattr(ssh, "refuse_without_room", lambda found, needed, file: None)
        path = board.target(tmp_path / "deploy", folder=str(small))
        message, hint = refused(path, tiny_bundle(tmp_path / "b"), opened)
        assert "sending edgebrain's runtime: No space left on device" in message
        assert str(small) in hint
        assert not [path for path in small.iterdir() if path.name.startswith((".part", "runtime"))]
    finally:
        os.system(f"umount {small}")


def test_a_bundle_for_which_there_is_no_engine_there_is_left_out_by_name(
    board: Server, tmp_path: Path, opened: Any
) -> None:
    bundles = [tiny_bundle(tmp_path / name, name, name=name) for name in ("tflite", "openvino")]
    target = str(board.target(tmp_path / "deploy", engine="litert"))
    report = run_bench([one.path for one in bundles], labelled(tmp_path / "data"), [1], 7, [target])
    assert [row.bundle for row in report.results if row.target == "board"] == ["tflite"]
    assert "openvino: not measured on board, no engine there reads openvino" in [note.text for note in report.notes]
    with pytest.raises(TargetFailed, match="board: no engine there reads openvino"):
        run_bench([bundles[1].path], labelled(tmp_path / "data"), [1], 7, [target])


def bench_and_spoil(
    board: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[measurement.Measurement], None],
    port: int,
) -> dict[str, Any]:
    """A bench in whose second round something happens to the board."""
    real = measurement.Measurement.time

    def timed(self: measurement.Measurement, block: list[Any]) -> None:
        if self.where and len(self.blocks) == 1:
            spoil(self)
        real(self, block)

    monkeypatch.setattr(measurement.Measurement, "time", timed)
    target = str(board.target(tmp_path / "deploy", port=port))
    report = run_bench([tiny_bundle(tmp_path / "b").path], labelled(tmp_path / "data"), [1], 70, ["cpu", target])
    here, there = report.results
    assert (here.queries, there.queries) == (70, 23), "what was measured is kept"
    assert (there.dice or 0.0) > 0.8
    assert ends_all(board)
    return asdict(report.failures[0])


def test_a_connection_that_drops_while_measuring_names_host_and_step(
    board: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with proxy(board.port) as way:
        failure = bench_and_spoil(board, tmp_path, monkeypatch, lambda lane: way.cut(), way.port)
    assert "the worker on board (" in failure["message"]
    assert failure["message"].endswith("was lost with the connection at `time`")


def test_a_worker_that_is_killed_there_is_told_from_a_lost_connection(
    board: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill(self: measurement.Measurement) -> None:
        for pid in board.children():
            if b"edgebrain.runtime\0worker" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)

    failure = bench_and_spoil(board, tmp_path, monkeypatch, kill, board.port)
    assert failure["message"].endswith("has ended at `time` (killed by signal 9)")


def test_a_command_never_goes_another_way_than_the_open_connection(board: Server, tmp_path: Path) -> None:
    link = SshConnection(load_file(board.target(tmp_path / "deploy")))
    try:
        link.connect()
        assert link.run("echo here", "trying") == "here\n"
        assert link._master is not None
        link._master.kill()
        link._master.wait()
        with pytest.raises(TargetFailed, match="the connection was lost at: trying"):
            link.run("echo here", "trying")
    finally:
        link.close()


def test_without_ssh_on_this_machine_the_package_is_named(
    board: Server, tmp_path: Path, opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = board.target(tmp_path / "deploy")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "apt-get install openssh-client" in refused(path, tiny_bundle(tmp_path / "b"), opened)[1]


def test_the_person_at_ctrl_c_leaves_no_process_there(board: Server, tmp_path: Path, opened: Any) -> None:
    bundle = tiny_bundle(tmp_path / "b")
    target = opened(board.target(tmp_path / "deploy"))
    target.prepare([bundle], [])
    with pytest.raises(KeyboardInterrupt), Worker(target.start(bundle), target.where) as worker:
        worker.hello()
        assert board.children()
        raise KeyboardInterrupt
    assert ends_all(board)
