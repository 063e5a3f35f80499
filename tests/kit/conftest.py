"""Kits of the tiny network, packed once; and a container engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.native import native_kit, real_kit, unpack
from tests.kit.podman import Engine, make_engine
from tests.runtime.tiny import tiny_bundle


@pytest.fixture(scope="session")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A kit for this machine, whose wheels are shims."""
    folder = tmp_path_factory.mktemp("packed")
    with pytest.MonkeyPatch.context() as patch:
        return native_kit(tiny_bundle(folder / "int8", precision="int8"), folder / "kit.tar", patch).path


@pytest.fixture(scope="session")
def container_kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An unpacked kit for Debian 12 on x86-64, with its real wheels."""
    folder = tmp_path_factory.mktemp("kit")
    with pytest.MonkeyPatch.context() as patch:
        # 100 MB are fetched once, not in each session.
        patch.delenv("XDG_CACHE_HOME", raising=False)
        bundle = tiny_bundle(folder / "int8", precision="int8")
        return unpack(real_kit(bundle, folder / "kit.tar", "container", "3.11"), folder)


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """podman, with a Debian 12 that has Python 3.11 and systemd as base image."""
    podman = make_engine(tmp_path_factory.mktemp("podman"))
    yield podman
    podman("rmi", "--all", "--force")
