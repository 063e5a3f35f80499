"""Details of the operators of a .tflite file on which a device's compiler decides, beyond kind, version and types."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgebrain.errors import BadBundle
from edgebrain.graph.operator import Operator
from edgebrain.graph.tflite import TYPES, operators, schema

ACTIVATIONS: dict[int, str] = {
    code: name for name, code in vars(schema.ActivationFunctionType).items() if isinstance(code, int)
}


@dataclass(frozen=True)
class Detail:
    """One operator.

    Attributes:
        operator: Its kind, version, types and multiply-adds.
        types: Of the tensors that it computes on and of its outputs, without constants.
        shapes: Of the same tensors.
        dynamic: Whether one of these shapes has a free side.
        activation: The activation fused into it, NONE where there is none.
        dilation: (height, width).
        axes: Axes of a reduction, counted from 0.
        constants: How many of its inputs are stored in the file.
        stored_bytes: Size of these inputs.
    """

    operator: Operator
    types: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    dynamic: bool
    activation: str
    dilation: tuple[int, int]
    axes: tuple[int, ...]
    constants: int
    stored_bytes: int


def details(content: bytes) -> list[Detail]:
    """The operators of a model in the order of computation, each with its details.

    Args:
        content: The whole file.

    Raises:
        BadBundle: Not a TFLite model, or one that is damaged.
    """
    found = operators(content)
    try:
        model = schema.ModelT.InitFromPackedBuf(content, 0)
        entries = [(graph, entry) for graph in model.subgraphs for entry in graph.operators]
        return [_detail(model, graph, entry, one) for (graph, entry), one in zip(entries, found, strict=True)]
    except (struct.error, IndexError, KeyError, TypeError, ValueError, AttributeError) as problem:
        raise BadBundle(f"the TFLite model is damaged ({problem})", "export the model again") from problem


def _detail(model: Any, graph: Any, entry: Any, operator: Operator) -> Detail:
    given = [graph.tensors[index] for index in entry.inputs if index >= 0]
    stored = [tensor for tensor in given if _content(model, tensor)]
    # By identity: equal tensors are different ones.
    moving = [tensor for tensor in given if all(tensor is not one for one in stored)]
    moving += [graph.tensors[index] for index in entry.outputs]
    options = entry.builtinOptions
    return Detail(
        operator=operator,
        types=tuple(TYPES[tensor.type] for tensor in moving),
        shapes=tuple(tuple(int(side) for side in tensor.shape) for tensor in moving),
        dynamic=any(_is_free(tensor) for tensor in moving),
        activation=ACTIVATIONS[getattr(options, "fusedActivationFunction", 0)],
        dilation=(int(getattr(options, "dilationHFactor", 1)), int(getattr(options, "dilationWFactor", 1))),
        axes=_axes(model, given, operator.kind),
        constants=len(stored),
        stored_bytes=sum(len(_content(model, tensor)) for tensor in stored),
    )


def _content(model: Any, tensor: Any) -> bytes:
    """The bytes of a tensor that is stored in the file; empty for one that is computed."""
    data = model.buffers[tensor.buffer].data
    return b"" if data is None else bytes(data)


def _is_free(tensor: Any) -> bool:
    signature = tensor.shapeSignature
    return signature is not None and any(int(side) < 0 for side in signature)


def _axes(model: Any, given: list[Any], kind: str) -> tuple[int, ...]:
    """Axes of a reduction: its second input, int32."""
    if kind not in ("MEAN", "REDUCE_MAX", "REDUCE_MIN", "SUM") or len(given) < 2:
        return ()
    axes = np.frombuffer(_content(model, given[1]), np.int32).tolist()
    return tuple(sorted(axis % len(given[0].shape) for axis in axes))
