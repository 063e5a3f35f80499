"""TFLite: a kept layer is dequantize, the float operator, quantize."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from edgebrain.compression.exporters import Exported
from edgebrain.compression.exporters.tflite import operators
from edgebrain.compression.flatbuffer import packed
from edgebrain.graph import tflite as graph
from edgebrain.graph.layers import layer_operators
from edgebrain.model.spec import UNetSpec

# What TensorFlow's converter writes for these two.
DEQUANTIZE, QUANTIZE = (schema.BuiltinOperator.DEQUANTIZE, 2), (schema.BuiltinOperator.QUANTIZE, 1)
FLOAT = schema.TensorType.FLOAT32


def keep_float(int8: Exported, plain: Exported, spec: UNetSpec, layers: Sequence[str]) -> Exported:
    """The int8 model with some layers in float: their weights are the float file's, their output is rounded to the
    int8 grid again, unless it goes straight to another layer in float.

    Raises BadBundle: a file does not hold the layers of the spec.
    """
    contents, float_contents = (one.contents["model.tflite"] for one in (int8, plain))
    places, float_places = (layer_operators(one.operators, spec) for one in (int8, plain))
    surgery = _Surgery(contents, float_contents)
    mixed = {"model.tflite": surgery.with_float({places[layer]: float_places[layer] for layer in layers})}
    return replace(int8, contents=mixed, operators=operators(mixed))


class _Surgery:
    """The int8 model as objects, and the float model that parts are taken from."""

    def __init__(self, int8: bytes, plain: bytes) -> None:
        self._model = schema.ModelT.InitFromPackedBuf(int8, 0)
        self._plain = schema.ModelT.InitFromPackedBuf(plain, 0)
        self._graph, self._plain_graph = self._model.subgraphs[0], self._plain.subgraphs[0]
        # int8 tensor -> its value in float.
        self._twins: dict[int, int] = {}

    def with_float(self, places: dict[int, int]) -> bytes:
        """places: operator of the int8 graph -> operator of the float graph that takes its place."""
        operators = []
        for place, entry in enumerate(self._graph.operators):
            operators += self._in_float(entry, places[place]) if place in places else [entry]
        self._graph.operators = operators
        return packed(self._model)

    def _in_float(self, entry: Any, place: int) -> list[Any]:
        theirs = self._plain_graph.operators[place]
        code = self._plain.operatorCodes[theirs.opcodeIndex]
        where = graph.WEIGHTED[graph.KINDS[max(code.builtinCode, code.deprecatedBuiltinCode)]][0]
        given, made = int(entry.inputs[where]), int(entry.outputs[0])
        before = [] if given in self._twins else [self._operator(DEQUANTIZE, [given], [self._twin(given)])]
        layer = copy.copy(theirs)
        layer.opcodeIndex = self._code((max(code.builtinCode, code.deprecatedBuiltinCode), code.version))
        layer.inputs = [
            self._twins[given] if i == where else self._constant(int(tensor)) for i, tensor in enumerate(theirs.inputs)
        ]
        layer.outputs = [self._twin(made)]
        return [*before, layer, self._operator(QUANTIZE, [self._twins[made]], [made])]

    def _twin(self, tensor: int) -> int:
        """A float tensor beside an int8 one."""
        original = self._graph.tensors[tensor]
        twin = schema.TensorT()
        twin.name, twin.shape, twin.type, twin.buffer = original.name + b"_float", original.shape, FLOAT, 0
        twin.shapeSignature, twin.hasRank = original.shapeSignature, original.hasRank
        self._graph.tensors.append(twin)
        self._twins[tensor] = len(self._graph.tensors) - 1
        return self._twins[tensor]

    def _constant(self, tensor: int) -> int:
        """A constant of the float model, copied; -1, an input left out, stays."""
        if tensor < 0:
            return tensor
        constant = copy.copy(self._plain_graph.tensors[tensor])
        self._model.buffers.append(self._plain.buffers[constant.buffer])
        constant.buffer = len(self._model.buffers) - 1
        self._graph.tensors.append(constant)
        return len(self._graph.tensors) - 1

    def _operator(self, code: tuple[int, int], inputs: list[int], outputs: list[int]) -> Any:
        made = schema.OperatorT()
        made.opcodeIndex, made.inputs, made.outputs = self._code(code), inputs, outputs
        return made

    def _code(self, code: tuple[int, int]) -> int:
        """Place of an operator code, which is added where the model does not have it."""
        known = [(max(one.builtinCode, one.deprecatedBuiltinCode), one.version) for one in self._model.operatorCodes]
        if code not in known:
            entry = schema.OperatorCodeT()
            entry.builtinCode, entry.version = code
            entry.deprecatedBuiltinCode = min(code[0], 127)
            self._model.operatorCodes.append(entry)
            known.append(code)
        return known.index(code)
