"""TFLite models as objects, back into files."""

from __future__ import annotations

from typing import Any

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

from edgebrain.graph import tflite as graph

NEAREST = schema.BuiltinOperator.RESIZE_NEAREST_NEIGHBOR
SOFTMAX = schema.BuiltinOperator.SOFTMAX


def packed(model: Any) -> bytes:
    """A model object as file."""
    builder = _Aligned(1024)
    builder.Finish(model.Pack(builder), file_identifier=graph.IDENTIFIER)
    return bytes(builder.Output())


def doubled_plainly(content: bytes) -> bytes:
    """Write doublings by the nearest pixel without half-pixel centres: the same pixels, as an older operator version.

    With half-pixel centres output i shows input floor((i + 0.5) / 2), without them floor(i / 2): the same for whole i.
    Edge TPU compilers are older than the version (3) that half-pixel centres bring. Other models come back as they are.
    """
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    (part, *_) = model.subgraphs
    resizes = [one for one in part.operators if _kind(model, one) == NEAREST]
    if not resizes or not all(_doubles(part, one) for one in resizes):
        return content
    for one in resizes:
        one.builtinOptions.halfPixelCenters = False
        # 8-bit tensors are version 2, float ones version 1.
        quantized = part.tensors[one.inputs[0]].type != schema.TensorType.FLOAT32
        model.operatorCodes[one.opcodeIndex].version = 2 if quantized else 1
    return packed(model)


def ends_in_scores(content: bytes) -> bool:
    """Whether the class output is not behind a softmax."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    return not any(_kind(model, one) == SOFTMAX for one in model.subgraphs[0].operators)


def without_softmax(content: bytes) -> bytes:
    """The same model, which gives the scores that its softmax was given; the runtime computes the probabilities.

    LiteRT's own int8 softmax is another one on aarch64 (a table of 16 bits, `SoftmaxInt8LUT`) than on x86-64: now and
    then a probability is one step of 256 beside. XNNPACK, which computes all the rest alike, does not take it.
    """
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    (part, *_) = model.subgraphs
    (last,) = (one for one in part.operators if _kind(model, one) == SOFTMAX)
    given, made = int(last.inputs[0]), int(last.outputs[0])
    part.operators = [one for one in part.operators if one is not last]
    part.outputs = [given if int(tensor) == made else int(tensor) for tensor in part.outputs]
    for signature in model.signatureDefs or ():
        for end in signature.outputs:
            if end.tensorIndex == made:
                end.tensorIndex = given
    # Compilers may refuse a file for an operator that it only lists.
    used = sorted({one.opcodeIndex for one in part.operators})
    model.operatorCodes = [model.operatorCodes[place] for place in used]
    for one in part.operators:
        one.opcodeIndex = used.index(one.opcodeIndex)
    return packed(model)


def _kind(model: Any, operator: Any) -> int:
    code = model.operatorCodes[operator.opcodeIndex]
    return int(max(code.builtinCode, code.deprecatedBuiltinCode))


def _doubles(part: Any, operator: Any) -> bool:
    given, made = (part.tensors[tensor].shape for tensor in (operator.inputs[0], operator.outputs[0]))
    plain = not operator.builtinOptions.alignCorners
    return plain and [int(side) for side in made[1:3]] == [2 * int(side) for side in given[1:3]]


class _Aligned(flatbuffers.Builder):  # type: ignore[misc]
    """Byte vectors start at multiples of 16: the schema says so for weights (force_align), Python's packer does not."""

    def StartVector(self, size: int, count: int, alignment: int) -> Any:
        return super().StartVector(size, count, max(alignment, 16) if size == 1 else alignment)
