"""A bench over ssh: a real server on a loopback port, whose commands run on this machine."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from shlex import join
from typing import Any

import pytest

from edgebrain.bench import lane
from edgebrain.bench.run import run_bench
from edgebrain.bench.schema import check_report, read_report
from edgebrain.bundle import Bundle
from edgebrain.cli import main
from edgebrain.errors import EdgebrainError, TargetFailed, WorkerFailed
from edgebrain.kit.wheels import Wheel
from edgebrain.runtime.worker import PROTOCOL
from edgebrain.targets import find_target, ssh
from edgebrain.targets.file import load_file
from edgebrain.targets.link import Link
from edgebrain.targets.ssh import SshTarget
from edgebrain.targets.worker import Slice, Worker
from tests.bench.shelf import records, run_folder
from tests.kit.test_wheels import tiny_wheel
from tests.runtime.pictures import bright_disc, encoded
from tests.runtime.tiny import tiny_bundle
from tests.targets.processes import ends_soon
from tests.targets.sshd import Server, free_port, make_key, proxy, server, skip_without_sshd

PICTURE = Slice("a.png", encoded(bright_disc()))


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose python3 is this one, with its libraries; it needs no wheels from anywhere."""
    folder = tmp_path_factory.mktemp("board")
    with server(folder / "ssh", folder / "home", environment={"PATH": path_with_python(folder)}) as running:
        yield running


def path_with_python(folder: Path) -> str:
    programs = folder / "bin"
    programs.mkdir(exist_ok=True)
    script(programs / "python3", f'exec {sys.executable} "$@"')
    return f"{programs}:/usr/bin:/bin"


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture(scope="module", autouse=True)
def few_wheels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One empty wheel stands for those of an engine: the libraries are there already, and no network is needed."""
    skip_without_sshd()
    path = tmp_path_factory.mktemp("wheels") / "tiny-1.0-py3-none-any.whl"
    path.write_bytes(tiny_wheel("tiny"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssh, "choose_wheels", lambda packages, place: [Wheel("tiny", "1.0", path.name, "0" * 64)])
        patch.setattr(ssh, "wheels_for", lambda packages, place: [path])
        yield


@pytest.fixture
def opened() -> Iterator[Callable[..., SshTarget]]:
    """Opens target files, and closes the targets in the end."""
    found: list[SshTarget] = []

    def open_file(path: Path) -> SshTarget:
        target = find_target(str(path))
        assert isinstance(target, SshTarget)
        found.append(target)
        return target

    yield open_file
    for target in found:
        target.link.close()


def answer_of(target: SshTarget, bundle: Bundle) -> str:
    """Prepare, start a worker there, and have it mask a picture: the hash of its raw outputs."""
    target.prepare([bundle])
    with Worker(target.start(bundle), target.where) as worker:
        worker.open(target.path(bundle), target.engine(bundle))
        return str(worker.score([PICTURE])[0]["outputs_sha256"])


def sent_there(board: Server) -> set[str]:
    return {path.name for path in (board.home / ".cache/edgebrain").rglob("*") if path.is_dir()}


# The bench


@pytest.fixture(scope="module")
def measured(board: Server, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Two bundles and their root here and on the board."""
    folder = tmp_path_factory.mktemp("measured")
    _, _, children = run_folder(folder)
    target = str(board.target(folder / "deploy"))
    facts = {"path": str(folder), "split": "test", "source": "", "slices": 6, "names_sha256": ""}
    bundles = [child.path for child in children[:2]]
    return run_bench(bundles, records(folder / "data"), [1], 70, ["cpu", target], facts)


def test_a_report_of_two_targets_keeps_them_apart(measured: dict[str, Any]) -> None:
    assert check_report(json.loads(json.dumps(measured, allow_nan=False))) == measured
    rows = [(row["bundle"], row["target"]) for row in measured["results"]]
    names = ["float", "tflite-float32", "tflite-int8"]
    assert rows == [(name, target) for target in ("cpu", "board") for name in names]
    assert set(measured["environments"]) == {"cpu", "board"}
    assert [entry["target"] for entry in measured["images"]] == [target for _, target in rows]
    assert all(row["queries"] == 70 and row["latency_ms"]["p50"] > 0 for row in measured["results"])


