"""TFLite models as objects, back into files."""

from __future__ import annotations

from typing import Any

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

from edgebrain.graph import tflite as graph

NEAREST = schema.BuiltinOperator.RESIZE_NEAREST_NEIGHBOR


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
    known = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    resizes = [one for one in part.operators if known[one.opcodeIndex] == NEAREST]
    if not resizes or not all(_doubles(part, one) for one in resizes):
        return content
    for one in resizes:
        one.builtinOptions.halfPixelCenters = False
        # 8-bit tensors are version 2, float ones version 1.
        quantized = part.tensors[one.inputs[0]].type != schema.TensorType.FLOAT32
        model.operatorCodes[one.opcodeIndex].version = 2 if quantized else 1
    return packed(model)


def _doubles(part: Any, operator: Any) -> bool:
    given, made = (part.tensors[tensor].shape for tensor in (operator.inputs[0], operator.outputs[0]))
    plain = not operator.builtinOptions.alignCorners
    return plain and [int(side) for side in made[1:3]] == [2 * int(side) for side in given[1:3]]


class _Aligned(flatbuffers.Builder):  # type: ignore[misc]
    """Byte vectors start at multiples of 16: the schema says so for weights (force_align), Python's packer does not."""

    def StartVector(self, size: int, count: int, alignment: int) -> Any:
        return super().StartVector(size, count, max(alignment, 16) if size == 1 else alignment)
