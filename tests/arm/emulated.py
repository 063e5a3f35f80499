"""An aarch64 Debian under qemu behind a real ssh server, and a half-width network trained for it."""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edgebrain.cache import cache_folder
from tests.targets.sshd import Server, server, skip_without_sshd

# Read when the module is loaded: each test has a cache folder of its own, and these take minutes to make.
CACHE = cache_folder() / "arm-tests"
BUILD, ENTER = (Path(__file__).with_name(name) for name in ("build_root.sh", "enter.sh"))
BINFMT = Path("/proc/sys/fs/binfmt_misc")
NAME = "edgebrain-test-aarch64"
# The first bytes of a 64-bit little-endian ELF program for aarch64, and which of their bits count.
MAGIC = r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
MASK = r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"

RECIPE = """
name = "half"
[model]
width = 16
[phantom]
count = 800
[train]
epochs = 10
batch = 8
learning_rate = 2e-3
patience = 10
mask_cross_entropy = 1.0
"""


def root_folder() -> Path:
    """The cached root; made when it is not there. Skips, by name, where it cannot be made."""
    skip_without_sshd()
    if os.geteuid() != 0 or platform.machine() != "x86_64":
        pytest.skip("an emulated aarch64 root needs root on x86-64")
    folder = CACHE / "bookworm-qemu10"
    with one_at_a_time("root"):
        if not (folder / "qemu-aarch64").is_file():
            for program in ("debootstrap", "apt-get", "dpkg-deb"):
                if shutil.which(program) is None:
                    pytest.skip(f"{program} is not installed: apt-get install debootstrap")
            part = folder.with_name(f".{folder.name}.part")
            shutil.rmtree(part, ignore_errors=True)
            done = subprocess.run([BUILD, part], capture_output=True, text=True)
            if done.returncode != 0:
                shutil.rmtree(part, ignore_errors=True)
                pytest.skip(f"packages are not to be had: {done.stderr.strip().splitlines()[-1:]}")
            part.rename(folder)
    return folder


@contextmanager
def one_at_a_time(name: str) -> Iterator[None]:
    """Other test runs wait, so that a folder of the cache is made once."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def registered(qemu: Path) -> Iterator[None]:
    """The kernel hands aarch64 programs to this qemu, also inside a chroot (flag F). Skips where it cannot."""
    if not (BINFMT / "register").exists():
        subprocess.run(["mount", "-t", "binfmt_misc", "binfmt_misc", BINFMT], capture_output=True)
    entry = BINFMT / NAME
    # A board inside another one's lifetime finds it registered, and leaves that to the outer one.
    if entry.exists():
        yield
        return
    try:
        (BINFMT / "register").write_text(f":{NAME}:M::{MAGIC}:{MASK}:{qemu}:PF")
    except OSError as problem:
        pytest.skip(f"binfmt_misc cannot be registered here: {problem.strerror}")
    try:
        yield
    finally:
        entry.write_text("-1")


@contextmanager
def arm_board(folder: Path, cpu: str) -> Iterator[Server]:
    """A board with this processor (a name that qemu knows), reached by ssh; its home is new and goes away."""
    made = root_folder()
    root = made / "root"
    home = root / "home" / f"{cpu}-{os.getpid()}"
    environment = {"QEMU_CPU": cpu, "ROOT": str(root)}
    try:
        with registered(made / "qemu-aarch64"), server(folder, home, str(ENTER), environment) as board:
            yield board
    finally:
        shutil.rmtree(home, ignore_errors=True)


def trained_run() -> Path:
    """A half-width run on phantoms with its int8 bundle, trained once and kept in the cache."""
    run = CACHE / "half-run-1"
    with one_at_a_time("run"):
        if not (run / "bundles" / "tflite-int8" / "manifest.json").is_file():
            shutil.rmtree(run, ignore_errors=True)
            (CACHE / "half.toml").write_text(RECIPE)
            for words in (["train", CACHE / "half.toml", "--out", run], ["quantize", run, "--int8"]):
                subprocess.run([sys.executable, "-m", "edgebrain", *words], check=True)
    return run
