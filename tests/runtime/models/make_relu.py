"""Print the one-operator models of `edgebrain/runtime/engines/relu_model.py`: y = relu(x). Run by hand."""

from base64 import b85encode

import flatbuffers
from ai_edge_litert import schema_py_generated as schema
from onnx import TensorProto, helper

SHAPE = [1, 4]


def tflite() -> bytes:
    operator = schema.OperatorCodeT()
    operator.builtinCode = operator.deprecatedBuiltinCode = schema.BuiltinOperator.RELU
    operator.version = 1
    graph = schema.SubGraphT()
    graph.tensors, graph.inputs, graph.outputs = [], [0], [1]
    for name in (b"x", b"y"):
        tensor = schema.TensorT()
        tensor.shape, tensor.type, tensor.buffer, tensor.name = SHAPE, schema.TensorType.FLOAT32, 0, name
        graph.tensors.append(tensor)
    step = schema.OperatorT()
    step.opcodeIndex, step.inputs, step.outputs = 0, [0], [1]
    graph.operators = [step]
    model = schema.ModelT()
    model.version, model.description, model.operatorCodes = 3, b"relu", [operator]
    model.subgraphs, model.buffers = [graph], [schema.BufferT()]
    builder = flatbuffers.Builder(256)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def onnx() -> bytes:
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, SHAPE) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "relu", ports[:1], ports[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8).SerializeToString()


if __name__ == "__main__":
    print(b85encode(tflite()).decode(), b85encode(onnx()).decode(), sep="\n")
