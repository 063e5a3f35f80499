"""Edits of written .tflite files: a softmax dropped, an older operator version, single operators put back in float."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

from edgebrain.graph import tflite as graph

NEAREST = schema.BuiltinOperator.RESIZE_NEAREST_NEIGHBOR
SOFTMAX = schema.BuiltinOperator.SOFTMAX
# (operator, version) as TensorFlow's converter writes them.
DEQUANTIZE, QUANTIZE = (schema.BuiltinOperator.DEQUANTIZE, 2), (schema.BuiltinOperator.QUANTIZE, 1)
FLOAT = schema.TensorType.FLOAT32


def unpack(content: bytes) -> Any:
    """A .tflite file as objects of the schema."""
    return schema.ModelT.InitFromPackedBuf(content, 0)


def pack(model: Any) -> bytes:
    """Objects of the schema as a .tflite file."""
    builder = _AlignedBuilder(1024)
    builder.Finish(model.Pack(builder), file_identifier=graph.IDENTIFIER)
    return bytes(builder.Output())


def lower_resize_version(content: bytes) -> bytes:
    """Write resizes that double by the nearest pixel without half-pixel centres: same pixels, older operator version.

    With half-pixel centres output i shows input floor((i + 0.5) / 2), without them floor(i / 2): the same for whole i.
    Edge TPU compilers are older than the version (3) that half-pixel centres bring. Models with other resizes come back
    as they are.
    """
    model = unpack(content)
    (subgraph, *_) = model.subgraphs
    resizes = [one for one in subgraph.operators if _kind(model, one) == NEAREST]
    if not resizes or not all(_doubles(subgraph, one) for one in resizes):
        return content
    for one in resizes:
        one.builtinOptions.halfPixelCenters = False
        # 8-bit tensors are version 2, float ones version 1.
        quantized = subgraph.tensors[one.inputs[0]].type != schema.TensorType.FLOAT32
        model.operatorCodes[one.opcodeIndex].version = 2 if quantized else 1
    return pack(model)


def outputs_logits(content: bytes) -> bool:
    """Whether the class output is not behind a softmax."""
    model = unpack(content)
    return not any(_kind(model, one) == SOFTMAX for one in model.subgraphs[0].operators)


def without_softmax(content: bytes) -> bytes:
    """The same model without its softmax: the class output is its logits, and the runtime computes probabilities.

    LiteRT's own int8 softmax is another one on aarch64 (a table of 16 bits, `SoftmaxInt8LUT`) than on x86-64: now and
    then a probability differs by one step of 256. XNNPACK, which computes all the rest alike, does not take it.
    """
    model = unpack(content)
    (subgraph, *_) = model.subgraphs
    (softmax,) = (one for one in subgraph.operators if _kind(model, one) == SOFTMAX)
    logits, probabilities = int(softmax.inputs[0]), int(softmax.outputs[0])
    subgraph.operators = [one for one in subgraph.operators if one is not softmax]
    subgraph.outputs = [logits if int(tensor) == probabilities else int(tensor) for tensor in subgraph.outputs]
    for signature in model.signatureDefs or ():
        for output in signature.outputs:
            if output.tensorIndex == probabilities:
                output.tensorIndex = logits
    # Compilers may refuse a file for an operator that it lists and does not use.
    used = sorted({one.opcodeIndex for one in subgraph.operators})
    model.operatorCodes = [model.operatorCodes[index] for index in used]
    for one in subgraph.operators:
        one.opcodeIndex = used.index(one.opcodeIndex)
    return pack(model)


def with_float_operators(int8: bytes, plain: bytes, replaced: Mapping[int, int]) -> bytes:
    """An int8 file in which some operators are the float file's, between a dequantization and a quantization.

    Args:
        int8: The quantized .tflite file.
        plain: The float32 .tflite file of the same network.
        replaced: Index of an operator in the int8 file -> index of the operator in the float file that replaces it.
    """
    return _FloatInsertion(int8, plain).insert(replaced)


class _FloatInsertion:
    """The int8 model as objects, and the float model that operators and weights are copied from."""

    def __init__(self, int8: bytes, plain: bytes) -> None:
        self._model, self._plain = unpack(int8), unpack(plain)
        self._graph, self._plain_graph = self._model.subgraphs[0], self._plain.subgraphs[0]
        # int8 tensor -> the tensor with its value in float, as far as there is one already.
        self._float_of: dict[int, int] = {}

    def insert(self, replaced: Mapping[int, int]) -> bytes:
        operators = []
        for index, entry in enumerate(self._graph.operators):
            operators += self._in_float(entry, replaced[index]) if index in replaced else [entry]
        self._graph.operators = operators
        return pack(self._model)

    def _in_float(self, entry: Any, plain_index: int) -> list[Any]:
        """The operators that compute one int8 operator in float."""
        plain = self._plain_graph.operators[plain_index]
        code = self._plain.operatorCodes[plain.opcodeIndex]
        kind = max(code.builtinCode, code.deprecatedBuiltinCode)
        position = graph.WEIGHTED[graph.KINDS[kind]][0]
        given, made = int(entry.inputs[position]), int(entry.outputs[0])
        known = given in self._float_of
        before = [] if known else [self._operator(DEQUANTIZE, [given], [self._add_float(given)])]
        operator = copy.copy(plain)
        operator.opcodeIndex = self._code_index((kind, code.version))
        operator.inputs = [
            self._float_of[given] if index == position else self._copied_constant(int(tensor))
            for index, tensor in enumerate(plain.inputs)
        ]
        operator.outputs = [self._add_float(made)]
        return [*before, operator, self._operator(QUANTIZE, [self._float_of[made]], [made])]

    def _add_float(self, tensor: int) -> int:
        """Add a float tensor of an int8 tensor's shape; returns its index."""
        original = self._graph.tensors[tensor]
        added = schema.TensorT()
        added.name, added.shape, added.type, added.buffer = original.name + b"_float", original.shape, FLOAT, 0
        added.shapeSignature, added.hasRank = original.shapeSignature, original.hasRank
        self._graph.tensors.append(added)
        self._float_of[tensor] = len(self._graph.tensors) - 1
        return self._float_of[tensor]

    def _copied_constant(self, tensor: int) -> int:
        """Copy a constant of the float model; -1, which stands for an input left out, stays."""
        if tensor < 0:
            return tensor
        constant = copy.copy(self._plain_graph.tensors[tensor])
        self._model.buffers.append(self._plain.buffers[constant.buffer])
        constant.buffer = len(self._model.buffers) - 1
        self._graph.tensors.append(constant)
        return len(self._graph.tensors) - 1

    def _operator(self, code: tuple[int, int], inputs: list[int], outputs: list[int]) -> Any:
        made = schema.OperatorT()
        made.opcodeIndex, made.inputs, made.outputs = self._code_index(code), inputs, outputs
        return made

    def _code_index(self, code: tuple[int, int]) -> int:
        """Index of an operator code, which is added where the model does not have it."""
        known = [(max(one.builtinCode, one.deprecatedBuiltinCode), one.version) for one in self._model.operatorCodes]
        if code not in known:
            entry = schema.OperatorCodeT()
            entry.builtinCode, entry.version = code
            # The older field holds codes up to 127 only.
            entry.deprecatedBuiltinCode = min(code[0], 127)
            self._model.operatorCodes.append(entry)
            known.append(code)
        return known.index(code)


def _kind(model: Any, operator: Any) -> int:
    code = model.operatorCodes[operator.opcodeIndex]
    return int(max(code.builtinCode, code.deprecatedBuiltinCode))


def _doubles(subgraph: Any, operator: Any) -> bool:
    given, made = (subgraph.tensors[tensor].shape for tensor in (operator.inputs[0], operator.outputs[0]))
    aligned = operator.builtinOptions.alignCorners
    return not aligned and [int(side) for side in made[1:3]] == [2 * int(side) for side in given[1:3]]


class _AlignedBuilder(flatbuffers.Builder):  # type: ignore[misc]
    """Starts byte vectors at multiples of 16: the schema asks for it (force_align), Python's packer does not do it."""

    def StartVector(self, size: int, count: int, alignment: int) -> Any:
        return super().StartVector(size, count, max(alignment, 16) if size == 1 else alignment)
