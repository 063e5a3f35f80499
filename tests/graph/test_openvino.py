from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

from edgebrain.errors import BadBundle
from edgebrain.graph import Operator, int8_mac_share
from edgebrain.graph.openvino import operators

SIDE = 16
CONV_MACS = SIDE * SIDE * 8 * 4 * 9
UP_MACS = 8 * 8 * 4 * 8 * 4
DENSE_MACS = 8 * 5


def quantized(port: Any, low: float = 0.0, levels: int = 256) -> Any:
    return ops.fake_quantize(port, *(np.float32(value) for value in (low, 1.0, low, 1.0)), levels)


def weights(shape: tuple[int, ...], stored: str) -> Any:
    """Weights as int8 with their unpacking, or plain."""
    values = np.random.default_rng(0).integers(-100, 100, shape)
    if stored != "int8":
        return ops.constant(values.astype(stored) / 100)
    unpacked = ops.convert(ops.constant(values.astype(np.int8)), "f32")
    return ops.multiply(unpacked, ops.constant(np.full((1,) * len(shape), 0.01, dtype=np.float32)))


def read(tmp_path: Path, output: Any, *inputs: Any) -> list[Operator]:
    ov.save_model(ov.Model([output], list(inputs), "test"), tmp_path / "m.xml", compress_to_fp16=False)
    return operators((tmp_path / "m.xml").read_bytes(), (tmp_path / "m.bin").read_bytes())


def given(channels: int = 4, side: int = SIDE) -> Any:
    return ops.parameter([1, channels, side, side], np.float32, name="slice")


def convolution(port: Any, stored: str = "int8") -> Any:
    return ops.convolution(port, weights((8, 4, 3, 3), stored), [1, 1], [1, 1], [1, 1], [1, 1])


def weighted(found: list[Operator]) -> Operator:
    (one,) = [operator for operator in found if operator.macs]
    return one


def test_a_float_model_has_no_integer_multiply(tmp_path: Path) -> None:
    slice_ = given()
    one = weighted(read(tmp_path, convolution(slice_, "float32"), slice_))
    assert (one.kind, one.macs, one.inputs, one.weight, one.int8) == (
        "Convolution", CONV_MACS, ("float32",), "float32", False,
    )  # fmt: skip


@pytest.mark.parametrize(("low", "dtype"), [(0.0, "uint8"), (-1.0, "int8")])
def test_integer_weights_behind_a_quantized_activation_are_an_integer_multiply(
    tmp_path: Path, low: float, dtype: str
) -> None:
    slice_ = given()
    one = weighted(read(tmp_path, convolution(quantized(slice_, low)), slice_))
    assert (one.inputs, one.weight, one.int8, one.macs) == ((dtype,), "int8", True, CONV_MACS)


def test_half_of_the_pair_is_not_enough(tmp_path: Path) -> None:
    slice_ = given()
    assert not weighted(read(tmp_path, convolution(slice_), slice_)).int8
    assert not weighted(read(tmp_path, convolution(quantized(slice_), "float32"), slice_)).int8
    assert not weighted(read(tmp_path, convolution(quantized(slice_, levels=65536)), slice_)).int8


def test_quantization_is_seen_through_pooling_and_concatenation(tmp_path: Path) -> None:
    slice_ = given(2, 2 * SIDE)
    pooled = ops.max_pool(quantized(slice_), [2, 2], [1, 1], [0, 0], [0, 0], [2, 2], "floor").output(0)
    half = ops.relu(pooled)
    assert weighted(read(tmp_path, convolution(ops.concat([pooled, quantized(half)], 1)), slice_)).int8
    assert not weighted(read(tmp_path, convolution(ops.concat([pooled, half], 1)), slice_)).int8


def test_transposed_and_dense_layers_count_their_multiplies(tmp_path: Path) -> None:
    slice_ = given(4, 8)
    up = ops.convolution_backprop_data(quantized(slice_), weights((4, 8, 2, 2), "int8"), [2, 2])
    assert weighted(read(tmp_path, up, slice_)).macs == UP_MACS
    row = ops.parameter([1, 8], np.float32, name="row")
    for turned, shape in ((False, (8, 5)), (True, (5, 8))):
        dense = ops.matmul(quantized(row), weights(shape, "int8"), False, turned)
        one = weighted(read(tmp_path, dense, row))
        assert (one.macs, one.int8) == (DENSE_MACS, True)


def test_a_product_of_two_activations_needs_both_quantized(tmp_path: Path) -> None:
    a, b = (ops.parameter([1, 6, 6], np.float32, name=name) for name in "ab")
    both = weighted(read(tmp_path, ops.matmul(quantized(a), quantized(b), False, False), a, b))
    assert (both.macs, both.weight, both.int8) == (216, "", True)
    assert not weighted(read(tmp_path, ops.matmul(quantized(a), b, False, False), a, b)).int8


def test_the_share_is_weighed_by_multiplies(tmp_path: Path) -> None:
    slice_ = given()
    first = ops.relu(convolution(quantized(slice_)))
    second = ops.convolution(first, weights((1, 8, 1, 1), "float32"), [1, 1], [0, 0], [0, 0], [1, 1])
    share = int8_mac_share(read(tmp_path, second, slice_))
    assert share == pytest.approx(CONV_MACS / (CONV_MACS + SIDE * SIDE * 8))


def test_the_processor_runs_in_integers_what_the_file_says(tmp_path: Path) -> None:
    slice_ = given()
    first = ops.relu(convolution(quantized(slice_)))
    second = ops.convolution(first, weights((1, 8, 1, 1), "float32"), [1, 1], [0, 0], [0, 0], [1, 1])
    found = [one for one in read(tmp_path, second, slice_) if one.macs]
    compiled = ov.Core().compile_model(tmp_path / "m.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    ran = [node.get_rt_info() for node in compiled.get_runtime_model().get_ordered_ops()]
    kernels = [str(info["primitiveType"].astype(str)) for info in ran if info["layerType"].astype(str) == "Convolution"]
    assert [one.int8 for one in found] == [kernel.endswith("I8") for kernel in kernels] == [True, False]


@pytest.mark.parametrize("xml", [b"", b"<net", b"\x00\x01"])
def test_bytes_that_are_no_model_are_an_error(xml: bytes) -> None:
    with pytest.raises(BadBundle, match="OpenVINO model cannot be read"):
        operators(xml, b"")
