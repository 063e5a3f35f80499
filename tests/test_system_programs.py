"""What is skipped for want of a program is told once, at the end, with what to install."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.system_programs import REASON, needs, told

HOME = Path(__file__).parents[1]


def test_one_line_names_all_programs_and_their_packages_once() -> None:
    reasons = [
        f"Skipped: {REASON}sshd, ssh",
        f"Skipped: {REASON}sshd",
        "Skipped: needs root",
        f"Skipped: {REASON}setpriv",
    ]
    assert told(reasons) == (
        "3 tests were skipped for want of setpriv, ssh, sshd: apt-get install openssh-client openssh-server util-linux"
    )


def test_nothing_is_told_where_nothing_is_missing() -> None:
    assert told(["Skipped: needs root"]) == ""


def test_a_missing_program_skips_and_one_that_is_here_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda program, path=None: "/usr/bin/ssh" if program == "ssh" else None)
    needs("ssh")
    with pytest.raises(pytest.skip.Exception, match=f"{REASON}sshd$"):
        needs("ssh", "sshd")


@pytest.mark.parametrize(("program", "wanted"), [("podman", 1), ("ssh", 0)])
def test_pytest_ends_with_the_line(program: str, wanted: int, tmp_path: Path) -> None:
    """In a session of its own, whose conftest is that of these tests and which finds no program but ssh."""
    (tmp_path / "conftest.py").write_text("from tests.conftest import pytest_terminal_summary\n")
    (tmp_path / "test_two.py").write_text(
        "import pytest\nfrom tests.system_programs import needs\n"
        "@pytest.mark.parametrize('number', [1, 2])\n"
        "def test_one(number, monkeypatch):\n"
        "    monkeypatch.setattr('shutil.which', lambda name, path=None: '/usr/bin/ssh' if name == 'ssh' else None)\n"
        f"    needs({program!r})\n"
    )
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(tmp_path),
        str(tmp_path),
    ]
    said = subprocess.run(command, capture_output=True, text=True, cwd=HOME).stdout
    line = "2 tests were skipped for want of podman: apt-get install podman"
    assert said.count(line) == wanted and said.count("for want of") == wanted, said
