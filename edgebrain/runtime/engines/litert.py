"""TFLite files on LiteRT (`ai-edge-litert`), the interpreter that is still maintained."""

from __future__ import annotations

from ai_edge_litert.interpreter import Interpreter

from edgebrain.bundle import Bundle
from edgebrain.runtime.engines.interpreter import TFLiteEngine, load_with


def load(bundle: Bundle, threads: int, device: str) -> TFLiteEngine:
    """Load a bundle's TFLite file. Raises as `load_with`."""
    return load_with(Interpreter, bundle, "litert", "ai-edge-litert", threads, device)
