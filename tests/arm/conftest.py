"""Boards with emulated processors, each started once a session, and the networks that run on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache

import pytest

from edgebrain.bundle import Bundle, open_bundle
from edgebrain.phantom.generator import phantom_files
from tests.arm.emulated import CACHE, arm_board, skip_without_arm
from tests.arm.networks import UNSEEN_SEED, trained_runs
from tests.targets.sshd import Server


@pytest.fixture(autouse=True)
def shared_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wheels of 70 MB are fetched once, not once a session."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(CACHE.parents[1]))


@pytest.fixture(scope="session")
def boards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Server]]:
    """The board with this processor; a bench's wheels reach it once."""
    with ExitStack() as running:
        yield cache(lambda cpu: running.enter_context(arm_board(tmp_path_factory.mktemp("ssh"), cpu)))


@pytest.fixture
def board(boards: Callable[[str], Server]) -> Server:
    """A Cortex-A76, as in a Raspberry Pi 5."""
    return boards("cortex-a76")


@pytest.fixture(scope="session")
def networks() -> dict[str, Bundle]:
    """The int8 bundles of the half and the full network, trained."""
    skip_without_arm()
    return {name: open_bundle(run / "bundles" / "tflite-int8") for name, run in trained_runs().items()}


@pytest.fixture
def int8(networks: dict[str, Bundle]) -> Bundle:
    """The half-width network in int8."""
    return networks["half"]


@pytest.fixture(scope="session")
def unseen() -> dict[str, bytes]:
    """50 phantoms as PNG, JPEG and TIFF in turn, from heads that no network was trained on."""
    return phantom_files(50, UNSEEN_SEED)
