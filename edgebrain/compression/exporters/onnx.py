"""SavedModel -> ONNX by tf2onnx; int8 by ONNX Runtime in QDQ form."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from edgebrain.bundle import ROLES, Port
from edgebrain.capture_output import quiet
from edgebrain.compression.calibration import Calibration
from edgebrain.compression.exporters import RANKS, Exported
from edgebrain.compression.saved_model import INPUT, signature_of
from edgebrain.graph import Operator
from edgebrain.graph import onnx as graph
from edgebrain.libraries import importing

with importing("onnx and onnxruntime", "onnx", "exporting ONNX"):
    import onnx
    from onnxruntime import quantization

OPSET = 18


def export(saved_model: Path, side: int, precision: str, calibration: Calibration | None) -> Exported:
    """A .onnx file; int8 has per-channel int8 weights, uint8 activations, and uint8 input and output.

    Unsigned activations: ONNX Runtime fuses few convolutions into integer kernels with signed ones on x86-64.
    """
    scales: dict[str, tuple[float, int]] = {}
    with quiet():
        model = _float_model(saved_model, side)
        if precision == "float16":
            model = _half(model)
        if calibration is not None:
            model = _quantized(model, calibration)
            scales = _eight_bit_border(model)
    content = model.SerializeToString(deterministic=True)
    ports = {value.name: _port(value, scales) for value in [*model.graph.input, *model.graph.output]}
    outputs = {role: ports[_output_name(model, role)] for role in ROLES}
    given = ports[model.graph.input[0].name]
    contents = {"model.onnx": content}
    return Exported(contents, given, outputs, operators(contents))


def operators(contents: Mapping[str, bytes]) -> tuple[Operator, ...]:
    """The operators of a written model. Raises BadBundle."""
    return tuple(graph.operators(contents["model.onnx"]))


def _float_model(saved_model: Path, side: int) -> Any:
    with importing("tf2onnx", "compress", "exporting ONNX"):
        import tf2onnx
    # A fixed TensorSpec: Keras' own ONNX export leaves the batch dynamic.
    signature = [tf.TensorSpec((1, side, side, 1), tf.float32, name=INPUT)]
    model, _ = tf2onnx.convert.from_function(signature_of(saved_model), signature, opset=OPSET)
    return _numbered_by_place(model)


def _numbered_by_place(model: Any) -> Any:
    """Equal inputs give equal bytes: tf2onnx numbers names by a counter of the process."""
    new: dict[str, str] = {}
    for node in model.graph.node:
        for name in (*node.input, *node.output, node.name):
            if re.search(r"__\d+", name) and name not in new:
                new[name] = re.sub(r"__\d+", f"__{len(new)}", name)
    for node in model.graph.node:
        node.name = new.get(node.name, node.name)
        node.input[:] = [new.get(name, name) for name in node.input]
        node.output[:] = [new.get(name, name) for name in node.output]
    for value in (*model.graph.initializer, *model.graph.value_info, *model.graph.output):
        value.name = new.get(value.name, value.name)
    for values in (model.graph.initializer, model.graph.value_info):
        ordered = sorted(values, key=lambda value: value.name)
        del values[:]
        values.extend(ordered)
    return model


def _half(model: Any) -> Any:
    from onnxruntime.transformers.float16 import convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    model = convert_float_to_float16(model, keep_io_types=True)
    # The converter appends the casts at the border, and a graph must be in the order of computation.
    OnnxModel.graph_topological_sort(model.graph, is_deterministic=True)
    return model


class _Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
    """Hands calibration images to ONNX Runtime's observers."""

    def __init__(self, calibration: Calibration, name: str) -> None:
        self._tensors, self._name = calibration.tensors(), name

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next image, or None at the end."""
        tensor = next(self._tensors, None)
        return None if tensor is None else {self._name: tensor}


def _quantized(model: Any, calibration: Calibration) -> Any:
    with tempfile.TemporaryDirectory(prefix="edgebrain-") as folder:
        source, clean, target = (str(Path(folder, name)) for name in ("float.onnx", "clean.onnx", "int8.onnx"))
        onnx.save(model, source)
        quantization.shape_inference.quant_pre_process(source, clean)
        quantization.quantize_static(
            clean,
            target,
            _Reader(calibration, model.graph.input[0].name),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            calibrate_method=quantization.CalibrationMethod.MinMax,
        )
        return onnx.load(target)


def _eight_bit_border(model: Any) -> dict[str, tuple[float, int]]:
    """Drop the quantizer behind the input and the dequantizers before the outputs: uint8 in and out.

    Returns border tensor -> (scale, zero point).
    """
    graph_ = model.graph
    constants = {c.name: onnx.numpy_helper.to_array(c) for c in graph_.initializer}
    given = graph_.input[0]
    moved, first = _first_quantizer(graph_, given.name)
    scales = {given.name: _scale(first, constants)}
    given.type.tensor_type.elem_type = onnx.TensorProto.UINT8
    for node in graph_.node:
        for place, name in enumerate(node.input):
            if name == first.output[0]:
                node.input[place] = first.input[0]
    graph_.node.remove(first)
    # Their noted types are float; the checker infers them afresh.
    for value in [value for value in graph_.value_info if value.name in moved]:
        graph_.value_info.remove(value)
    for output in graph_.output:
        last = next(node for node in graph_.node if output.name in node.output)
        assert last.op_type == "DequantizeLinear", f"{last.op_type} gives the output {output.name}"
        graph_.node.remove(last)
        output.name = last.input[0]
        output.type.tensor_type.elem_type = onnx.TensorProto.UINT8
        scales[output.name] = _scale(last, constants)
    onnx.checker.check_model(model, full_check=True)
    return scales


def _scale(quantizer: Any, constants: dict[str, np.ndarray]) -> tuple[float, int]:
    return float(constants[quantizer.input[1]]), int(constants[quantizer.input[2]])


def _first_quantizer(graph_: Any, name: str) -> tuple[set[str], Any]:
    """The quantizer behind the input, and the tensors on the way to it, which only move values about."""
    moved: set[str] = set()
    while True:
        (node,) = (node for node in graph_.node if name in node.input)
        if node.op_type == "QuantizeLinear":
            return moved, node
        assert node.op_type in ("Reshape", "Transpose"), f"{node.op_type} stands before the first quantizer"
        name = node.output[0]
        moved.add(name)


def _output_name(model: Any, role: str) -> str:
    return next(o.name for o in model.graph.output if len(o.type.tensor_type.shape.dim) == RANKS[role])


def _port(value: Any, scales: dict[str, tuple[float, int]]) -> Port:
    tensor = value.type.tensor_type
    shape = tuple(int(side.dim_value) for side in tensor.shape.dim)
    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)).name
    return Port(value.name, shape, dtype, *scales.get(value.name, (1.0, 0)))
