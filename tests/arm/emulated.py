"""An aarch64 Debian under qemu behind a real ssh server. Made once, and kept in the user's cache folder."""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from edgebrain.cache import cache_folder
from tests.arm.debian import NotToBeHad, unpack
from tests.system_programs import needs
from tests.targets.sshd import Server, server, skip_without_sshd

# Read when the module is loaded: each test has a cache folder of its own, and these take a minute to make.
CACHE = cache_folder() / "arm-tests"
ENTER = Path(__file__).with_name("enter.sh")
BINFMT = Path("/proc/sys/fs/binfmt_misc")
NAME = "edgebrain-test-aarch64"
# The first bytes of a 64-bit little-endian ELF program for aarch64, and which of their bits count.
MAGIC = r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
MASK = r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
# Release -> its Python.
PYTHONS = {"bookworm": "3.11", "trixie": "3.13"}


def skip_without_arm() -> None:
    """Skips, by name, where no aarch64 can be emulated."""
    skip_without_sshd()
    if os.geteuid() != 0 or platform.machine() != "x86_64":
        pytest.skip("an emulated aarch64 root needs root on x86-64")
    needs("unshare")
    for program in ("apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is missing: an aarch64 root is made of Debian's packages")


def root_folder(release: str = "bookworm") -> Path:
    """The cached aarch64 Debian of this release, with Python. Skips where packages are not to be had."""
    return made_once(f"{release}-2", lambda part: _make_root(release, part))


def qemu() -> Path:
    """The cached qemu of Debian 13, one static program: Debian 12's own (7.2) starts Python and crashes in LiteRT."""
    file = "usr/bin/qemu-aarch64"
    return made_once("qemu-2", lambda part: unpack(["qemu-user"], "trixie", "amd64", part, f"./{file}")) / file


def _make_root(release: str, root: Path) -> None:
    # Debian 12's packages bring no links for these; its installer makes them.
    for name in ("bin", "sbin", "lib"):
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    unpack(["?essential", "python3-minimal", "libpython3-stdlib"], release, "arm64", root)


def made_once(name: str, make: Callable[[Path], None]) -> Path:
    """A folder of the cache, made whole or not at all; other test runs wait. Skips where packages are not to be had."""
    folder, part = CACHE / name, CACHE / f".{name}.part"
    CACHE.mkdir(parents=True, exist_ok=True)
    with locked(CACHE / f"{name}.lock"):
        if not folder.exists():
            shutil.rmtree(part, ignore_errors=True)
            try:
                make(part)
            except NotToBeHad as problem:
                pytest.skip(f"Debian packages are not to be had: {problem}")
            part.rename(folder)
    return folder


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Others wait, in this process and outside of it."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def registered() -> Iterator[None]:
    """The kernel hands aarch64 programs to our qemu, also inside a chroot (flag F). Skips where it cannot.

    The kernel is told once for everybody who is in here at the same time, also in other processes; the last one out
    takes it back, and who finds what a killed run has left takes that away first.
    """
    program, folder = qemu(), Path(tempfile.gettempdir())
    door = folder / f"{NAME}.door"
    with (folder / f"{NAME}.inside").open("w") as inside:
        with locked(door):
            if _is_alone(inside):
                _take_back()
                _tell_kernel(program)
            fcntl.flock(inside, fcntl.LOCK_SH)
        try:
            yield
        finally:
            with locked(door):
                if _is_alone(inside):
                    _take_back()


def _is_alone(inside: IO[str]) -> bool:
    """Whether nobody else holds this lock. Call it behind the door: a shared lock is given up on the way."""
    try:
        fcntl.flock(inside, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _tell_kernel(program: Path) -> None:
    if not (BINFMT / "register").exists():
        subprocess.run(["mount", "-t", "binfmt_misc", "binfmt_misc", BINFMT], capture_output=True)
    try:
        (BINFMT / "register").write_text(f":{NAME}:M::{MAGIC}:{MASK}:{program}:PF")
    except FileExistsError:
        raise
    except OSError as problem:
        pytest.skip(f"binfmt_misc cannot be registered here: {problem.strerror}")


def _take_back() -> None:
    if (BINFMT / NAME).exists():
        (BINFMT / NAME).write_text("-1")


@contextmanager
def arm_board(folder: Path, cpu: str, release: str = "bookworm") -> Iterator[Server]:
    """A board with this processor (a name that qemu knows), reached by ssh; its home is new and goes away."""
    skip_without_arm()
    root = root_folder(release)
    home = Path(tempfile.mkdtemp(prefix=f"{cpu}-", dir=root / "home"))
    environment = {"QEMU_CPU": cpu, "ROOT": str(root)}
    try:
        with registered(), server(folder, home, str(ENTER), environment) as board:
            yield board
    finally:
        shutil.rmtree(home, ignore_errors=True)
