"""Programs that some tests need and pip does not bring: their packages on Debian, and one reason for a skip."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence

import pytest

# Program -> the Debian package that brings it.
PACKAGES = {
    "busybox": "busybox",
    "cc": "gcc",
    "dash": "dash",
    "debootstrap": "debootstrap",
    "minisign": "minisign",
    "openssl": "openssl",
    "podman": "podman",
    "qemu-x86_64": "qemu-user",
    "runc": "runc",
    "setpriv": "util-linux",
    "shellcheck": "shellcheck",
    "ssh": "openssh-client",
    "sshd": "openssh-server",
    "systemd-analyze": "systemd",
    "unshare": "util-linux",
}
# sshd stands where only root's PATH leads.
ROOTS = "/usr/sbin:/sbin"
REASON = "program missing: "


def found(program: str) -> str | None:
    """Where a program is, or None."""
    assert program in PACKAGES, f"name the Debian package of {program} in {__name__}.PACKAGES"
    return shutil.which(program) or shutil.which(program, path=ROOTS)


def needs(*programs: str) -> None:
    """Skip the test where one of these programs is missing."""
    missing = [program for program in programs if found(program) is None]
    if missing:
        pytest.skip(f"{REASON}{', '.join(missing)}")


def told(reasons: Iterable[str]) -> str:
    """What to install for the tests that were skipped for want of a program; empty for none.

    reasons: of all skips of the session, one a test.
    """
    lists = [reason.split(REASON, 1)[1].split(", ") for reason in reasons if REASON in reason]
    programs = sorted({program for one in lists for program in one})
    if not programs:
        return ""
    count = f"{len(lists)} test{'s were' if len(lists) > 1 else ' was'} skipped"
    return f"{count} for want of {', '.join(programs)}: apt-get install {' '.join(packages(programs))}"


def packages(programs: Sequence[str]) -> list[str]:
    """The Debian packages of these programs, sorted."""
    return sorted({PACKAGES[program] for program in programs})
