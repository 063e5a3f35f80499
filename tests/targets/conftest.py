"""A real ssh server on a loopback port, whose commands run on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edgebrain.kit.wheels import Wheel
from edgebrain.targets import find_target, ssh
from edgebrain.targets.ssh import SshTarget
from tests.kit.test_wheels import tiny_wheel
from tests.targets.board import path_with_python
from tests.targets.sshd import Server, server, skip_without_sshd


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose python3 is this one, with its libraries; it needs no wheels from anywhere."""
    folder = tmp_path_factory.mktemp("board")
    with server(folder / "ssh", folder / "home", environment={"PATH": path_with_python(folder)}) as running:
        yield running


@pytest.fixture(scope="module")
def few_wheels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One empty wheel stands for those of an engine: the libraries are there already, and no network is needed."""
    skip_without_sshd()
    path = tmp_path_factory.mktemp("wheels") / "tiny-1.0-py3-none-any.whl"
    path.write_bytes(tiny_wheel("tiny"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssh, "choose_wheels", lambda packages, platform: [Wheel("tiny", "1.0", path.name, "0" * 64)])
        patch.setattr(ssh, "wheels_for", lambda packages, platform: [path])
        yield


@pytest.fixture
def opened() -> Iterator[Callable[..., SshTarget]]:
    """Opens target files, and closes the targets in the end."""
    found: list[SshTarget] = []

    def open_file(path: Path) -> SshTarget:
        target = find_target(str(path))
        assert isinstance(target, SshTarget)
        found.append(target)
        return target

    yield open_file
    for target in found:
        target.connection.close()
