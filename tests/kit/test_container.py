"""The image of a kit, built and run by a real container engine, as docs/targets/container.md says.

Slow; skipped by name where podman, runc or debootstrap are missing. The base image is a Debian 12 of its own, because
no registry is asked: Python is the system's, the rest is the kit's.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.kit.native import MACHINE, real_kit, unpack
from tests.runtime.tiny import tiny_bundle

pytestmark = pytest.mark.slow
PROGRAMS = {"podman": "podman", "runc": "runc", "debootstrap": "debootstrap"}
# What an engine asks for by default may be more than this machine allows.
LIMITS = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096"]
LOCKED = ["--network", "none", "--read-only", "--cap-drop", "all", *LIMITS]
BASE, IMAGE, UID = "localhost/python:3.11", "localhost/edgebrain", 10001


@dataclass(frozen=True)
class Engine:
    """podman with images of its own."""

    folder: Path

    def __call__(self, *words: object) -> subprocess.CompletedProcess[str]:
        own = ["--runtime", "runc", "--cgroup-manager", "cgroupfs", "--storage-driver", "overlay"]
        for option in ("root", "runroot", "tmpdir"):
            own += [f"--{option}", str(self.folder / option)]
        return subprocess.run(["podman", *own, *map(str, words)], capture_output=True, text=True, timeout=900)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """podman, with a Debian 12 that has Python 3.11 as base image."""
    for program, package in PROGRAMS.items():
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed: apt-get install {package}")
    if MACHINE != "x86_64" or os.geteuid() != 0:
        pytest.skip("needs root on x86-64")
    folder = tmp_path_factory.mktemp("podman")
    debian, include = folder / "debian", "--include=python3-minimal,libpython3.11-stdlib"
    made = subprocess.run(
        ["debootstrap", "--variant=minbase", include, "bookworm", debian, *mirror()], capture_output=True, text=True
    )
    if made.returncode != 0:
        pytest.skip(f"debootstrap: {made.stdout.splitlines()[-1:]}")
    podman = Engine(folder)
    archive = folder / "debian.tar"
    subprocess.run(["tar", "-C", debian, "-cf", archive, "."], check=True)
    shutil.rmtree(debian)
    done = podman("import", "--quiet", archive, BASE)
    assert done.returncode == 0, done.stderr
    yield podman
    podman("rmi", "--all", "--force")


def mirror() -> list[str]:
    """Where this machine's apt gets Debian from; none for debootstrap's own choice."""
    asked = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]
    found = subprocess.run(asked, capture_output=True, text=True).stdout.splitlines()
    return [uri for uri in found if uri.rstrip("/").endswith("/debian")][:1]


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked kit of an int8 bundle, with its real wheels."""
    folder = tmp_path_factory.mktemp("kit")
    with pytest.MonkeyPatch.context() as patch:
        # 100 MB are fetched once, not in each session.
        patch.delenv("XDG_CACHE_HOME", raising=False)
        bundle = tiny_bundle(folder / "int8", precision="int8")
        return unpack(real_kit(bundle, folder / "kit.tar", "container", "3.11"), folder)


@pytest.fixture(scope="module")
def image(engine: Engine, kit: Path) -> str:
    """The image, built without a network."""
    done = engine("build", "--network", "none", *LIMITS, "--build-arg", f"BASE={BASE}", "-t", IMAGE, kit)
    assert done.returncode == 0, done.stderr
    assert (done.stdout + done.stderr).count("PASS: 20 slices, the same bytes in every step") == 2
    return IMAGE


@pytest.fixture
def data(tmp_path: Path, kit: Path) -> Path:
    """Three slices in `in`, and an `out` that the image's user may write to."""
    (tmp_path / "in").mkdir()
    for scan in sorted((kit / "reference/slices").iterdir())[:3]:
        shutil.copy(scan, tmp_path / "in")
    (tmp_path / "out").mkdir()
    os.chown(tmp_path / "out", UID, UID)
    return tmp_path


def volumes(data: Path) -> list[str]:
    return ["-v", f"{data}/in:/data/in:ro", "-v", f"{data}/out:/data/out"]


def test_the_image_answers_slices_as_a_user_without_rights_on_a_read_only_system(
    engine: Engine, image: str, data: Path
) -> None:
    done = engine("run", "--rm", *LOCKED, *volumes(data), image, "/data/in", "--out", "/data/out/one")
    assert "3 of 3 pictures done" in done.stdout + done.stderr, done.stderr
    assert (data / "out/one/results.csv").stat().st_uid == UID


def test_the_image_watches_until_it_is_stopped(engine: Engine, image: str, data: Path) -> None:
    table = data / "out/results.csv"
    started = engine("run", "--detach", "--name", "watch", *LOCKED, *volumes(data), image)
    assert started.returncode == 0, started.stderr
    try:
        end = time.monotonic() + 120
        while not table.exists() or len(table.read_text().splitlines()) < 4:
            assert time.monotonic() < end, engine("logs", "watch").stderr
            time.sleep(0.2)
        # SIGTERM, and only after ten seconds the kill that would leave another exit code.
        engine("stop", "watch")
        assert "3 files done: /data/out" in engine("logs", "watch").stdout
        assert engine("inspect", "--format", "{{.State.ExitCode}}", "watch").stdout.strip() == "0"
    finally:
        engine("rm", "--force", "watch")


def test_its_user_cannot_change_what_was_installed(engine: Engine, image: str) -> None:
    done = engine("run", "--rm", *LIMITS, "--network", "none", "--entrypoint", "touch", image, "/opt/edgebrain/x")
    assert done.returncode != 0 and "Permission denied" in done.stderr


def test_a_kit_that_was_changed_gives_no_image(engine: Engine, kit: Path, tmp_path: Path) -> None:
    spoilt = tmp_path / "kit"
    shutil.copytree(kit, spoilt, symlinks=True)
    model = spoilt / "bundle/model.tflite"
    model.write_bytes(model.read_bytes()[:-1] + b"?")
    done = engine("build", "--network", "none", *LIMITS, "--build-arg", f"BASE={BASE}", "-t", "spoilt", spoilt)
    assert done.returncode != 0
    assert "bundle/model.tflite" in done.stdout + done.stderr
