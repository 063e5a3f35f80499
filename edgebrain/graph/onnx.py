"""The operators of an ONNX file.

Quantized operators are in QDQ form: a float operator between DequantizeLinear and QuantizeLinear, which a runtime fuses
where it has an integer kernel; or operators of their own (QLinearConv, MatMulInteger).
ONNX has no integer ConvTranspose, so one between conversions is counted as the float operator that it is (4 % of the
U-Net's multiplies); ONNX Runtime 1.31 on a CPU fuses every Conv and Gemm that is counted as int8 here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from edgebrain.errors import BadBundle
from edgebrain.graph.operator import Operator
from edgebrain.libraries import importing

with importing("onnx", "onnx", "reading ONNX files"):
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

# Place of activation and weights among an operator's inputs.
WEIGHTED = {
    "Conv": (0, 1),
    "ConvTranspose": (0, 1),
    "Gemm": (0, 1),
    "MatMul": (0, 1),
    "ConvInteger": (0, 1),
    "MatMulInteger": (0, 1),
    "QLinearConv": (0, 3),
    "QLinearMatMul": (0, 3),
}
# Operator -> kind of layer in a network's spec.
LAYER_KINDS = {"Conv": "conv", "ConvTranspose": "up", "Gemm": "dense"}
# Operators without an integer form in any version of ONNX: their quantized inputs are dequantized and then multiplied.
FLOAT_ONLY = ("ConvTranspose",)
# These pass values on unchanged; half-precision models put a Cast before float weights.
UNPACKS = ("Cast", "Identity", "Transpose", "Reshape")


@dataclass(frozen=True)
class _Graph:
    """makers: tensor -> its node. shapes, types: tensor -> what inference found. stored: initializers by name."""

    makers: Mapping[str, Any]
    shapes: Mapping[str, tuple[int, ...]]
    types: Mapping[str, str]
    stored: Mapping[str, Any]


def operators(content: bytes) -> list[Operator]:
    """Every operator of a model, in the order of computation.

    Args:
        content: The whole file; weights inside, shapes fixed.

    Raises:
        BadBundle: Not an ONNX model, one with impossible shapes, or one whose shapes are not fixed.
    """
    try:
        model = onnx.load_model_from_string(content)
        onnx.checker.check_model(model)
        graph = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True).graph
    except (DecodeError, ValueError, onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as problem:
        reason = (str(problem).strip() or "empty").splitlines()[0]
        raise BadBundle(f"the ONNX model cannot be read ({reason})", "export the model again") from problem
    versions = {entry.domain: entry.version for entry in model.opset_import}
    known = _known(graph)
    return [_operator(known, node, versions.get(node.domain, 0)) for node in graph.node]


def _known(graph: Any) -> _Graph:
    values = [*graph.input, *graph.output, *graph.value_info]
    stored = {tensor.name: tensor for tensor in graph.initializer}
    shapes = {value.name: tuple(side.dim_value for side in value.type.tensor_type.shape.dim) for value in values} | {
        name: tuple(tensor.dims) for name, tensor in stored.items()
    }
    types = {value.name: _dtype(value.type.tensor_type.elem_type) for value in values}
    types |= {name: _dtype(tensor.data_type) for name, tensor in stored.items()}
    return _Graph({name: node for node in graph.node for name in node.output}, shapes, types, stored)


def _operator(graph: _Graph, node: Any, version: int) -> Operator:
    weighted = node.op_type in WEIGHTED
    activation, weight = (node.input[index] for index in WEIGHTED.get(node.op_type, (0, 0))) if node.input else ("", "")
    stored = weighted and _source(graph, weight) in graph.stored
    # A product of two activations (attention) has no weights; both must then be quantized.
    activations = [activation, weight] if weighted and not stored else [activation]
    read = _declared_type if node.op_type in FLOAT_ONLY else _quantized_type
    return Operator(
        name=node.name or node.output[0],
        kind=node.op_type,
        version=int(version),
        inputs=tuple(read(graph, name) for name in activations if name),
        weight=graph.types[_source(graph, weight)] if stored else "",
        output=graph.types.get(node.output[0], ""),
        macs=_macs(graph, node, activation, weight) if weighted else 0,
        layer_kind=LAYER_KINDS.get(node.op_type, ""),
    )


def _declared_type(graph: _Graph, name: str) -> str:
    """The type that the file declares for an operator's input."""
    return graph.types.get(name, "")


def _quantized_type(graph: _Graph, name: str) -> str:
    """The integer type behind a DequantizeLinear, or the tensor's own."""
    maker = graph.makers.get(name)
    if maker is not None and maker.op_type == "DequantizeLinear":
        name = maker.input[0]
    return graph.types.get(name, "")


def _source(graph: _Graph, name: str) -> str:
    """The tensor that weights are stored in, past what unpacks them."""
    while name in graph.makers and graph.makers[name].op_type in (*UNPACKS, "DequantizeLinear"):
        name = graph.makers[name].input[0]
    return name


def _macs(graph: _Graph, node: Any, activation: str, weight: str) -> int:
    """Multiply-adds of one run. Layouts: activations NCHW; weights OIHW, transposed IOHW."""
    given, weights, out = (graph.shapes[name] for name in (activation, weight, node.output[0]))
    if not all((*given, *weights, *out)):
        raise BadBundle(f"the ONNX model's {node.name or node.output[0]} has no fixed shape", "export it with batch 1")
    if node.op_type == "ConvTranspose":
        return given[0] * prod(given[2:]) * prod(weights)
    if "Conv" in node.op_type:
        return out[0] * prod(out[2:]) * prod(weights)
    turned = any(attribute.name == "transA" and attribute.i for attribute in node.attribute)
    return prod(out) * (given[-2] if turned else given[-1])


def _dtype(code: int) -> str:
    """NumPy's name of an ONNX element type: FLOAT is float32."""
    name = str(onnx.TensorProto.DataType.Name(code)).lower()
    return {"float": "float32", "double": "float64"}.get(name, name)
