"""SavedModel -> ONNX by tf2onnx; int8 by ONNX Runtime in QDQ form."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from edgebrain.bundle import ROLES, Port
from edgebrain.compression.calibration import Calibration
from edgebrain.compression.exporters import Exported
from edgebrain.compression.saved_model import INPUT, signature_of
from edgebrain.errors import MissingExtra
from edgebrain.graph import onnx as graph
from edgebrain.quiet import quiet

try:
    import onnx
    from onnxruntime import quantization
except ImportError as problem:
    raise MissingExtra("onnx and onnxruntime", "onnx", "exporting ONNX") from problem

OPSET = 18


def export(saved_model: Path, side: int, precision: str, calibration: Calibration | None) -> Exported:
    """A .onnx file; int8 has per-channel int8 weights, uint8 activations, and uint8 input and output.

    Unsigned activations: ONNX Runtime fuses few convolutions into integer kernels with signed ones on x86-64.
    """
    with quiet():
        model = _float_model(saved_model, side)
        if precision == "float16":
            model = _half(model)
        if calibration is not None:
            model = _eight_bit_border(_quantized(model, calibration))
    content = model.SerializeToString(deterministic=True)
    ports = {value.name: _port(value, model) for value in [*model.graph.input, *model.graph.output]}
    outputs = {role: ports[_output_name(model, role)] for role in ROLES}
    given = ports[model.graph.input[0].name]
    return Exported({"model.onnx": content}, given, outputs, tuple(graph.operators(content)))


def _float_model(saved_model: Path, side: int) -> Any:
    try:
        import tf2onnx
    except ImportError as problem:
        raise MissingExtra("tf2onnx", "compress", "exporting ONNX") from problem
    # A fixed TensorSpec: Keras' own ONNX export leaves the batch dynamic.
    signature = [tf.TensorSpec((1, side, side, 1), tf.float32, name=INPUT)]
    model, _ = tf2onnx.convert.from_function(signature_of(saved_model), signature, opset=OPSET)
    # tf2onnx writes its own version and the time of day nowhere else than here.
    model.producer_version = ""
    return model


def _half(model: Any) -> Any:
    from onnxruntime.transformers.float16 import convert_float_to_float16

    return convert_float_to_float16(model, keep_io_types=True)


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


def _eight_bit_border(model: Any) -> Any:
    """Drop the quantizer behind the input and the dequantizers before the outputs: uint8 in and out."""
    graph_ = model.graph
    given = graph_.input[0]
    first = [node for node in graph_.node if given.name in node.input]
    if [node.op_type for node in first] == ["QuantizeLinear"]:
        _retype(given, onnx.TensorProto.UINT8)
        for node in graph_.node:
            for place, name in enumerate(node.input):
                if name == first[0].output[0]:
                    node.input[place] = given.name
        graph_.node.remove(first[0])
    for output in graph_.output:
        last = next(node for node in graph_.node if output.name in node.output)
        if last.op_type == "DequantizeLinear":
            graph_.node.remove(last)
            output.name = last.input[0]
            _retype(output, onnx.TensorProto.UINT8)
    onnx.checker.check_model(model)
    return model


def _retype(value: Any, element: int) -> None:
    value.type.tensor_type.elem_type = element


def _output_name(model: Any, role: str) -> str:
    """The mask has four dimensions, the class two."""
    rank = 4 if role == "mask" else 2
    return next(o.name for o in model.graph.output if len(o.type.tensor_type.shape.dim) == rank)


def _port(value: Any, model: Any) -> Port:
    tensor = value.type.tensor_type
    shape = tuple(int(side.dim_value) for side in tensor.shape.dim)
    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)).name
    scale, zero_point = _scale(value.name, model) if dtype == "uint8" else (1.0, 0)
    return Port(value.name, shape, dtype, scale, zero_point)


def _scale(name: str, model: Any) -> tuple[float, int]:
    """Scale and zero point of the (de)quantizer next to a border tensor."""
    constants = {c.name: onnx.numpy_helper.to_array(c) for c in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type in ("DequantizeLinear", "QuantizeLinear") and name in (node.input[0], node.output[0]):
            return float(constants[node.input[1]]), int(constants[node.input[2]])
    raise AssertionError(f"{name} is uint8 without a quantizer")


