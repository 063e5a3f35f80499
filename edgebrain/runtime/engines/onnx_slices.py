"""An ONNX file for one slice, made into one for several. Needs the `onnx` package; inference on one slice does not."""

from __future__ import annotations

from edgebrain.libraries import importing

with importing("onnx", "onnx", "answering several slices in one call"):
    import onnx


def with_slices(content: bytes, slices: int) -> bytes:
    """The same network with another first side at its input, its outputs and in what it reshapes to.

    Whether a first side of 1 is the batch in every reshape cannot be read from a file: where it is not, the runtime
    refuses the shapes, or the answers are not those of single slices, which whoever uses this must compare.
    """
    model = onnx.load_from_string(content)
    graph = model.graph
    for value in (*graph.input, *graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = slices
    targets = {node.input[1] for node in graph.node if node.op_type == "Reshape"}
    for constant in graph.initializer:
        if constant.name in targets:
            sides = onnx.numpy_helper.to_array(constant).copy()
            # Where a side is -1 the runtime works the batch out, if it is that one.
            if sides[0] == 1 and -1 not in sides:
                sides[0] = slices
                constant.CopyFrom(onnx.numpy_helper.from_array(sides, constant.name))
    # The shapes between, of one slice; the runtime infers them again.
    del graph.value_info[:]
    return bytes(model.SerializeToString())
