"""The image of a kit, built and run by a real container engine, as docs/how-to/container.md says.

Slow; skipped by name where podman, runc or debootstrap are missing. The base image is a Debian 12 with its own Python.
"""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from tests.kit.podman import BASE, LIMITS, Engine

pytestmark = pytest.mark.slow
LOCKED = ["--network", "none", "--read-only", "--cap-drop", "all", *LIMITS]
IMAGE, UID = "localhost/edgebrain", 10001


@pytest.fixture(scope="module")
def image(engine: Engine, container_kit: Path) -> str:
    """The image, built without a network."""
    done = engine("build", "--network", "none", *LIMITS, "--build-arg", f"BASE={BASE}", "-t", IMAGE, container_kit)
    assert done.returncode == 0, done.stderr
    assert (done.stdout + done.stderr).count("PASS: 20 slices, the same bytes in every step") == 2
    return IMAGE


@pytest.fixture
def data(tmp_path: Path, container_kit: Path) -> Path:
    """Three slices in `in`, and an `out` that the image's user may write to."""
    (tmp_path / "in").mkdir()
    for scan in sorted((container_kit / "reference/slices").iterdir())[:3]:
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


def test_a_kit_that_was_changed_gives_no_image(engine: Engine, container_kit: Path, tmp_path: Path) -> None:
    spoilt = tmp_path / "kit"
    shutil.copytree(container_kit, spoilt, symlinks=True)
    model = spoilt / "bundle/model.tflite"
    model.write_bytes(model.read_bytes()[:-1] + b"?")
    done = engine("build", "--network", "none", *LIMITS, "--build-arg", f"BASE={BASE}", "-t", "spoilt", spoilt)
    assert done.returncode != 0
    assert "bundle/model.tflite" in done.stdout + done.stderr
