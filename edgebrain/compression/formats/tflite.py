"""TFLite: exported and quantized by TensorFlow's converter; what it writes is edited in `tflite_edits`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import tensorflow as tf

from edgebrain.bundle import ROLES, SOFTMAX, Port
from edgebrain.capture_output import capture_output
from edgebrain.compression.calibration import Calibration
from edgebrain.compression.formats import RANKS, Exported, written_operators
from edgebrain.compression.formats.tflite_edits import (
    lower_resize_version,
    outputs_logits,
    with_float_operators,
    without_softmax,
)
from edgebrain.compression.formats.tflite_probe import Probe
from edgebrain.graph.layers import layer_operators
from edgebrain.libraries import importing
from edgebrain.model.spec import Spec

with importing("ai-edge-litert", "edge", "exporting TFLite"):
    from ai_edge_litert.interpreter import Interpreter

__all__ = ["Probe", "described", "export", "keep_float"]

FILE = "model.tflite"


def export(saved_model: Path, side: int, precision: str, calibration: Calibration | None) -> Exported:
    """Write a .tflite file.

    int8 has per-channel weights, int8 input and outputs, no float operator, and gives the class as logits.

    Args:
        saved_model: Folder of the SavedModel.
        side: Height and width of a slice in pixels; the signature has it too.
        precision: float32, float16 or int8.
        calibration: Images for the observers, for int8 alone.
    """
    converter = tf.lite.TFLiteConverter.from_saved_model(str(saved_model), signature_keys=["serving_default"])
    if precision == "float16":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
    if calibration is not None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        # Integer operators only, so that the conversion fails where one does not exist.
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
        # A generator, so that only images which the observers ask for count as read.
        converter.representative_dataset = lambda: ([tensor] for tensor in calibration.tensors())
    with capture_output():
        content = lower_resize_version(converter.convert())
    return described(content if calibration is None else without_softmax(content))


def described(content: bytes) -> Exported:
    """A .tflite file with its inputs, outputs and operators, read back from its bytes.

    Converters call outputs StatefulPartitionedCall_1:1 and the like and reorder them; their rank tells their role.
    """
    with capture_output():
        interpreter = Interpreter(model_content=content)
    ports = [_port(detail) for detail in interpreter.get_output_details()]
    outputs = {role: next(port for port in ports if len(port.shape) == RANKS[role]) for role in ROLES}
    if outputs_logits(content):
        outputs["class"] = replace(outputs["class"], activation=SOFTMAX)
    (given,) = interpreter.get_input_details()
    contents = {FILE: content}
    return Exported(contents, _port(given), outputs, written_operators("tflite", contents))


def keep_float(int8: Exported, plain: Exported, spec: Spec, layers: Sequence[str]) -> Exported:
    """The int8 model in which some layers are a dequantization, the float file's operator, and a quantization.

    Their output is rounded to the int8 grid again, unless it goes straight to another layer in float.

    Raises:
        BadBundle: A file does not hold the layers of the spec.
    """
    indices, float_indices = (layer_operators(one.operators, spec) for one in (int8, plain))
    replaced = {indices[layer]: float_indices[layer] for layer in layers}
    contents = {FILE: with_float_operators(int8.contents[FILE], plain.contents[FILE], replaced)}
    return replace(int8, contents=contents, operators=written_operators("tflite", contents))


def _port(detail: dict[str, Any]) -> Port:
    scale, zero_point = detail["quantization"]
    shape = tuple(int(side) for side in detail["shape"])
    # A float tensor has scale 0 in the file; the manifest says 1.
    return Port(detail["name"], shape, detail["dtype"].__name__, float(scale) or 1.0, int(zero_point))
