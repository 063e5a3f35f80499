"""Two small runs for all tests that need one: a trained one for what training leaves, and a computed one for the rest.

What the trained network answers hangs on the processor; no test may hang on it. A test that needs a network which
works, or one that is broken in a known way, takes a computed one (networks.py).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.networks import FinishedRun, finished_run
from tests.system_programs import told

pytest_plugins = ["tests.data_sets"]

os.environ["KERAS_BACKEND"] = "tensorflow"
# In CI Hypothesis tries the same examples at every run, so that a failure comes of a change;
# elsewhere it goes on looking.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")
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


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line for all tests that want a program which is not here."""
    reasons = [str(report.longrepr[2]) for report in terminalreporter.stats.get("skipped", [])]
    if line := told(reasons):
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def session_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder of this session's own, so that no test reads or fills the user's."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def own_cache(session_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packs and phantoms go to the session's cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(session_cache))


@pytest.fixture(scope="session")
def installed_libraries() -> dict[str, tuple[str, str] | None]:
    """What `check_libraries` finds for all that is installed here: importing TensorFlow and the rest takes 10 s."""
    from edgebrain.runtime import doctor

    found: dict[str, tuple[str, str] | None] = {}
    check = doctor.check_libraries

    def keep(*arguments: Any) -> dict[str, tuple[str, str] | None]:
        found.update(check(*arguments))
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(doctor, "check_libraries", keep)
        doctor.diagnose(["cpu"], {})
    return found


@pytest.fixture
def libraries_checked(installed_libraries: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The doctor takes what was found once in this session, instead of importing every library again."""
    from edgebrain.runtime import doctor

    monkeypatch.setattr(
        doctor, "check_libraries", lambda names, progress: {name: installed_libraries[name] for name in names}
    )


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, session_cache: Path) -> FinishedRun:
    """A run on 160 phantoms, trained: a network of width 4 at 64 px."""
    from edgebrain.data.readers import open_dataset
    from edgebrain.phantom.generator import write_phantoms
    from edgebrain.recipe import load_train_recipe
    from edgebrain.training.loop import Listener, finish_run, start_run

    root = tmp_path_factory.mktemp("trained")
    recipe = root / "tiny.toml"
    recipe.write_text(TINY_RECIPE)
    write_phantoms(root / "phantoms", 160, seed=5)
    dataset = open_dataset(root / "phantoms")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(session_cache))
        prepared = start_run(load_train_recipe(str(recipe)), dataset, None, root / "run", Listener())
        finish_run(prepared, Listener())
    return FinishedRun(root / "run", root / "phantoms", recipe)


@pytest.fixture(scope="session")
def computed(tmp_path_factory: pytest.TempPathFactory, session_cache: Path) -> FinishedRun:
    """A run of the same size whose network was computed: it finds every lesion and every class, in float and in INT8,
    and with half of its channels pruned."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(session_cache))
        return finished_run(tmp_path_factory.mktemp("computed"), spare=True)
