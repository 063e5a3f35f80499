"""TFLite files on LiteRT (`ai-edge-litert`), the interpreter that is still maintained."""

from __future__ import annotations

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from edgebrain.bundle import Bundle
from edgebrain.runtime.engines.interpreter import TFLiteEngine, load_with, relu_with


def load(bundle: Bundle, threads: int, device: str) -> TFLiteEngine:
    """Load a bundle's TFLite file.

    Raises:
        EdgebrainError: As `load_with`.
    """
    return load_with(Interpreter, bundle, "litert", "ai-edge-litert", threads, device)


def relu(values: np.ndarray) -> np.ndarray:
    """The one-operator model's answer: (1, 4) float32 -> the same, negative values as 0."""
    return relu_with(Interpreter, values)
