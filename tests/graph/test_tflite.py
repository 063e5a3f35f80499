from __future__ import annotations

from pathlib import Path

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from edgebrain.errors import BadBundle
from edgebrain.graph import int8_mac_share
from edgebrain.graph.tflite import operators

MODELS = Path(__file__).parents[1] / "runtime" / "models"
# 16x16 outputs: a 3x3 and a 1x1 convolution of one channel; then a dense layer of 1 to 4.
TINY_MACS = {"CONV_2D": 16 * 16 * 9 + 16 * 16, "FULLY_CONNECTED": 4}


def tiny(precision: str) -> bytes:
    return (MODELS / f"tiny_{precision}.tflite").read_bytes()


def one_operator(
    kind: str, shapes: list[list[int]], types: list[str], made: list[int], old_writer: bool = False
) -> bytes:
    """A file with one operator; its inputs have these shapes and types, its output is float32."""
    model, graph, code, entry = schema.ModelT(), schema.SubGraphT(), schema.OperatorCodeT(), schema.OperatorT()
    model.version, model.buffers, model.subgraphs, model.operatorCodes = 3, [schema.BufferT()], [graph], [code]
    code.builtinCode = getattr(schema.BuiltinOperator, kind)
    code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), 2
    if old_writer:
        code.builtinCode = 0
    graph.tensors = []
    for shape, dtype in zip([*shapes, made], [*types, "FLOAT32"], strict=True):
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.buffer = f"t{len(graph.tensors)}", shape, 0
        tensor.type = getattr(schema.TensorType, dtype)
        graph.tensors.append(tensor)
    entry.opcodeIndex, entry.inputs, entry.outputs = 0, list(range(len(shapes))), [len(shapes)]
    graph.operators, graph.inputs, graph.outputs = [entry], [0], [len(shapes)]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def test_every_multiply_of_the_int8_file_is_int8_and_none_of_the_float_file() -> None:
    assert int8_mac_share(operators(tiny("int8"))) == 1.0
    assert int8_mac_share(operators(tiny("float32"))) == 0.0


@pytest.mark.parametrize("precision", ["int8", "float32"])
def test_multiplies_follow_from_the_shapes(precision: str) -> None:
    macs: dict[str, int] = {}
    for operator in operators(tiny(precision)):
        macs[operator.kind] = macs.get(operator.kind, 0) + operator.macs
    assert {kind: count for kind, count in macs.items() if count} == TINY_MACS


@pytest.mark.parametrize("precision", ["int8", "float32"])
def test_kinds_names_and_types_are_those_that_the_interpreter_reports(precision: str) -> None:
    content = tiny(precision)
    # Without delegates, which would replace operators by their own.
    interpreter = Interpreter(
        model_content=content, experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    )
    tensors = {detail["index"]: detail for detail in interpreter.get_tensor_details()}
    made = [(detail["op_name"], tensors[detail["outputs"][0]]) for detail in interpreter._get_ops_details()]
    reported = [(kind, tensor["name"], np.dtype(tensor["dtype"]).name) for kind, tensor in made]
    assert [(one.kind, one.name, one.output) for one in operators(content)] == reported


def test_versions_come_from_the_operator_code() -> None:
    versions = {one.kind: one.version for one in operators(tiny("int8"))}
    assert versions["CONV_2D"] == 3 and versions["FULLY_CONNECTED"] == 4
    assert {one.version for one in operators(tiny("float32")) if one.kind == "CONV_2D"} == {1}


def test_operators_beyond_the_old_field_and_files_of_old_writers_keep_their_kind() -> None:
    (new,) = operators(one_operator("GELU", [[1, 4]], ["FLOAT32"], [1, 4]))
    assert schema.BuiltinOperator.GELU > 127 and new.kind == "GELU"
    (old,) = operators(one_operator("RELU", [[1, 4]], ["FLOAT32"], [1, 4], old_writer=True))
    assert old.kind == "RELU"


@pytest.mark.parametrize(
    ("kind", "shapes", "made", "macs"),
    [
        ("CONV_2D", [[1, 8, 8, 3], [5, 3, 3, 3]], [1, 4, 4, 5], 4 * 4 * 5 * 27),
        ("DEPTHWISE_CONV_2D", [[1, 8, 8, 6], [1, 3, 3, 6]], [1, 8, 8, 6], 8 * 8 * 6 * 9),
        ("TRANSPOSE_CONV", [[4], [5, 2, 2, 3], [1, 8, 8, 3]], [1, 16, 16, 5], 8 * 8 * 3 * 5 * 4),
        ("FULLY_CONNECTED", [[1, 12], [7, 12]], [1, 7], 84),
        ("BATCH_MATMUL", [[2, 3, 4], [2, 4, 5]], [2, 3, 5], 2 * 3 * 4 * 5),
        ("RELU", [[1, 8, 8, 3]], [1, 8, 8, 3], 0),
    ],
)
def test_each_kind_counts_its_multiplies(kind: str, shapes: list[list[int]], made: list[int], macs: int) -> None:
    (found,) = operators(one_operator(kind, shapes, ["FLOAT32"] * len(shapes), made))
    assert (found.kind, found.macs, found.version) == (kind, macs, 2)


@pytest.mark.parametrize(
    ("types", "int8"),
    [(["INT8", "INT8"], True), (["UINT8", "INT8"], True), (["FLOAT32", "INT8"], False), (["INT16", "INT8"], False)],
)
def test_integer_weights_alone_do_not_make_an_integer_operator(types: list[str], int8: bool) -> None:
    (found,) = operators(one_operator("FULLY_CONNECTED", [[1, 12], [7, 12]], types, [1, 7]))
    assert found.int8 is int8 and found.weight == "int8"


@pytest.mark.parametrize("content", [b"", b"x" * 100, b"\x10\0\0\0TFL3" + b"\xff" * 60, b"\x10\0\0\0TFL3"])
def test_bytes_that_are_no_model_are_an_error(content: bytes) -> None:
    with pytest.raises(BadBundle, match="TFLite model"):
        operators(content)


def test_a_file_that_was_cut_short_is_an_error() -> None:
    content = tiny("int8")
    with pytest.raises(BadBundle, match="TFLite model is damaged"):
        operators(content[: len(content) // 3])
