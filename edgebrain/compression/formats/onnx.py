"""ONNX: exported by tf2onnx, quantized by ONNX Runtime in QDQ form (a float operator between rounding operators)."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from edgebrain.bundle import ROLES, Port
from edgebrain.capture_output import capture_output
from edgebrain.compression.calibration import Calibration
from edgebrain.compression.formats import RANKS, Exported, written_operators
from edgebrain.compression.saved_model import INPUT, signature_of
from edgebrain.graph.layers import layer_operators
from edgebrain.libraries import importing
from edgebrain.model.spec import Spec

with importing("onnx and onnxruntime", "onnx", "exporting ONNX"):
    import onnx
    from onnxruntime import quantization

OPSET = 18
FILE = "model.onnx"


def export(saved_model: Path, side: int, precision: str, calibration: Calibration | None) -> Exported:
    """Write a .onnx file; int8 has per-channel int8 weights, uint8 activations, and uint8 input and outputs.

    Activations are unsigned because ONNX Runtime fuses few convolutions into integer kernels with signed ones on
    x86-64.

    Args:
        saved_model: Folder of the SavedModel.
        side: Height and width of a slice in pixels.
        precision: float32, float16 or int8.
        calibration: Images for the observers, for int8 alone.

    Raises:
        MissingExtra: tf2onnx is not installed.
    """
    scales: dict[str, tuple[float, int]] = {}
    with capture_output():
        model = _float_model(saved_model, side)
        if precision == "float16":
            model = _half_precision(model)
        if calibration is not None:
            model = _quantized(model, calibration)
            scales = _quantize_io(model)
    ports = {value.name: _port(value, scales) for value in [*model.graph.input, *model.graph.output]}
    outputs = {role: ports[_output_name(model, role)] for role in ROLES}
    contents = {FILE: model.SerializeToString(deterministic=True)}
    return Exported(contents, ports[model.graph.input[0].name], outputs, written_operators("onnx", contents))


def keep_float(int8: Exported, plain: Exported, spec: Spec, layers: Sequence[str]) -> Exported:
    """The int8 model in which some layers have the float file's weights and bias.

    Their input and output stay rounded: the quantizer has dropped the ReLU operators, because rounding to unsigned
    integers cuts off what is below zero.

    Raises:
        BadBundle: A file does not hold the layers of the spec.
    """
    model, float_model = (onnx.load_model_from_string(one.contents[FILE]) for one in (int8, plain))
    indices, float_indices = (layer_operators(one.operators, spec) for one in (int8, plain))
    stored = {tensor.name: tensor for tensor in float_model.graph.initializer}
    for layer in layers:
        node, float_node = model.graph.node[indices[layer]], float_model.graph.node[float_indices[layer]]
        for index in range(1, len(node.input)):
            constant = onnx.TensorProto()
            constant.CopyFrom(stored[float_node.input[index]])
            constant.name = f"{layer}_float_{index}"
            model.graph.initializer.append(constant)
            node.input[index] = constant.name
    _drop_unused(model.graph)
    contents = {FILE: model.SerializeToString(deterministic=True)}
    return replace(int8, contents=contents, operators=written_operators("onnx", contents))


def _float_model(saved_model: Path, side: int) -> Any:
    with importing("tf2onnx", "compress", "exporting ONNX"):
        import tf2onnx
    # A fixed TensorSpec, because Keras' own ONNX export leaves the batch dynamic.
    signature = [tf.TensorSpec((1, side, side, 1), tf.float32, name=INPUT)]
    model, _ = tf2onnx.convert.from_function(signature_of(saved_model), signature, opset=OPSET)
    return _rename_by_position(model)


def _rename_by_position(model: Any) -> Any:
    """Number generated names by their position in the graph.

    tf2onnx numbers them by a counter of the process, and equal inputs must give equal bytes.
    """
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


def _half_precision(model: Any) -> Any:
    from onnxruntime.transformers.float16 import convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    model = convert_float_to_float16(model, keep_io_types=True)
    # The converter appends the casts of inputs and outputs, and a graph must be in the order of computation.
    OnnxModel.graph_topological_sort(model.graph, is_deterministic=True)
    return model


class _CalibrationReader(quantization.CalibrationDataReader):  # type: ignore[misc]
    """Hands calibration images to ONNX Runtime's observers, which ask for one after the other."""

    def __init__(self, calibration: Calibration, name: str) -> None:
        self._tensors, self._name = calibration.tensors(), name

    def get_next(self) -> dict[str, np.ndarray] | None:
        """Input name -> the next image, (1, side, side, 1) float32 in [0, 1]; None at the end."""
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
            _CalibrationReader(calibration, model.graph.input[0].name),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            calibrate_method=quantization.CalibrationMethod.MinMax,
        )
        return onnx.load(target)


def _quantize_io(model: Any) -> dict[str, tuple[float, int]]:
    """Make input and outputs uint8: drop the quantizer behind the input and the dequantizers before the outputs.

    Returns:
        Name of input or output -> (scale, zero point).
    """
    graph = model.graph
    constants = {c.name: onnx.numpy_helper.to_array(c) for c in graph.initializer}
    given = graph.input[0]
    moved, first = _first_quantizer(graph, given.name)
    scales = {given.name: _scale(first, constants)}
    given.type.tensor_type.elem_type = onnx.TensorProto.UINT8
    for node in graph.node:
        for index, name in enumerate(node.input):
            if name == first.output[0]:
                node.input[index] = first.input[0]
    graph.node.remove(first)
    # Their noted types are float; the checker infers them afresh.
    for value in [value for value in graph.value_info if value.name in moved]:
        graph.value_info.remove(value)
    for output in graph.output:
        last = next(node for node in graph.node if output.name in node.output)
        assert last.op_type == "DequantizeLinear", f"{last.op_type} computes the output {output.name}"
        graph.node.remove(last)
        output.name = last.input[0]
        output.type.tensor_type.elem_type = onnx.TensorProto.UINT8
        scales[output.name] = _scale(last, constants)
    onnx.checker.check_model(model, full_check=True)
    return scales


def _scale(quantizer: Any, constants: dict[str, np.ndarray]) -> tuple[float, int]:
    return float(constants[quantizer.input[1]]), int(constants[quantizer.input[2]])


def _first_quantizer(graph: Any, name: str) -> tuple[set[str], Any]:
    """The quantizer behind the input, and the tensors between, made by operators that only move values about."""
    moved: set[str] = set()
    while True:
        (node,) = (node for node in graph.node if name in node.input)
        if node.op_type == "QuantizeLinear":
            return moved, node
        assert node.op_type in ("Reshape", "Transpose"), f"{node.op_type} precedes the first quantizer"
        name = node.output[0]
        moved.add(name)


def _output_name(model: Any, role: str) -> str:
    return next(o.name for o in model.graph.output if len(o.type.tensor_type.shape.dim) == RANKS[role])


def _port(value: Any, scales: dict[str, tuple[float, int]]) -> Port:
    tensor = value.type.tensor_type
    shape = tuple(int(side.dim_value) for side in tensor.shape.dim)
    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)).name
    return Port(value.name, shape, dtype, *scales.get(value.name, (1.0, 0)))


def _drop_unused(graph: Any) -> None:
    """Remove nodes and constants that nothing reads any more."""
    wanted = {value.name for value in graph.output}
    for node in reversed(list(graph.node)):
        if wanted.isdisjoint(node.output):
            graph.node.remove(node)
        else:
            wanted.update(node.input)
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in wanted]:
        graph.initializer.remove(tensor)
