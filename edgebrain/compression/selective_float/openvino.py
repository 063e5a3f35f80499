"""OpenVINO: a kept layer has no FakeQuantize before it, and the float file's weights and bias."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from openvino import opset13 as ops

from edgebrain.compression.exporters import Exported
from edgebrain.compression.exporters.openvino import operators, written
from edgebrain.errors import BadBundle
from edgebrain.graph import openvino as graph
from edgebrain.graph.layers import layer_operators
from edgebrain.model.spec import UNetSpec


def keep_float(int8: Exported, plain: Exported, spec: UNetSpec, layers: Sequence[str]) -> Exported:
    """The int8 model with some layers in float: their input is not rounded for them, and their weights are the float
    file's. Their output is rounded where the next layer in int8 reads it.

    Raises BadBundle: a file does not hold the layers of the spec.
    """
    model, float_model = (graph.read(one.contents["model.xml"], one.contents["model.bin"]) for one in (int8, plain))
    places, float_places = (layer_operators(one.operators, spec) for one in (int8, plain))
    nodes, float_nodes = graph.nodes(model), graph.nodes(float_model)
    for layer in layers:
        _swap(layer, nodes[places[layer]], float_nodes[float_places[layer]])
    model.validate_nodes_and_infer_types()
    contents = written(model)
    return replace(int8, contents=contents, operators=operators(contents))


def _swap(layer: str, node: Any, theirs: Any) -> None:
    before = node.input_value(0)
    if before.get_node().get_type_name() == "FakeQuantize":
        node.input(0).replace_source_output(before.get_node().input_value(0))
    _replace(layer, node, 1, theirs.input_value(1))
    # NNCF shifts the bias to make up for the rounding that no longer takes place.
    bias, their_bias = _bias_of(node), _bias_of(theirs)
    if bias is not None and their_bias is not None:
        _replace(layer, bias, 1, their_bias.input_value(1))


def _replace(layer: str, node: Any, place: int, source: Any) -> None:
    constant = graph.constant_of(source)
    wanted = tuple(node.input_value(place).get_shape())
    if constant is None or tuple(constant.output(0).get_shape()) != wanted:
        raise BadBundle(
            f"{layer}: the float file stores its weights in another shape than the int8 file", "export both again"
        )
    node.input(place).replace_source_output(ops.constant(constant.get_data()).output(0))


def _bias_of(node: Any) -> Any:
    """The Add of a constant that follows a node, or None."""
    (after, *others) = [one.get_node() for one in node.output(0).get_target_inputs()]
    known = not others and after.get_type_name() == "Add" and graph.constant_of(after.input_value(1)) is not None
    return after if known else None
