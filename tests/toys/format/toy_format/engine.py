"""Run the format: unpacked, on ONNX Runtime."""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import Any

from edgebrain.bundle import Bundle
from edgebrain.runtime.engines import onnxruntime


class ToyEngine(onnxruntime.ONNXEngine):
    """ONNX Runtime's engine under a name of its own."""

    def describe(self) -> dict[str, Any]:
        """What really runs."""
        return {**super().describe(), "engine": "toyz"}


def load(bundle: Bundle, threads: int, device: str) -> ToyEngine:
    """Load a bundle's file."""
    content = zlib.decompress(bundle.contents["model.onnx.zlib"])
    engine = onnxruntime.load(replace(bundle, contents={"model.onnx": content}), threads, device)
    engine.__class__ = ToyEngine
    return engine
