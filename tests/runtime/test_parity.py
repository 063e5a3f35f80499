"""One int8 TFLite file on three interpreters: what they answer, and by how many int8 steps they differ.

LiteRT computes with XNNPACK, tflite-runtime 2.14 with the interpreter's own kernels, OpenVINO with its own. They round
at other places, and a step in an early layer is many behind the sigmoid's steep middle.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgebrain.bundle import open_bundle
from edgebrain.cache import cache_folder
from edgebrain.data.readers import open_dataset
from edgebrain.files import sha256_json
from edgebrain.recipe import replaced
from edgebrain.runtime.session import open_session
from edgebrain.runtime.transform import downsample, to_tensor
from tests.compression.test_quantize import RECIPE, compress
from tests.instruction_sets import skip_openvino_under_a_cap
from tests.networks import FinishedRun

SLICES = 40
HOME = Path(__file__).resolve().parents[2]
PINS = ("tflite-runtime==2.14.0", "numpy==1.26.4", "opencv-python-headless==4.11.0.86", "msgspec==0.19.0")
# Runs in the other environment: raw outputs of each slice, as lists.
OTHER = """
import json, sys
from pathlib import Path
import numpy as np
sys.path.insert(0, sys.argv[1])
from edgebrain.runtime.session import open_session
session = open_session(Path(sys.argv[2]), "tflite")
raw = [session.engine.run(tensor) for tensor in np.load(sys.argv[3])]
np.savez(sys.argv[4], mask=[one["mask"] for one in raw], label=[one["class"] for one in raw])
print(json.dumps(session.describe()))
"""


@pytest.fixture(scope="module")
def bundle(computed: FinishedRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parity")
    outcome = compress(computed, replaced(RECIPE, "compress", formats=("tflite",)), folder)[-1]
    assert outcome.error is None
    return folder / "tflite-int8"


@pytest.fixture(scope="module")
def tensors(computed: FinishedRun, bundle: Path) -> np.ndarray:
    port = open_bundle(bundle).input
    records = open_dataset(computed.phantoms).records[:SLICES]
    return np.stack([to_tensor(downsample(record.load().image, *port.shape[1:3]), port) for record in records])


def answers(bundle: Path, engine: str, tensors: np.ndarray) -> dict[str, np.ndarray]:
    session = open_session(bundle, engine)
    raw = [session.engine.run(tensor) for tensor in tensors]
    return {"mask": np.array([one["mask"] for one in raw]), "label": np.array([one["class"] for one in raw])}


def compared(name: str, one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> dict[str, Any]:
    """Share of bytes that differ, the largest difference in int8 steps, and what comes of it behind the threshold."""
    steps = {role: np.abs(one[role].astype(int) - other[role].astype(int)) for role in one}
    found = {
        "against litert": name,
        "mask bytes differ": float((steps["mask"] > 0).mean()),
        "mask steps at most": int(steps["mask"].max()),
        "class steps at most": int(steps["label"].max()),
        "pixels differ behind the threshold": float(((one["mask"] >= 0) != (other["mask"] >= 0)).mean()),
        "classes differ": float((one["label"].argmax(-1) != other["label"].argmax(-1)).mean()),
    }
    print(json.dumps(found))
    return found


@pytest.mark.delicate
def test_openvino_reads_the_tflite_file_in_int8(bundle: Path, tensors: np.ndarray) -> None:
    skip_openvino_under_a_cap()
    assert open_session(bundle, "openvino").describe()["precision"] == "int8"
    found = compared("openvino", answers(bundle, "litert", tensors), answers(bundle, "openvino", tensors))
    assert found["pixels differ behind the threshold"] < 0.01
    assert found["classes differ"] <= 0.1


@pytest.mark.slow
def test_tflite_runtime_answers_alike_in_an_environment_of_its_own(
    bundle: Path, tensors: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME")
    python = _old_environment()
    np.save(tmp_path / "tensors.npy", tensors)
    command = [str(python), "-c", OTHER, str(HOME), str(bundle), str(tmp_path / "tensors.npy"), str(tmp_path / "out")]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout.splitlines()[-1])["version"] == "2.14.0"
    with np.load(tmp_path / "out.npz") as file:
        theirs = {name: file[name] for name in ("mask", "label")}
    found = compared("tflite-runtime 2.14.0", answers(bundle, "litert", tensors), theirs)
    assert found["pixels differ behind the threshold"] < 0.01
    assert found["classes differ"] <= 0.1


def _old_environment() -> Path:
    """The Python of an environment with tflite-runtime, made once in the user's cache; skips where there is none."""
    if sys.version_info[:2] != (3, 11):
        pytest.skip("tflite-runtime 2.14 has wheels up to Python 3.11")
    folder = cache_folder() / f"test-tflite-runtime-{sha256_json(PINS)[:8]}"
    python = folder / "bin" / "python"
    if not (folder / "ready").is_file():
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        got = subprocess.run([str(python), "-m", "pip", "install", "-q", *PINS], capture_output=True, text=True)
        if got.returncode:
            pytest.skip(f"tflite-runtime cannot be installed here: {got.stderr.strip().splitlines()[-1]}")
        (folder / "ready").touch()
    return python
