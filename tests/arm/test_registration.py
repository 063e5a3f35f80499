"""What several test runs at once share of the kernel: that it knows whom to hand aarch64 programs to."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.arm import emulated
from tests.arm.emulated import BINFMT, registered, skip_without_arm

pytestmark = pytest.mark.slow
INSIDE = """
import sys
from tests.arm import emulated
emulated.NAME = sys.argv[1]
with emulated.registered():
    print("inside", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def entry(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The kernel's entry; one of this test's own, since boards may be running."""
    skip_without_arm()
    monkeypatch.setattr(emulated, "NAME", f"edgebrain-test-{os.getpid()}")
    return BINFMT / emulated.NAME


@contextmanager
def another_run() -> Iterator[subprocess.Popen[str]]:
    """Another process with the same entry."""
    command = [sys.executable, "-c", INSIDE, emulated.NAME]
    folder = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "inside\n"
        yield process


def test_a_board_goes_on_when_another_run_ends_and_the_last_one_leaves_nothing(entry: Path) -> None:
    with another_run() as other:
        with registered():
            other.communicate("\n")
            assert other.returncode == 0 and entry.exists()
        assert not entry.exists()


def test_what_a_killed_run_left_is_made_anew(entry: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with another_run() as other:
        other.kill()
    assert entry.exists()
    monkeypatch.setattr(emulated, "qemu", lambda: Path("/bin/true"))
    with registered():
        assert "interpreter /bin/true\n" in entry.read_text()
    assert not entry.exists()
