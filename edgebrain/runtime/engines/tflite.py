"""TFLite files on the older `tflite-runtime`, for devices that have nothing newer (Python 3.11 or below, NumPy 1)."""

from __future__ import annotations

from tflite_runtime.interpreter import Interpreter

from edgebrain.bundle import Bundle
from edgebrain.runtime.engines.interpreter import TFLiteEngine, load_with


def load(bundle: Bundle, threads: int, device: str) -> TFLiteEngine:
    """Load a bundle's TFLite file. Raises as `load_with`."""
    return load_with(Interpreter, bundle, "tflite", "tflite-runtime", threads, device)