def test_the_drop_on_a_device_has_a_part_of_quantization_and_one_of_the_device(measured: dict[str, Any]) -> None:
    here, there = (
        {row["bundle"]: row for row in measured["results"] if row["target"] == target} for target in ("cpu", "board")
    )
    for name, row in there.items():
        assert row["device_drop"] == {"dice": 0.0, "accuracy": 0.0, "slices_differing": 0}
        assert here[name]["device_drop"] is None
        assert row["drop"] == here[name]["drop"], "float here to int8 there"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run in the working folder, whose data set needs no reader."""
    from edgebrain.bench import slices
    from edgebrain.data.sample import Dataset

    found = tuple(records(tmp_path / "data"))
    monkeypatch.setattr(slices, "open_dataset", lambda path: Dataset(path, "fake", found))
    (tmp_path / "runs").mkdir()
    monkeypatch.chdir(tmp_path)
    return run_folder(tmp_path / "runs", tmp_path / "data")[0]


def code_of(*words: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(["bench", "runs/run/bundles/tflite-int8", "--queries", "20", *words])
    return int(caught.value.code or 0)


def test_the_command_measures_on_a_target_of_the_deploy_folder_by_name(
    run: Path, board: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    board.target(Path("deploy"), "kitchen", threads=[1, 2])
    assert code_of("--target", "kitchen") == 0
    report = read_report(run / "bench.json")
    timed = [(row["target"], row["threads"]) for row in report["results"] if row["queries"]]
    assert timed == [("kitchen", 1), ("kitchen", 2)] * 2
    assert any(note.startswith("cpu: scored for the comparison and not timed") for note in report["notes"])
    said = capsys.readouterr().out
    assert "kitchen" in said and "device" in said
    assert "tflite-int8 on kitchen" in (run / "bench.md").read_text()


def test_a_target_that_is_not_there_is_one_line_and_the_others_results_are_written(
    run: Path, board: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    board.target(Path("deploy"), "gone", port=free_port())
    assert code_of("--target", "cpu", "--target", "gone", "--target", "coral") == 1
    lines = capsys.readouterr().err.splitlines()
    first = next(place for place, line in enumerate(lines) if line.startswith("Error: "))
    assert lines[first : first + 2] == [
        f"Error: gone ({os.environ.get('USER', 'root')}@127.0.0.1): connecting: no ssh server answers there",
        "  on a Raspberry Pi: sudo systemctl enable --now ssh",
    ]
    assert lines[first + 2].startswith("Error: coral: no engine of this edgebrain runs on an Edge TPU")
    report = read_report(run / "bench.json")
    assert {row["target"] for row in report["results"]} == {"cpu"}
    assert [failure["target"] for failure in report["failures"]] == ["gone", "coral"]


def test_a_board_short_of_power_makes_its_rows_invalid_and_those_here_not(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = path_with_python(tmp_path)
    script(tmp_path / "bin" / "vcgencmd", "echo throttled=0x50005")
    with server(tmp_path / "ssh", tmp_path / "home", environment={"PATH": path}) as weak:
        weak.target(Path("deploy"), "weak")
        assert code_of("--target", "cpu", "--target", "weak") == 0
    report = read_report(run / "bench.json")
    assert {row["target"]: row["invalid"] for row in report["results"]} == {
        "cpu": None,
        "weak": "the board was held back (under-voltage, throttled) in 1 of 1 blocks",
    }
    assert report["environments"]["weak"]["throttled"] == 0x50005
    assert "tflite-int8 on weak at 1: the board was held back" in " ".join(report["notes"])


def test_an_emulated_target_is_scored_and_no_duration_is_told(
    run: Path, board: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    board.target(Path("deploy"), "fake", emulated=True)
    assert code_of("--target", "fake") == 0
    report = read_report(run / "bench.json")
    rows = [row for row in report["results"] if row["target"] == "fake"]
    for row in rows:
        durations = [row["load_ms"], row["throughput_per_s"], *row["latency_ms"].values(), *row["engine_ms"].values()]
        assert row["emulated"] and set(durations) == {None} and row["blocks"] == []
        assert row["dice"] > 0.8 and row["device_drop"]["slices_differing"] == 0
    said = capsys.readouterr().out
    assert "fake: emulated, so nothing was timed" in said.replace("\n", " ")
    assert "(emulated)" in said


def test_the_same_target_twice_is_refused(run: Path, board: Server, capsys: pytest.CaptureFixture[str]) -> None:
    board.target(Path("deploy"), "pi")
    board.target(Path("other"), "pi")
    assert code_of("--target", "pi", "--target", "other/pi.toml") == 1
    assert "two targets are called pi" in capsys.readouterr().err


def test_a_gpu_that_is_not_here_is_one_line(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["bench", "runs/run/float", "--queries", "20", "--target", "gpu"])
    assert ended.value.code == 1
    lines = capsys.readouterr().err.splitlines()
    assert any(line.startswith("Error: ") and "no provider for device 'gpu'" in line for line in lines)


# What is sent


def test_a_second_bench_of_the_same_bundle_sends_less_than_10_kb(board: Server, tmp_path: Path, opened: Any) -> None:
    bundle = tiny_bundle(tmp_path / "b", precision="int8", name=f"sent-{tmp_path.name}")
    with proxy(board.port) as way:
        counts = []
        for _ in range(2):
            way.sent = 0
            target = opened(board.target(tmp_path / "deploy", port=way.port))
            answer_of(target, bundle)
            target.close()
            # On the wire, with ssh's own handshake, and the picture, which is not kept there.
            counts.append(way.sent)
    assert counts[0] > counts[1]
    assert counts[1] < 10_000, counts


def test_nothing_runs_on_and_nothing_half_is_left(board: Server, tmp_path: Path, opened: Any) -> None:
    target = opened(board.target(tmp_path / "deploy"))
    answer_of(target, tiny_bundle(tmp_path / "b"))
    target.close()
    assert ends_all(board)
    assert not list((board.home / ".cache/edgebrain").glob(".part-*"))


def ends_all(board: Server) -> bool:
    return all(ends_soon(pid) for pid in board.children())


def test_what_was_sent_is_taken_away_where_the_file_says_so(board: Server, tmp_path: Path, opened: Any) -> None:
    folder = tmp_path / "there"
    target = opened(board.target(tmp_path / "deploy", keep=False, folder=str(folder)))
    answer_of(target, tiny_bundle(tmp_path / "b"))
    assert len(list(folder.iterdir())) == 3
    target.close()
    assert list(folder.iterdir()) == []


def test_a_file_that_was_damaged_there_is_sent_again(board: Server, tmp_path: Path, opened: Any) -> None:
    bundle = tiny_bundle(tmp_path / "b", name="damaged")
    there = board.home / ".cache/edgebrain/bundles" / bundle.manifest_sha256 / "model.tflite"
    path = board.target(tmp_path / "deploy")
    first = answer_of(opened(path), bundle)
    whole = there.read_bytes()
    there.write_bytes(whole[:100] + b"\0" + whole[101:])
    assert answer_of(opened(path), bundle) == first
    assert there.read_bytes() == whole


def test_half_a_bundle_is_not_taken_for_a_whole_one(
    board: Server, tmp_path: Path, opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tiny_bundle(tmp_path / "b", name="half")
    real = ssh._tar

    def half(contents: Any, stream: Any) -> None:
        if "manifest.json" in contents:
            stream.write(b"\0")
            way.cut()
            time.sleep(0.5)
        real(contents, stream)

    monkeypatch.setattr(ssh, "_tar", half)
    with proxy(board.port) as way:
        target = opened(board.target(tmp_path / "deploy", port=way.port))
        with pytest.raises(TargetFailed, match=r"board \(.*\): the connection was lost at: sending half"):
            target.prepare([bundle])
    assert ends_all(board)
    assert bundle.manifest_sha256 not in sent_there(board)
    monkeypatch.setattr(ssh, "_tar", real)
    answer_of(opened(board.target(tmp_path / "deploy")), bundle)
    assert bundle.manifest_sha256 in sent_there(board)
    assert not list((board.home / ".cache/edgebrain").glob(".part-*"))


def test_a_bundle_that_was_changed_on_its_way_is_refused(
    board: Server, tmp_path: Path, opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tiny_bundle(tmp_path / "b", name="changed")
    real = ssh._tar

    def changed(contents: Any, stream: Any) -> None:
        real({name: content.replace(b"changed", b"CHANGED") for name, content in contents.items()}, stream)

    monkeypatch.setattr(ssh, "_tar", changed)
    with pytest.raises(TargetFailed, match=r"sending changed: manifest\.json: was damaged on its way"):
        opened(board.target(tmp_path / "deploy")).prepare([bundle])
    assert bundle.manifest_sha256 not in sent_there(board)


def test_an_older_edgebrain_on_the_device_is_not_used(board: Server, tmp_path: Path, opened: Any) -> None:
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    old = board.home / f".local/lib/python{version}/site-packages/edgebrain"
    old.mkdir(parents=True)
    (old / "__init__.py").write_text("raise SystemExit('the old one')\n")
    bundle = tiny_bundle(tmp_path / "b")
    target = opened(board.target(tmp_path / "deploy"))
    answer_of(target, bundle)
    command = join([*target.python(bundle), "-c", "import edgebrain; print(edgebrain.__file__)"])
    used = target.link.run(command, "asking").strip()
    assert used.startswith(f"{board.home}/.cache/edgebrain/runtime-")


def test_a_worker_of_another_protocol_is_refused_with_its_host(
    board: Server, tmp_path: Path, opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tiny_bundle(tmp_path / "b")
    target = opened(board.target(tmp_path / "deploy"))
    target.prepare([bundle])
    monkeypatch.setattr("edgebrain.targets.worker.PROTOCOL", PROTOCOL + 1)
    with Worker(target.start(bundle), target.where) as worker, pytest.raises(WorkerFailed, match=r"on board \("):
        worker.hello()


# What goes wrong


def refused(path: Path, bundle: Bundle, opened: Any) -> tuple[str, str]:
    """Message and hint of a target that cannot be prepared."""
    with pytest.raises(EdgebrainError) as caught:
        opened(path).prepare([bundle])
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


def test_a_host_that_asks_for_a_password_is_told_from_one_that_refuses_the_key(tmp_path: Path, opened: Any) -> None:
    asks = {"PubkeyAuthentication": "no", "PasswordAuthentication": "yes"}
    with server(tmp_path / "ssh", tmp_path / "home", **asks) as strict:
        message, hint = refused(strict.target(tmp_path / "deploy"), tiny_bundle(tmp_path / "b"), opened)
    assert "asks for a password, and nobody is there to type it" in message
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
    monkeypatch.setattr(SshTarget, "_on_device", lambda self, step, command, *names: dict.fromkeys(names, "absent"))
    with server(tmp_path / "ssh", tmp_path / "home", environment={"PATH": str(programs)}) as odd:
        message, hint = refused(odd.target(tmp_path / "deploy"), tiny_bundle(tmp_path / "b"), opened)
    assert "looking at the machine" in message and said in message
    assert way_out in hint


def test_wheels_that_fit_nowhere_there_are_named(
    board: Server, tmp_path: Path, opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgebrain.kit import wheels
    from edgebrain.targets import survey

    monkeypatch.setattr(ssh, "choose_wheels", wheels.choose_wheels)
    monkeypatch.setattr(survey, "Place", lambda machine, glibc, python: wheels.Place("armv7l", glibc, "3.11"))
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
    report = run_bench([one.path for one in bundles], records(tmp_path / "data"), [1], 7, [target])
    assert [row["bundle"] for row in report["results"] if row["target"] == "board"] == ["tflite"]
    assert "openvino: not measured on board, no engine there reads openvino" in report["notes"]
    with pytest.raises(TargetFailed, match="board: no engine there reads openvino"):
        run_bench([bundles[1].path], records(tmp_path / "data"), [1], 7, [target])


def bench_and_spoil(
    board: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[lane.Lane], None], port: int
) -> dict[str, Any]:
    """A bench in whose second round something happens to the board."""
    real = lane.Lane.time

    def timed(self: lane.Lane, block: list[Any]) -> None:
        if self.where and len(self.blocks) == 1:
            spoil(self)
        real(self, block)

    monkeypatch.setattr(lane.Lane, "time", timed)
    target = str(board.target(tmp_path / "deploy", port=port))
    report = run_bench([tiny_bundle(tmp_path / "b").path], records(tmp_path / "data"), [1], 70, ["cpu", target])
    here, there = report["results"]
    assert (here["queries"], there["queries"]) == (70, 23), "what was measured is kept"
    assert there["dice"] > 0.8
    assert ends_all(board)
    return dict(report["failures"][0])


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
    def kill(self: lane.Lane) -> None:
        for pid in board.children():
            if b"edgebrain.runtime\0worker" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)

    failure = bench_and_spoil(board, tmp_path, monkeypatch, kill, board.port)
    assert failure["message"].endswith("has ended at `time` (killed by signal 9)")


def test_a_command_never_goes_another_way_than_the_open_connection(board: Server, tmp_path: Path) -> None:
    link = Link(load_file(board.target(tmp_path / "deploy")))
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
    target.prepare([bundle])
    with pytest.raises(KeyboardInterrupt), Worker(target.start(bundle), target.where) as worker:
        worker.hello()
        assert board.children()
        raise KeyboardInterrupt
    assert ends_all(board)
