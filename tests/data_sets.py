"""Small data sets on disk: phantoms as the generator writes them, and BRISC's layout with tiny pictures."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgebrain.phantom.generator import write_phantoms
from tests.data.pictures import put_image, put_mask


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 84 phantoms; not to be changed."""
    folder = tmp_path_factory.mktemp("phantoms") / "set"
    write_phantoms(folder, 84, seed=7)
    return folder


@pytest.fixture
def few_phantoms(tmp_path: Path) -> Path:
    """A folder of 12 phantoms, to be broken."""
    write_phantoms(tmp_path / "few", 12, seed=3)
    return tmp_path / "few"


@pytest.fixture
def brisc(tmp_path: Path) -> Path:
    """BRISC's layout: two tumour slices a side (in both tasks), one healthy slice a side."""
    root = tmp_path / "brisc"
    for place, side in enumerate(("train", "test")):
        for kind, name in (("glioma", "gl_ax"), ("meningioma", "me_co")):
            stem = f"brisc2025_{side}_{place}0001_{name}_t1"
            put_image(root / "segmentation_task" / side / "images" / f"{stem}.jpg", place)
            put_mask(root / "segmentation_task" / side / "masks" / f"{stem}.png")
            put_image(root / "classification_task" / side / kind / f"{stem}.jpg", place)
        put_image(root / "classification_task" / side / "no_tumor" / f"brisc2025_{side}_{place}0009_no_sa_t1.jpg", 9)
    return root


@pytest.fixture
def real_brisc() -> Path:
    """The real BRISC 2025 folder, where this machine has one."""
    return _real("brisc2025")


@pytest.fixture
def real_figshare() -> Path:
    """Slices of the real Figshare set with their patients, where this machine has some."""
    return _real("figshare")


def _real(name: str) -> Path:
    root = Path(os.environ.get("EDGEBRAIN_REAL_DATA", "")) / name
    if not os.environ.get("EDGEBRAIN_REAL_DATA") or not root.is_dir():
        pytest.skip(f"EDGEBRAIN_REAL_DATA names no folder with {name}")
    return root
