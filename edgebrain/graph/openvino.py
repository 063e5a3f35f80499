"""The operators of an OpenVINO IR (.xml and .bin).

The IR writes quantization as FakeQuantize in front of an operator that still has float inputs; the plugin turns the
pair into an integer kernel where the weights are stored as 8-bit integers too. An operator counts as int8 where both
hold.
"""

from __future__ import annotations

import re
from math import prod
from typing import Any

import numpy as np

from edgebrain.errors import BadBundle
from edgebrain.graph.operator import EIGHT_BIT, Operator
from edgebrain.libraries import importing

with importing("openvino", "openvino", "reading OpenVINO files"):
    import openvino

WEIGHTED = ("Convolution", "GroupConvolution", "ConvolutionBackpropData", "GroupConvolutionBackpropData", "MatMul")
# Operator -> kind of layer in a network's spec.
LAYER_KINDS = {"Convolution": "conv", "ConvolutionBackpropData": "up", "MatMul": "dense"}
NOT_COMPUTED = ("Constant", "Parameter", "Result")
# A plugin moves the dequantization behind these, so that what follows still gets integers.
MOVES_ONLY = ("MaxPool", "Concat", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Split", "VariadicSplit")
# Between stored integer weights and the operator: back to float, zero point, scale, and changes of shape.
UNPACKS = ("Convert", "Subtract", "Multiply", "Reshape", "Transpose", "Unsqueeze", "Squeeze")
LEVELS = 256


def operators(xml: bytes, weights: bytes) -> list[Operator]:
    """Every operator of a model except constants and its border, in the order of computation.

    Args:
        xml: The whole model.xml and model.bin.
        weights: The whole model.xml and model.bin.

    Raises:
        BadBundle: Not an IR that this OpenVINO reads.
    """
    return [operator(node) for node in nodes(read(xml, weights))]


def read(xml: bytes, weights: bytes) -> Any:
    """The model as `openvino.Model`. Raises BadBundle as `operators` does."""
    try:
        return openvino.Core().read_model(model=xml, weights=weights)
    except RuntimeError as problem:
        reason = str(problem).strip().splitlines()[-1]
        raise BadBundle(f"the OpenVINO model cannot be read ({reason})", "export the model again") from problem


def nodes(model: Any) -> list[Any]:
    """The nodes that `operators` describes, in its order."""
    return [node for node in model.get_ordered_ops() if node.get_type_name() not in NOT_COMPUTED]


def operator(node: Any) -> Operator:
    """Describe one of `nodes`."""
    kind = node.get_type_name()
    sources = [node.input_value(index) for index in range(node.get_input_size())]
    digits = re.search(r"\d+", node.get_type_info().version_id or "")
    weighted = kind in WEIGHTED
    # A product of two activations (attention) has no weights; both ends must then be quantized.
    stored = weighted and _is_constant(sources[1])
    activations = sources[:1] if stored or not weighted else sources[:2]
    return Operator(
        name=node.get_friendly_name(),
        kind=kind,
        version=int(digits[0]) if digits else 0,
        inputs=tuple(_activation_type(source) for source in activations),
        weight=_stored_type(sources[1]) if stored else "",
        output=_dtype(node.output(0)),
        macs=_macs(node, kind) if weighted else 0,
        layer_kind=LAYER_KINDS.get(kind, ""),
    )


def _activation_type(source: Any) -> str:
    """The 8-bit type that a FakeQuantize gives to an activation, else the type that the file declares."""
    node = source.get_node()
    kind = node.get_type_name()
    if kind == "FakeQuantize" and node.get_attributes()["levels"] <= LEVELS:
        low = node.input_value(1).get_node()
        signed = low.get_type_name() == "Constant" and bool((np.asarray(low.get_data()) < 0).any())
        return "int8" if signed else "uint8"
    if kind in MOVES_ONLY:
        # Concat has many activations, the others have one, followed by constants such as a shape.
        moved = [node.input_value(index) for index in range(node.get_input_size() if kind == "Concat" else 1)]
        types = {_activation_type(one) for one in moved}
        if types <= set(EIGHT_BIT):
            return sorted(types)[0]
    return _dtype(source)


def _is_constant(source: Any) -> bool:
    return constant_of(source) is not None


def _stored_type(source: Any) -> str:
    constant = constant_of(source)
    return _dtype(constant.output(0)) if constant is not None else _dtype(source)


def constant_of(source: Any) -> Any:
    """The constant that weights come from, past what unpacks it; None where they are computed from an input."""
    node = source.get_node()
    while node.get_type_name() in (*UNPACKS, "FakeQuantize"):
        node = node.input_value(0).get_node()
    return node if node.get_type_name() == "Constant" else None


def _macs(node: Any, kind: str) -> int:
    """Multiply-adds of one run. Layouts: activations NCHW; weights OIHW, transposed IOHW, a group axis in front."""
    given, weights, out = (
        [int(side) for side in port.get_shape()] for port in (node.input_value(0), node.input_value(1), node.output(0))
    )
    if kind == "MatMul":
        return prod(out) * (given[-2] if node.get_attributes()["transpose_a"] else given[-1])
    positions = given if "Backprop" in kind else out
    return positions[0] * prod(positions[2:]) * prod(weights)


def _dtype(port: Any) -> str:
    kind = port.get_element_type()
    try:
        return str(np.dtype(kind.to_dtype()))
    except (RuntimeError, TypeError):
        # NumPy has no 4-bit types.
        return str(kind.get_type_name())
