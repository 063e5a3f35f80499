"""One small trained run for all tests that need one: TensorFlow is imported once, and nothing is trained twice."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

TINY_RECIPE = """
name = "tiny"
[model]
width = 4
side = 64
[train]
epochs = 10
batch = 8
learning_rate = 5e-3
"""


@dataclass(frozen=True)
class Trained:
    """A finished run on 160 phantoms: a network of width 4 at 64 px."""

    run: Path
    phantoms: Path
    recipe: Path


@pytest.fixture(scope="session")
def session_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder of this session's own, so that no test reads or fills the user's."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def own_cache(session_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packs and phantoms go to the session's cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(session_cache))


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, session_cache: Path) -> Trained:
    """The small trained run; not to be changed."""
    from edgebrain.data.phantom import write_phantoms
    from edgebrain.data.readers import open_dataset
    from edgebrain.recipe import load_train_recipe
    from edgebrain.training.loop import Listener, finish_run, start_run

    root = tmp_path_factory.mktemp("trained")
    recipe = root / "tiny.toml"
    recipe.write_text(TINY_RECIPE)
    write_phantoms(root / "phantoms", 160, seed=5)
    dataset = open_dataset(root / "phantoms")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(session_cache))
        start_run(load_train_recipe(str(recipe)), dataset, None, root / "run", Listener())
        finish_run(root / "run", dataset, Listener())
    return Trained(root / "run", root / "phantoms", recipe)
