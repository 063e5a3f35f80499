from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgebrain.errors import BadBundle
from edgebrain.graph import Operator, int8_mac_share
from edgebrain.graph.onnx import operators

SIDE = 16


class Network:
    """An ONNX graph that grows by one node at a time."""

    def __init__(self, shape: tuple[int, ...] = (1, 4, SIDE, SIDE)) -> None:
        self.nodes: list[Any] = []
        self.stored: list[Any] = []
        self.given = helper.make_tensor_value_info("slice", TensorProto.FLOAT, shape)

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"{kind}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=f"n_{name}", **attributes))
        return name

    def store(self, values: Any) -> str:
        name = f"stored{len(self.stored)}"
        self.stored.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def quantized(self, tensor: str, dtype: Any = np.uint8) -> str:
        """QuantizeLinear and DequantizeLinear."""
        ends = (self.store(np.float32(0.01)), self.store(dtype(0)))
        return self.add("DequantizeLinear", self.add("QuantizeLinear", tensor, *ends), *ends)

    def weights(self, shape: tuple[int, ...], stored: str = "int8") -> str:
        values = np.random.default_rng(0).integers(-100, 100, shape)
        if stored != "int8":
            return self.store((values / 100).astype(stored))
        ends = (self.store(np.float32(0.01)), self.store(np.int8(0)))
        return self.add("DequantizeLinear", self.store(values.astype(np.int8)), *ends)

    def written(self, output: str) -> bytes:
        rank = len(self.given.type.tensor_type.shape.dim)
        made = helper.make_tensor_value_info(output, TensorProto.FLOAT, [None] * rank)
        graph = helper.make_graph(self.nodes, "test", [self.given], [made], self.stored)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        return bytes(model.SerializeToString())

    def read(self, output: str) -> list[Operator]:
        return operators(self.written(output))


def weighted(found: list[Operator]) -> Operator:
    (one,) = [operator for operator in found if operator.macs]
    return one


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_dequantized_activation_and_weights_are_an_integer_multiply(dtype: Any) -> None:
    net = Network()
    one = weighted(net.read(net.add("Conv", net.quantized("slice", dtype), net.weights((8, 4, 3, 3)), pads=[1] * 4)))
    assert (one.kind, one.inputs, one.weight, one.int8, one.version) == ("Conv", (dtype.__name__,), "int8", True, 18)
    assert one.macs == SIDE * SIDE * 8 * 4 * 9


def test_half_of_the_pair_is_not_enough() -> None:
    net = Network()
    assert not weighted(net.read(net.add("Conv", "slice", net.weights((8, 4, 3, 3))))).int8
    net = Network()
    assert not weighted(net.read(net.add("Conv", net.quantized("slice"), net.weights((8, 4, 3, 3), "float32")))).int8


def test_a_float_model_has_no_integer_multiply_and_half_precision_is_seen_behind_its_cast() -> None:
    net = Network()
    found = net.read(net.add("Conv", "slice", net.weights((8, 4, 3, 3), "float32")))
    assert int8_mac_share(found) == 0.0 and weighted(found).weight == "float32"
    net = Network()
    half = net.add("Cast", net.weights((8, 4, 3, 3), "float16"), to=TensorProto.FLOAT)
    assert weighted(net.read(net.add("Conv", "slice", half))).weight == "float16"


@pytest.mark.parametrize(
    ("kind", "shape", "weights", "attributes", "macs"),
    [
        ("Conv", (1, 4, 16, 16), (8, 4, 3, 3), {"strides": [2, 2], "pads": [1, 1, 1, 1]}, 8 * 8 * 8 * 4 * 9),
        ("Conv", (1, 4, 16, 16), (8, 1, 3, 3), {"group": 4, "pads": [1, 1, 1, 1]}, 16 * 16 * 8 * 9),
        ("ConvTranspose", (1, 4, 8, 8), (4, 8, 2, 2), {"strides": [2, 2]}, 8 * 8 * 4 * 8 * 4),
        ("Gemm", (1, 12), (12, 7), {}, 84),
        ("Gemm", (1, 12), (7, 12), {"transB": 1}, 84),
        ("Gemm", (12, 3), (12, 7), {"transA": 1}, 3 * 12 * 7),
        ("MatMul", (2, 3, 12), (12, 7), {}, 2 * 3 * 12 * 7),
    ],
)
def test_each_kind_counts_its_multiplies(
    kind: str, shape: tuple[int, ...], weights: tuple[int, ...], attributes: dict[str, Any], macs: int
) -> None:
    net = Network(shape)
    assert weighted(net.read(net.add(kind, "slice", net.weights(weights), **attributes))).macs == macs


def test_operators_that_are_integer_by_themselves_are_recognised() -> None:
    net = Network()
    scale, zero = net.store(np.float32(0.01)), net.store(np.uint8(0))
    kernel = net.store(np.ones((8, 4, 3, 3), dtype=np.int8))
    given = net.add("QuantizeLinear", "slice", scale, zero)
    made = net.add("QLinearConv", given, scale, zero, kernel, scale, net.store(np.int8(0)), scale, zero)
    one = weighted(net.read(net.add("DequantizeLinear", made, scale, zero)))
    assert (one.kind, one.int8, one.output, one.macs) == ("QLinearConv", True, "uint8", 14 * 14 * 8 * 36)


def test_a_product_of_two_activations_needs_both_quantized() -> None:
    for count in (0, 1, 2):
        net = Network((1, 6, 6))
        ends = [net.quantized("slice") if place < count else "slice" for place in range(2)]
        one = weighted(net.read(net.add("MatMul", *ends)))
        assert (one.macs, one.weight, one.int8) == (216, "", count == 2)


def test_the_share_is_weighed_by_multiplies() -> None:
    net = Network()
    first = net.add("Conv", net.quantized("slice"), net.weights((8, 4, 3, 3)), pads=[1] * 4)
    last = net.add("Conv", net.add("Relu", first), net.weights((1, 8, 1, 1), "float32"))
    assert int8_mac_share(net.read(last)) == pytest.approx(36 / 37)


def test_a_model_without_fixed_shape_is_an_error() -> None:
    net = Network()
    net.given = helper.make_tensor_value_info("slice", TensorProto.FLOAT, ("batch", 4, SIDE, SIDE))
    with pytest.raises(BadBundle, match="no fixed shape"):
        net.read(net.add("Conv", "slice", net.weights((8, 4, 3, 3))))


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08"])
def test_bytes_that_are_no_model_are_an_error(content: bytes) -> None:
    with pytest.raises(BadBundle, match="ONNX model cannot be read"):
        operators(content)


def test_impossible_shapes_are_an_error() -> None:
    net = Network((1, 12))
    with pytest.raises(BadBundle, match="ONNX model cannot be read"):
        net.read(net.add("MatMul", "slice", net.weights((11, 7))))


def test_the_runtime_fuses_into_integer_kernels_the_convolutions_that_are_said_to_be_int8(tmp_path: Path) -> None:
    net = Network()
    first = net.quantized(net.add("Conv", net.quantized("slice"), net.weights((8, 4, 3, 3)), pads=[1] * 4))
    last = net.add("Conv", net.add("Relu", first), net.weights((1, 8, 1, 1), "float32"))
    content = net.written(last)
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "fused.onnx")
    onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    fused = [node.op_type for node in onnx.load(tmp_path / "fused.onnx").graph.node]
    assert [one.int8 for one in operators(content) if one.macs] == [True, False]
    assert sum("QLinearConv" in kind for kind in fused) == 1
