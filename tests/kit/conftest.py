"""A kit of the tiny network for this machine, packed once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kit.native import native_kit
from tests.runtime.tiny import tiny_bundle


@pytest.fixture(scope="session")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packed")
    with pytest.MonkeyPatch.context() as patch:
        return native_kit(tiny_bundle(folder / "int8", precision="int8"), folder / "kit.tar", patch).path
