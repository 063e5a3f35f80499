"""The Keras engine: a float bundle as Keras runs it before anything is exported.

It is called with `predict_on_batch`: the network as the backend compiles it (a tf.function, a jitted JAX function,
plain PyTorch), without the data pipeline and callbacks of `predict`, which take tens of milliseconds at each call.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np

from edgebrain.bundle import Bundle
from edgebrain.libraries import importing
from edgebrain.model.families import spec_from_json
from edgebrain.model.network import WEIGHTS, load_weights
from edgebrain.runtime.engines.ports import check_device, fell_back

# How the network is called, as reports hold it: durations of another call are not comparable.
CALL = "predict_on_batch"


class KerasEngine:
    """A rebuilt network behind the engine protocol."""

    def __init__(self, model: Any, backend: str, version: str, threads: int) -> None:
        self._model, self._backend, self._version, self._threads = model, backend, version, threads
        self.device = _device_of(model)

    def run(self, tensor: np.ndarray) -> dict[str, np.ndarray]:
        """Answer one batch.

        Args:
            tensor: (n, side, side, 1) float32 in [0, 1], for the n that the network was built with.

        Returns:
            `mask`, (n, side, side, 1), and `class`, (n, classes), both float32 in [0, 1].
        """
        mask, label = self._model.predict_on_batch(tensor)
        return {"mask": np.asarray(mask), "class": np.asarray(label)}

    def describe(self) -> dict[str, Any]:
        """What really runs."""
        return {
            "engine": "keras",
            "call": CALL,
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
            # Hide GPUs, so that a row labelled CPU was really measured on the CPU.
            os.environ |= {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"}
        # Once Keras is imported the backend ignores them, and child processes would still inherit them.
        for name in ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS"):
            os.environ[name] = str(threads)
        os.environ["TF_NUM_INTEROP_THREADS"] = "1"
    with importing("keras", "train", "a float Keras bundle"):
        import keras
    check_device("keras", device)
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
    # TensorFlow and PyTorch have `device`, JAX has `devices()`.
    name = str(answer.devices() if hasattr(answer, "devices") else answer.device).lower()
    return "gpu" if "gpu" in name or "cuda" in name else "cpu"
