"""The same command on the other backends of Keras, without TensorFlow."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgebrain.bundle import open_bundle
from edgebrain.runtime.session import open_session
from tests.runtime.pictures import bright_disc


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_training_runs_on_another_backend_without_tensorflow(backend: str, phantoms: Path, tmp_path: Path) -> None:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed: pip install 'edgebrain[{backend}]'")
    recipe = tmp_path / "short.toml"
    recipe.write_text("[model]\nwidth = 4\nside = 64\n[train]\nepochs = 1\nbatch = 8\n")
    code = (
        "import sys; from edgebrain.cli import main\n"
        "try:\n    main(sys.argv[1:])\nfinally:\n    print('tensorflow' in sys.modules)"
    )
    words = ["train", str(recipe), "--data", str(phantoms), "--out", str(tmp_path / "run")]
    environment = {**os.environ, "KERAS_BACKEND": backend}
    ended = subprocess.run([sys.executable, "-c", code, *words], env=environment, capture_output=True, text=True)
    assert ended.stdout.splitlines()[-1] == "False", ended.stderr
    assert json.loads((tmp_path / "run" / "run.json").read_text())["backend"] == backend
    (entry,) = json.loads((tmp_path / "run" / "history.json").read_text())
    assert entry["loss"] > 0.0 and entry["val"]["loss"] > 0.0
    bundle = open_bundle(tmp_path / "run" / "float")
    assert bundle.lineage["backend"] == backend
    # Weights are the same file whichever backend wrote them: the engine of this process, TensorFlow's, reads them.
    assert open_session(bundle).predict(bright_disc()).class_probabilities.sum() == pytest.approx(1.0, abs=1e-4)
