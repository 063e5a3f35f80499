"""ONNX: a kept layer has the float file's weights and bias.

Its input and output stay rounded: the quantizer has dropped the ReLU layers, because rounding to unsigned integers cuts
off what is below zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import onnx

from edgebrain.compression.exporters import Exported
from edgebrain.compression.exporters.onnx import operators
from edgebrain.graph.layers import layer_operators
from edgebrain.model.spec import UNetSpec


def keep_float(int8: Exported, plain: Exported, spec: UNetSpec, layers: Sequence[str]) -> Exported:
    """The int8 model with some layers in float: they compute in float with the float file's weights, on rounded input.

    Raises BadBundle: a file does not hold the layers of the spec.
    """
    model, float_model = (onnx.load_model_from_string(one.contents["model.onnx"]) for one in (int8, plain))
    places, float_places = (layer_operators(one.operators, spec) for one in (int8, plain))
    stored = {tensor.name: tensor for tensor in float_model.graph.initializer}
    for layer in layers:
        node, theirs = model.graph.node[places[layer]], float_model.graph.node[float_places[layer]]
        for place in range(1, len(node.input)):
            constant = onnx.TensorProto()
            constant.CopyFrom(stored[theirs.input[place]])
            constant.name = f"{layer}_float_{place}"
            model.graph.initializer.append(constant)
            node.input[place] = constant.name
    _drop_unused(model.graph)
    contents = {"model.onnx": model.SerializeToString(deterministic=True)}
    return replace(int8, contents=contents, operators=operators(contents))


def _drop_unused(graph_: Any) -> None:
    """Remove nodes and constants that nothing reads any more."""
    wanted = {value.name for value in graph_.output}
    for node in reversed(list(graph_.node)):
        if wanted.isdisjoint(node.output):
            graph_.node.remove(node)
        else:
            wanted.update(node.input)
    for tensor in [tensor for tensor in graph_.initializer if tensor.name not in wanted]:
        graph_.initializer.remove(tensor)
