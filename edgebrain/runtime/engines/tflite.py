"""TFLite files on the older `tflite-runtime`, for devices that have nothing newer (Python 3.11 or below, NumPy 1)."""

from __future__ import annotations

import numpy as np
from tflite_runtime.interpreter import Interpreter

from edgebrain.bundle import Bundle
from edgebrain.runtime.engines.interpreter import TFLiteEngine, load_with, relu_with


def load(bundle: Bundle, threads: int, device: str) -> TFLiteEngine:
    """Load a bundle's TFLite file.

    Raises:
        EdgebrainError: As `load_with`.
    """
    return load_with(Interpreter, bundle, "tflite", "tflite-runtime", threads, device)


def relu(values: np.ndarray) -> np.ndarray:
    """The one-operator model's answer: (1, 4) float32 -> the same, negative values as 0."""
    return relu_with(Interpreter, values)
