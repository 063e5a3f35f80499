"""Small ONNX networks that an export went wrong for, as written bundles, and slices on which their parent does well."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from edgebrain.bundle import Bundle, write_bundle
from edgebrain.data.sample import Sample
from tests.runtime.tiny import SIDE, tiny_bundle, tiny_manifest

Edit = Callable[[Any], None]


def samples() -> list[Sample]:
    """Twelve tumour slices whose lesion has a place and a size of its own, and six healthy ones; (32, 32) uint8."""
    found = []
    for number in range(18):
        image = np.full((32, 32), 100 if number % 3 == 2 else 15, np.uint8)
        mask = np.zeros((32, 32), bool)
        if number % 3 < 2:
            height, width = 8 + 2 * (number % 8), 6 + 2 * ((number * 5) % 11)
            mask[2 : 2 + height, 4 : 4 + width] = True
        image[mask] = 250
        label = "glioma" if number % 3 < 2 else "no_tumor"
        found.append(Sample(f"s{number}", image, mask, label, f"g{number}", "axial"))
    return found


def parent(folder: Path) -> Bundle:
    """The sound float network."""
    return tiny_bundle(folder, "onnx")


def child(folder: Path, *edits: Edit, **changes: Any) -> Bundle:
    """The parent's network after some edits of its graph, as a bundle. changes: manifest keys to replace."""
    model = onnx.load_model_from_string(parent(folder / "parent").contents["model.onnx"])
    for edit in edits:
        edit(model.graph)
    onnx.checker.check_model(model, full_check=True)
    manifest = {**tiny_manifest("onnx", "float32", folder.name), **changes}
    return write_bundle(folder / "child", manifest, {"model.onnx": model.SerializeToString()})


def before(kind: str, value: float, first: bool = True) -> Edit:
    """An operator between the input and the network. first: the value is its second operand, not its first."""

    def edit(graph: Any) -> None:
        given, number = graph.node[0].input[0], len(graph.node)
        _constant(graph, f"before{number}", np.float32(value))
        operands = [given, f"before{number}"] if first else [f"before{number}", given]
        node = helper.make_node(kind, operands, [f"seen{number}"])
        graph.node[0].input[0] = f"seen{number}"
        graph.node.insert(0, node)

    return edit


def after(role: str, kind: str, *constants: Any, place: int = 0, **attributes: Any) -> Edit:
    """An operator between the network and an output. place: of the output among its operands."""

    def edit(graph: Any) -> None:
        names = [f"after{role}{kind}{number}" for number in range(len(constants))]
        for name, value in zip(names, constants, strict=True):
            _constant(graph, name, np.asarray(value))
        maker = next(node for node in graph.node if role in node.output)
        maker.output[0] = f"raw_{role}{len(graph.node)}"
        operands = [*names[:place], maker.output[0], *names[place:]]
        graph.node.append(helper.make_node(kind, operands, [role], **attributes))

    return edit


def without(kind: str) -> Edit:
    """Take an operator out: what it was given is called what it made."""

    def edit(graph: Any) -> None:
        node = next(node for node in graph.node if node.op_type == kind)
        graph.node.remove(node)
        for other in graph.node:
            other.input[:] = [node.output[0] if name == node.input[0] else name for name in other.input]
            other.output[:] = [node.output[0] if name == node.input[0] else name for name in other.output]

    return edit


def weights(**values: Any) -> Edit:
    """Other numbers for some of the network's weights."""

    def edit(graph: Any) -> None:
        for tensor in graph.initializer:
            if tensor.name in values:
                shape = numpy_helper.to_array(tensor).shape
                full = np.broadcast_to(np.float32(values[tensor.name]), shape)
                tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(full), tensor.name))

    return edit


def stored_as_uint8(graph: Any) -> None:
    """The mask as 8-bit integers, 255 steps from 0 to 1."""
    after("mask", "QuantizeLinear", np.float32(1 / 255), np.uint8(0))(graph)
    next(value for value in graph.output if value.name == "mask").type.tensor_type.elem_type = onnx.TensorProto.UINT8


def mask_port(scale: float, zero_point: int) -> dict[str, Mapping[str, Any]]:
    """A manifest's outputs with a uint8 mask."""
    outputs = tiny_manifest("onnx", "float32", "x")["outputs"]
    mask = {**outputs["mask"], "dtype": "uint8", "scale": scale, "zero_point": zero_point}
    return {"outputs": {**outputs, "mask": mask}}


def rolled(step: int) -> np.ndarray:
    """Row numbers, moved by a step."""
    return np.roll(np.arange(SIDE, dtype=np.int64), step)


def _constant(graph: Any, name: str, value: np.ndarray) -> None:
    graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
