"""What is sent to a host: once, whole, and taken for nothing else."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from shlex import join
from typing import Any

import pytest

from edgebrain.benchmarking.run import run_bench
from edgebrain.errors import NoWheels, TargetFailed, WorkerFailed
from edgebrain.runtime.worker import PROTOCOL
from edgebrain.targets import remote_agent, ssh
from edgebrain.targets.worker import Worker
from tests.benchmarking.factories import labelled
from tests.runtime.tiny import tiny_bundle
from tests.targets.board import answer_of, ends_all, sent_there
from tests.targets.sshd import Server, proxy

pytestmark = pytest.mark.usefixtures("few_wheels")


def test_a_second_bench_of_the_same_bundle_sends_less_than_10_kb(board: Server, tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "b", precision="int8", name="sent-twice")
    slices = labelled(tmp_path / "data", tumours=580, healthy=21)
    counts = []
    with proxy(board.port) as way:
        for _ in range(2):
            way.sent = 0
            target = str(board.target(tmp_path / "deploy", port=way.port))
            report = run_bench([bundle.path], slices, [1], 704, [target])
            assert report.failures == () and report.results[-1].queries == 704
            # All that goes over the wire: ssh's own handshake, and what is asked of the worker.
            counts.append(way.sent)
    assert counts[0] > 5 * counts[1], "slices and bundle travel once"
    assert counts[1] < 10_000, counts


def test_nothing_runs_on_and_nothing_half_is_left(board: Server, tmp_path: Path, opened: Any) -> None:
    target = opened(board.target(tmp_path / "deploy"))
    answer_of(target, tiny_bundle(tmp_path / "b"))
    target.close()
    assert ends_all(board)
    assert not list((board.home / ".cache/edgebrain").glob(".part-*"))


def test_what_was_sent_is_taken_away_where_the_file_says_so(board: Server, tmp_path: Path, opened: Any) -> None:
    folder = tmp_path / "there"
    target = opened(board.target(tmp_path / "deploy", keep=False, folder=str(folder)))
    answer_of(target, tiny_bundle(tmp_path / "b"))
    assert len(list(folder.iterdir())) == 4
    target.close()
    assert list(folder.iterdir()) == []


def test_nothing_but_what_was_sent_is_taken_away(
    board: Server, tmp_path: Path, opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "home"
    other = folder / "bundles" / "of another bench"
    other.mkdir(parents=True)
    (folder / "thesis.txt").write_text("years")
    path = board.target(tmp_path / "deploy", keep=False, folder=str(folder))
    bundle = tiny_bundle(tmp_path / "b")
    target = opened(path)
    answer_of(target, bundle)
    target.close()
    assert sorted(one.name for one in folder.rglob("*")) == ["bundles", "of another bench", "thesis.txt"]

    def none_fits(*asked: Any) -> Any:
        raise NoWheels("none fits", "")

    monkeypatch.setattr(ssh, "choose_wheels", none_fits)
    target = opened(path)
    with pytest.raises(NoWheels):
        answer_of(target, bundle)
    target.close()
    assert (folder / "thesis.txt").exists()


@pytest.mark.parametrize("name", ["", ".", "..", "../deploy"])
def test_what_is_no_artifact_is_never_taken_away(tmp_path: Path, name: str) -> None:
    home = tmp_path / "home"
    (home / "bundles").mkdir(parents=True)
    (tmp_path / "deploy").mkdir()
    with pytest.raises(ValueError, match="is no artifact"):
        remote_agent.remove(home, name)
    assert (home / "bundles").exists() and (tmp_path / "deploy").exists()


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
            target.prepare([bundle], [])
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
        opened(board.target(tmp_path / "deploy")).prepare([bundle], [])
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
    used = target.connection.run(command, "asking").strip()
    assert used.startswith(f"{board.home}/.cache/edgebrain/runtime-")


def test_a_worker_of_another_protocol_is_refused_with_its_host(
    board: Server, tmp_path: Path, opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tiny_bundle(tmp_path / "b")
    target = opened(board.target(tmp_path / "deploy"))
    target.prepare([bundle], [])
    monkeypatch.setattr("edgebrain.targets.worker.PROTOCOL", PROTOCOL + 1)
    with Worker(target.start(bundle), target.where) as worker, pytest.raises(WorkerFailed, match=r"on board \("):
        worker.hello()
