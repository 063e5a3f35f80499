"""Read what was written: operators with their types and multiply-adds, from which the int8 share is counted."""

from __future__ import annotations

import zlib

from edgebrain.errors import BadBundle
from edgebrain.graph import Operator
from edgebrain.graph import onnx as graph


def operators(content: bytes) -> list[Operator]:
    """Every operator of a model, in the order of computation."""
    try:
        return graph.operators(zlib.decompress(content))
    except zlib.error as problem:
        raise BadBundle(f"the model cannot be unpacked ({problem})", "export the model again") from problem
