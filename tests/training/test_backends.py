"""The same command on the other backends of Keras, without TensorFlow."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.networks import FinishedRun


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_training_runs_on_another_backend_without_tensorflow(
    backend: str, trained: FinishedRun, tmp_path: Path
) -> None:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed: pip install 'edgebrain[{backend}]'")
    recipe = tmp_path / "short.toml"
    recipe.write_text(trained.recipe.read_text().replace("epochs = 10", "epochs = 1"))
    code = (
        "import sys; from edgebrain.cli import main\n"
        "try:\n    main(sys.argv[1:])\nfinally:\n    print('tensorflow' in sys.modules)"
    )
    words = ["train", str(recipe), "--data", str(trained.phantoms), "--out", str(tmp_path / "run")]
    environment = {**os.environ, "KERAS_BACKEND": backend}
    ended = subprocess.run([sys.executable, "-c", code, *words], env=environment, capture_output=True, text=True)
    assert ended.stdout.splitlines()[-1] == "False", ended.stderr
    assert json.loads((tmp_path / "run" / "run.json").read_text())["backend"] == backend
    assert (tmp_path / "run" / "float" / "model.weights.h5").is_file()
