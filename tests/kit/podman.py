"""podman with images and containers of its own, and a Debian 12 as base image: no registry is asked."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.kit.native import MACHINE
from tests.system_programs import needs

# What an engine asks for by default may be more than this machine allows.
LIMITS = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096"]
BASE = "localhost/debian"
# Debian's own Python 3.11, and systemd for the service.
PACKAGES = "python3-minimal,libpython3.11-stdlib,systemd,systemd-sysv,dbus"


@dataclass(frozen=True)
class Engine:
    """podman, which keeps everything in one folder."""

    folder: Path

    def __call__(self, *words: object) -> subprocess.CompletedProcess[str]:
        own = ["--runtime", "runc", "--cgroup-manager", "cgroupfs", "--storage-driver", "overlay"]
        for option in ("root", "runroot", "tmpdir"):
            own += [f"--{option}", str(self.folder / option)]
        return subprocess.run(["podman", *own, *map(str, words)], capture_output=True, text=True, timeout=900)


def make_engine(folder: Path) -> Engine:
    """podman with the base image. Skips, by name, where a program or a right is missing."""
    needs("podman", "runc", "debootstrap")
    if MACHINE != "x86_64" or os.geteuid() != 0:
        pytest.skip("needs root on x86-64")
    debian, archive = folder / "debian", folder / "debian.tar"
    command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", debian, *_mirror()]
    made = subprocess.run(command, capture_output=True, text=True)
    if made.returncode != 0:
        pytest.skip(f"debootstrap: {made.stdout.splitlines()[-1:]}")
    subprocess.run(["tar", "-C", debian, "-cf", archive, "."], check=True)
    shutil.rmtree(debian)
    podman = Engine(folder)
    done = podman("import", "--quiet", archive, BASE)
    assert done.returncode == 0, done.stderr
    archive.unlink()
    return podman


def _mirror() -> list[str]:
    """Where this machine's apt gets Debian from; none for debootstrap's own choice."""
    asked = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]
    found = subprocess.run(asked, capture_output=True, text=True).stdout.splitlines()
    return [uri for uri in found if uri.rstrip("/").endswith("/debian")][:1]
