"""The operators of a .tflite file, read with the schema that ships with the interpreter; no TensorFlow."""

from __future__ import annotations

import struct
from math import prod
from typing import Any

from edgebrain.errors import BadBundle
from edgebrain.graph.operator import Operator
from edgebrain.libraries import importing

with importing("ai-edge-litert", "edge", "reading TFLite files"):
    from ai_edge_litert import schema_py_generated as schema

__all__ = ["TYPES", "operators", "schema"]

IDENTIFIER = b"TFL3"
# Place of activation and weights among an operator's inputs.
WEIGHTED = {
    "CONV_2D": (0, 1),
    "DEPTHWISE_CONV_2D": (0, 1),
    "FULLY_CONNECTED": (0, 1),
    "TRANSPOSE_CONV": (2, 1),
    "BATCH_MATMUL": (0, 1),
}
# Operator -> kind of layer in a network's spec.
LAYER_KINDS = {"CONV_2D": "conv", "TRANSPOSE_CONV": "up", "FULLY_CONNECTED": "dense"}
KINDS: dict[int, str] = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
TYPES: dict[int, str] = {code: name.lower() for name, code in vars(schema.TensorType).items() if isinstance(code, int)}


def operators(content: bytes) -> list[Operator]:
    """Every operator of a model, in the order of computation; each with its version, which decides what a device maps.

    Args:
        content: The whole file.

    Raises:
        BadBundle: Not a TFLite model, or one that is damaged.
    """
    if content[4:8] != IDENTIFIER:
        raise BadBundle("the file is not a TFLite model (no TFL3 mark)", "export the model again")
    try:
        model = schema.ModelT.InitFromPackedBuf(content, 0)
        return [_operator(model, graph, entry) for graph in model.subgraphs for entry in graph.operators]
    except (struct.error, IndexError, KeyError, TypeError, ValueError, AttributeError) as problem:
        raise BadBundle(f"the TFLite model is damaged ({problem})", "export the model again") from problem


def _operator(model: Any, graph: Any, entry: Any) -> Operator:
    code = model.operatorCodes[entry.opcodeIndex]
    # Codes above 126 are in the newer field only, and older writers fill the older field only.
    kind = KINDS[max(code.builtinCode, code.deprecatedBuiltinCode)]
    if kind == "CUSTOM":
        kind = code.customCode.decode()
    given = [graph.tensors[index] for index in entry.inputs if index >= 0]
    made = graph.tensors[entry.outputs[0]]
    activation, weight = _ends(graph, entry, kind)
    inputs = (activation,) if activation is not None else given[:1]
    return Operator(
        name=made.name.decode(),
        kind=kind,
        version=int(code.version),
        inputs=tuple(TYPES[tensor.type] for tensor in inputs),
        weight="" if weight is None else _stored_type(graph, weight),
        output=TYPES[made.type],
        macs=0 if weight is None else _macs(kind, activation, weight, made),
        layer_kind=LAYER_KINDS.get(kind, ""),
    )


def _ends(graph: Any, entry: Any, kind: str) -> tuple[Any, Any]:
    """The tensors of activation and weights, or None and None for an operator without weights."""
    if kind not in WEIGHTED:
        return None, None
    activation, weight = (graph.tensors[entry.inputs[index]] for index in WEIGHTED[kind])
    return activation, weight


def _stored_type(graph: Any, weight: Any) -> str:
    """The type in which weights lie in the file: half-precision ones pass a DEQUANTIZE on their way."""
    for entry in graph.operators:
        if graph.tensors[entry.outputs[0]] is weight and len(entry.inputs) == 1:
            return TYPES[graph.tensors[entry.inputs[0]].type]
    return TYPES[weight.type]


def _macs(kind: str, activation: Any, weight: Any, made: Any) -> int:
    """Multiply-adds of one run. Layouts: activations NHWC; weights OHWI, depthwise 1HWO, dense (out, in)."""
    weights, given, out = (_shape(tensor) for tensor in (weight, activation, made))
    if kind == "TRANSPOSE_CONV":
        return prod(given[:-1]) * prod(weights)
    if kind == "BATCH_MATMUL":
        return prod(out) * given[-1]
    if kind == "FULLY_CONNECTED":
        return prod(given) * weights[0]
    return prod(out[:-1]) * prod(weights)


def _shape(tensor: Any) -> list[int]:
    return [int(side) for side in tensor.shape]
