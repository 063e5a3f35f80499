"""SavedModel -> TFLite by TensorFlow's converter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import tensorflow as tf

from edgebrain.bundle import ROLES, SOFTMAX, Port
from edgebrain.capture_output import quiet
from edgebrain.compression.calibration import Calibration
from edgebrain.compression.exporters import RANKS, Exported
from edgebrain.compression.flatbuffer import doubled_plainly, ends_in_scores, without_softmax
from edgebrain.graph import Operator
from edgebrain.graph import tflite as graph
from edgebrain.libraries import importing

with importing("ai-edge-litert", "edge", "exporting TFLite"):
    from ai_edge_litert.interpreter import Interpreter


def export(saved_model: Path, side: int, precision: str, calibration: Calibration | None) -> Exported:
    """A .tflite file; int8 has per-channel weights and int8 input and output, no float operator, and no softmax."""
    converter = tf.lite.TFLiteConverter.from_saved_model(str(saved_model), signature_keys=["serving_default"])
    if precision == "float16":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
    if calibration is not None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        # Integer operators only: conversion fails where one is not to be had.
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
        converter.representative_dataset = lambda: ([tensor] for tensor in calibration.tensors())
    with quiet():
        content = doubled_plainly(converter.convert())
    return described(content if calibration is None else without_softmax(content))


def described(content: bytes) -> Exported:
    """The file's border and operators, read back from its bytes.

    Converters name outputs StatefulPartitionedCall_1:1 and the like and reorder them; their rank tells them apart.
    """
    with quiet():
        interpreter = Interpreter(model_content=content)
    ports = [_port(detail) for detail in interpreter.get_output_details()]
    outputs = {role: next(port for port in ports if len(port.shape) == RANKS[role]) for role in ROLES}
    if ends_in_scores(content):
        outputs["class"] = replace(outputs["class"], activation=SOFTMAX)
    (given,) = interpreter.get_input_details()
    contents = {"model.tflite": content}
    return Exported(contents, _port(given), outputs, operators(contents))


def operators(contents: Mapping[str, bytes]) -> tuple[Operator, ...]:
    """The operators of a written model. Raises BadBundle."""
    return tuple(graph.operators(contents["model.tflite"]))


def _port(detail: dict[str, Any]) -> Port:
    scale, zero_point = detail["quantization"]
    shape = tuple(int(side) for side in detail["shape"])
    return Port(detail["name"], shape, detail["dtype"].__name__, float(scale) or 1.0, int(zero_point))
