"""A network with known weights, in each format: it marks what is bright. See models/make.py for what it computes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edgebrain.bundle import CLASSES, Bundle, write_bundle

MODELS = Path(__file__).parent / "models"
SIDE = 16
FLOAT_PORTS = {
    "tflite": ("serving_default_slice_:0", "PartitionedCall:1", "PartitionedCall:0"),
    "openvino": ("slice", "mask", "class"),
    "onnx": ("slice", "mask", "class"),
}


def tiny_bundle(folder: Path, fmt: str = "tflite", precision: str = "float32", **changes: Any) -> Bundle:
    """A bundle of the tiny network. changes: manifest keys to replace."""
    contents = {"tflite": _tflite, "openvino": _openvino, "onnx": _onnx}[fmt](precision)
    return write_bundle(folder, {**tiny_manifest(fmt, precision, folder.name), **changes}, contents)


def tiny_manifest(fmt: str, precision: str, name: str) -> dict[str, Any]:
    ports = _tflite_ports(precision) if fmt == "tflite" else _ports(*FLOAT_PORTS[fmt])
    return {
        "name": name,
        "format": fmt,
        "precision": precision,
        "model": {},
        "input": ports[0],
        "outputs": {"mask": ports[1], "class": ports[2]},
        "postprocess": {"threshold": 0.5, "classes": list(CLASSES)},
        "parameters": 34,
        "macs": 2560,
        "int8_mac_share": 1.0 if precision == "int8" else 0.0,
        "kept_float": [],
        "lineage": {"parent": None},
    }


def _port(
    tensor: str, shape: tuple[int, ...], dtype: str = "float32", scale: float = 1.0, zero: int = 0
) -> dict[str, Any]:
    return {"tensor": tensor, "shape": list(shape), "dtype": dtype, "scale": scale, "zero_point": zero}


def _ports(slice_: str, mask: str, klass: str) -> list[dict[str, Any]]:
    return [_port(slice_, (1, SIDE, SIDE, 1)), _port(mask, (1, SIDE, SIDE, 1)), _port(klass, (1, 4))]


def _tflite_ports(precision: str) -> list[dict[str, Any]]:
    if precision != "int8":
        return _ports(*FLOAT_PORTS["tflite"])
    names = FLOAT_PORTS["tflite"]
    shapes = ((1, SIDE, SIDE, 1), (1, SIDE, SIDE, 1), (1, 4))
    return [
        _port(name, shape, "int8", scale, -128)
        for name, shape, scale in zip(names, shapes, (1 / 255, 1 / 256, 1 / 256), strict=True)
    ]


def _tflite(precision: str) -> dict[str, bytes]:
    return {"model.tflite": (MODELS / f"tiny_{precision}.tflite").read_bytes()}


def _openvino(precision: str) -> dict[str, bytes]:
    import tempfile

    import openvino
    from openvino import opset13 as op

    kernel = np.full((1, 1, 3, 3), 1 / 9, np.float32)
    slice_ = op.parameter([1, SIDE, SIDE, 1], np.float32, name="slice")
    mean = op.convolution(op.transpose(slice_, [0, 3, 1, 2]), kernel, [1, 1], [1, 1], [1, 1], [1, 1])
    mask = op.transpose(op.sigmoid(op.add(op.multiply(mean, np.float32(24)), np.float32(-12))), [0, 2, 3, 1])
    brightness = op.reduce_mean(mean, [2, 3], False)
    scores = op.add(op.matmul(brightness, np.float32([[-8, -3, 3, 8]]), False, False), np.float32([2, 1, -1, -4]))
    model = openvino.Model([mask, op.softmax(scores, 1)], [slice_], "tiny")
    for port, name in zip([*model.inputs, *model.outputs], FLOAT_PORTS["openvino"], strict=True):
        port.tensor.set_names({name})
    with tempfile.TemporaryDirectory() as folder:
        openvino.save_model(model, f"{folder}/model.xml", compress_to_fp16=precision == "float16")
        return {name: Path(folder, name).read_bytes() for name in ("model.xml", "model.bin")}


def _onnx(precision: str) -> dict[str, bytes]:
    from onnx import TensorProto, checker, helper, numpy_helper

    constants = {
        "kernel": np.full((1, 1, 3, 3), 1 / 9, np.float32),
        "gain": np.float32(24),
        "shift": np.float32(-12),
        "matrix": np.float32([[-8, -3, 3, 8]]),
        "bias": np.float32([2, 1, -1, -4]),
        "plane": np.int64([2, 3]),
    }
    nodes = [
        helper.make_node("Transpose", ["slice"], ["nchw"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["nchw", "kernel"], ["mean"], pads=[1, 1, 1, 1]),
        helper.make_node("Mul", ["mean", "gain"], ["gained"]),
        helper.make_node("Add", ["gained", "shift"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["probability"]),
        helper.make_node("Transpose", ["probability"], ["mask"], perm=[0, 2, 3, 1]),
        helper.make_node("ReduceMean", ["mean", "plane"], ["brightness"], keepdims=0),
        helper.make_node("Gemm", ["brightness", "matrix", "bias"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["class"], axis=1),
    ]
    borders = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("slice", (1, SIDE, SIDE, 1)), ("mask", (1, SIDE, SIDE, 1)), ("class", (1, 4)))
    ]
    # The class comes first in the file: outputs are found by name, never by order.
    graph = helper.make_graph(
        nodes,
        "tiny",
        borders[:1],
        [borders[2], borders[1]],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    checker.check_model(model)
    return {"model.onnx": model.SerializeToString()}
