"""Files as the Edge TPU compiler writes them, and stand-ins for the driver, built by the system's C compiler."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgebrain.bundle import Bundle, write_bundle
from tests.runtime.tiny import SIDE, tiny_manifest
from tests.system_programs import needs

NAMES = (b"serving_default_slice_:0", b"PartitionedCall:1", b"PartitionedCall:0")
SHAPES = ((1, SIDE, SIDE, 1), (1, SIDE, SIDE, 1), (1, 4))
SCALES = (1 / 255, 1 / 256, 1 / 256)


def driver(folder: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> Path:
    """A stand-in for libedgetpu, which every engine from now on takes. kind: a name in driver.c, in small letters."""
    needs("cc")
    built = folder / f"lib{kind}.so"
    source = Path(__file__).parent / "driver.c"
    subprocess.run(["cc", "-shared", "-fPIC", f"-D{kind.upper()}", "-o", built, source], check=True)
    monkeypatch.setenv("EDGEBRAIN_LIBEDGETPU", str(built))
    return built


def compiled_bundle(folder: Path, parent: str | None = None, tail: bool = False, **changes: Any) -> Bundle:
    """The tiny network as if it were compiled. parent: hash of its manifest. tail: one operator stays on the CPU."""
    manifest = {**tiny_manifest("tflite", "int8", folder.name), "format": "edgetpu", "lineage": {"parent": parent}}
    return write_bundle(folder, {**manifest, **changes}, {"model.edgetpu.tflite": compiled_file(tail)})


def compiled_file(tail: bool = False) -> bytes:
    """One operator for the device, from slice to mask and class; with a tail, a sigmoid on the CPU gives the mask."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.description, model.buffers = 3, b"stand-in", [schema.BufferT()]
    graph.name, graph.tensors = b"main", list(map(_tensor, NAMES, SHAPES, SCALES))
    graph.inputs, graph.outputs = np.int32([0]), np.int32([1, 2])
    model.operatorCodes = [_code(schema.BuiltinOperator.CUSTOM, b"edgetpu-custom-op")]
    graph.operators = [_operator(0, [0], [1, 2])]
    if tail:
        graph.tensors.append(_tensor(b"logit", SHAPES[1], 1 / 16))
        model.operatorCodes.append(_code(schema.BuiltinOperator.LOGISTIC))
        graph.operators = [_operator(0, [0], [3, 2]), _operator(1, [3], [1])]
    model.subgraphs = [graph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _tensor(name: bytes, shape: tuple[int, ...], scale: float) -> Any:
    from ai_edge_litert import schema_py_generated as schema

    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.type, tensor.buffer = name, np.int32(shape), schema.TensorType.INT8, 0
    tensor.quantization = schema.QuantizationParametersT()
    tensor.quantization.scale, tensor.quantization.zeroPoint = np.float32([scale]), np.int64([-128])
    return tensor


def _code(builtin: int, custom: bytes | None = None) -> Any:
    from ai_edge_litert import schema_py_generated as schema

    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = builtin
    code.customCode, code.version = custom, 1
    return code


def _operator(code: int, inputs: list[int], outputs: list[int]) -> Any:
    from ai_edge_litert import schema_py_generated as schema

    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = code, np.int32(inputs), np.int32(outputs)
    return operator
