from __future__ import annotations

import os
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebrain import targets
from edgebrain.errors import BadBundle, BadImage, EdgebrainError, WorkerFailed
from edgebrain.runtime.session import open_session
from edgebrain.runtime.worker import unpack_mask
from edgebrain.targets import TARGETS
from edgebrain.targets.slices import Slice, ranges, write_listing
from edgebrain.targets.worker import Worker
from tests.runtime.pictures import bright_disc, encoded, grey
from tests.runtime.tiny import tiny_bundle
from tests.targets.processes import alive, ends_soon

PICTURES = {"a.png": encoded(bright_disc()), "b.png": encoded(grey()), "empty.png": b""}


@pytest.fixture
def listing(tmp_path: Path) -> Path:
    """The list of three slices: two good ones and an empty file."""
    for name, data in PICTURES.items():
        (tmp_path / name).write_bytes(data)
    return write_listing(tmp_path, [Slice.of(tmp_path / name) for name in PICTURES])


def program(text: str) -> subprocess.Popen[bytes]:
    """A process with pipes that is no worker."""
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-S", "-c", text], stdin=pipe, stdout=pipe, stderr=pipe)


def test_a_worker_answers_as_a_session_does_and_leaves_no_process(tmp_path: Path, listing: Path) -> None:
    bundle = tiny_bundle(tmp_path / "b", precision="int8")
    with Worker() as there:
        environment = there.hello()
        opened = there.open(bundle.path, threads=2)
        there.hold(listing)
        timed = there.time([0, 1], 6, warm_up=2)
        scored = there.score([0, 1])
        memory = there.close()
        pid = there.pid
    session = open_session(bundle)
    expected = [session.predict_file(PICTURES[name], name)[1] for name in ("a.png", "b.png")]
    assert environment["python"] == sys.version.split()[0]
    assert opened["runs"]["threads"] == 2 and opened["load_ms"] > 0
    assert timed["outputs_sha256"] == [answer.outputs_sha256 for answer in expected] * 3
    assert all((unpack_mask(one["mask"]) == answer.mask).all() for one, answer in zip(scored, expected, strict=True))
    # An interpreter and a picture library, about 100 MiB; TensorFlow, which must not be loaded, is 400 and more.
    assert 20 < memory["peak_rss_mib"] < 300
    assert not alive(pid)


def test_errors_of_a_worker_are_our_own_and_it_goes_on(tmp_path: Path, listing: Path) -> None:
    with Worker() as there:
        with pytest.raises(BadBundle) as caught:
            there.open(tmp_path)
        assert str(tmp_path) in caught.value.message and caught.value.hint
        there.open(tiny_bundle(tmp_path / "b").path)
        there.hold(listing)
        with pytest.raises(BadImage, match=r"empty\.png: is empty"):
            there.score([2])
        assert len(there.score([1, 0])) == 2


@given(st.lists(st.integers(0, 30)))
def test_places_survive_as_ranges(places: list[int]) -> None:
    found = ranges(places)
    assert [place for start, stop in found for place in range(start, stop)] == places
    assert all(stop != start for (_, stop), (start, _) in pairwise(found)), "neighbours are one range"


def test_a_killed_worker_is_an_error_that_names_the_signal() -> None:
    with Worker() as there:
        there.hello()
        os.kill(there.pid, signal.SIGKILL)
        with pytest.raises(WorkerFailed, match="killed by signal 9"):
            there.hello()


def test_the_last_words_of_a_worker_are_told() -> None:
    process = program("import sys; sys.stdin.readline(); sys.exit('illegal instruction')")
    with Worker(process) as there, pytest.raises(WorkerFailed) as caught:
        there.hello()
    assert "exit code 1" in caught.value.message
    assert "illegal instruction" in caught.value.hint


def test_a_silent_worker_is_given_up_and_ended() -> None:
    process = program("import time; time.sleep(60)")
    with Worker(process, patience_s=0.2) as there:
        with pytest.raises(WorkerFailed, match="did not answer"):
            there.hello()
        assert alive(there.pid)
    assert not alive(there.pid)


@pytest.mark.parametrize("answer", ["no json", "[1]", '{"protocol": 99}'])
def test_an_answer_that_is_no_answer_is_an_error(answer: str) -> None:
    process = program(f"import sys; sys.stdin.readline(); print({answer!r})")
    with Worker(process) as there, pytest.raises(WorkerFailed):
        there.hello()


@pytest.mark.parametrize("problem", [KeyboardInterrupt, ValueError])
def test_no_process_is_left_after_ctrl_c_or_an_error(problem: type[BaseException]) -> None:
    with pytest.raises(problem), Worker() as there:
        raise problem
    assert not alive(there.pid)


def test_a_worker_ends_when_the_program_that_started_it_is_killed() -> None:
    starts = (
        "import os, signal\nfrom edgebrain.targets.worker import Worker\nthere = Worker()\nthere.hello()\n"
        "print(there.pid, flush=True)\nos.kill(os.getpid(), signal.SIGKILL)\n"
    )
    parent = subprocess.run([sys.executable, "-c", starts], capture_output=True, text=True, check=False)
    assert parent.returncode == -signal.SIGKILL
    assert ends_soon(int(parent.stdout))


def test_what_a_library_prints_does_not_mix_with_the_answers() -> None:
    noisy = (
        "import os, edgebrain.runtime.worker as w\n"
        "old = w.WorkerState.hello\n"
        "def hello(self, request):\n"
        "    os.write(1, b'from C++\\n'); print('from Python', flush=True)\n"
        "    return old(self, request)\n"
        "w.WorkerState.hello = hello\nw.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", noisy], input=b'{"do": "hello"}\n{"do": "close"}\n', capture_output=True, check=True
    )
    assert len(done.stdout.splitlines()) == 2
    assert b"from C++" in done.stderr and b"from Python" in done.stderr


def test_an_unknown_target_is_refused_with_those_that_exist() -> None:
    with pytest.raises(EdgebrainError) as caught:
        targets.find_target("moon")
    assert "'moon'" in caught.value.message
    assert all(name in caught.value.hint for name in TARGETS)
