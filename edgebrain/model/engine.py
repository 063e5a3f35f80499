"""The Keras engine: a float bundle run by `model.predict`, what a person has before anything is exported."""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np

from edgebrain.bundle import Bundle
from edgebrain.libraries import importing
from edgebrain.model.families import spec_from_json
from edgebrain.model.network import WEIGHTS, load_weights
from edgebrain.runtime.engines.ports import fell_back, known_device


class KerasEngine:
    """A rebuilt network behind the engine protocol."""

    def __init__(self, model: Any, backend: str, version: str, threads: int) -> None:
        self._model, self._backend, self._version, self._threads = model, backend, version, threads
        self.device = _device_of(model)

    def run(self, tensor: np.ndarray) -> dict[str, np.ndarray]:
        """Map (n, side, side, 1) float32 to `mask` (n, side, side, 1) and `class` (n, classes), float32, for the n that
        the network was built with."""
        mask, label = self._model.predict(tensor, batch_size=len(tensor), verbose=0)
        return {"mask": np.asarray(mask), "class": np.asarray(label)}

    def describe(self) -> dict[str, Any]:
        """What really runs."""
        return {
            "engine": "keras",
            "version": self._version,
            "device": self.device,
            "delegate": self._backend,
            "precision": "float32",
            "threads": self._threads,
        }


def load(bundle: Bundle, threads: int, device: str) -> KerasEngine:
    """Rebuild the network from its spec and fill it from the verified bytes. Raises BadBundle, MissingExtra.

    The thread count holds for the process: TensorFlow reads it once, when it starts.
    """
    if "keras" not in sys.modules:
        if device == "cpu":
            # A row that says CPU must not be a GPU's.
            os.environ |= {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"}
        # Later it would change nothing here, and reach child processes instead.
        for name in ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS"):
            os.environ[name] = str(threads)
        os.environ["TF_NUM_INTEROP_THREADS"] = "1"
    with importing("keras", "train", "a float Keras bundle"):
        import keras
    known_device("keras", device, ("cpu", "gpu"))
    model = spec_from_json(bundle.manifest["model"]).build(keras, batch_size=bundle.input.shape[0])
    load_weights(model, bundle.contents[WEIGHTS], str(bundle.path))
    engine = KerasEngine(model, keras.backend.backend(), keras.__version__, threads)
    if device == "gpu" != engine.device:
        raise fell_back(bundle, f"Keras on {keras.backend.backend()}", device, f"it executes on the {engine.device}")
    return engine


def relu(values: np.ndarray) -> np.ndarray:
    """relu of (1, 4) float32 as the backend computes it."""
    from keras import ops

    return np.asarray(ops.convert_to_numpy(ops.relu(values)))


def _device_of(model: Any) -> str:
    """cpu or gpu: where an answer of the model lies, which is where it was computed, whatever was asked for."""
    answer, _ = model(np.zeros(model.input.shape, np.float32), training=False)
    # TensorFlow and PyTorch say it in `device`, JAX in `devices()`.
    told = str(answer.devices() if hasattr(answer, "devices") else answer.device).lower()
    return "gpu" if "gpu" in told or "cuda" in told else "cpu"
