"""OpenVINO IR, or a TFLite file, on OpenVINO. A float32 bundle runs in float32 even where bfloat16 is at hand."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import openvino

from edgebrain.bundle import ROLES, Bundle, Port
from edgebrain.errors import BadBundle
from edgebrain.runtime.engines.ports import check_input, match_outputs, no_model, only_cpu, unscaled

TYPES = {"f32": "float32", "f16": "float16", "i8": "int8", "u8": "uint8"}
# An int8 layer may take unsigned input; both are 8-bit integer arithmetic.
RUNNING = {"f32": "float32", "f16": "float16", "bf16": "bfloat16", "i8": "int8", "u8": "int8"}
LAYERS = ("Convolution", "Deconvolution", "FullyConnected", "MatMul")


class OpenVINOEngine:
    """An IR compiled for the CPU, with one request."""

    def __init__(self, compiled: openvino.CompiledModel, bundle: Bundle, threads: int) -> None:
        found = {name: _port(output, name, bundle) for output in compiled.outputs for name in output.get_names()}
        match_outputs(bundle, found)
        places = {name: place for place, output in enumerate(compiled.outputs) for name in output.get_names()}
        self._request = compiled.create_infer_request()
        self._outputs = {role: places[bundle.output(role).tensor] for role in ROLES}
        self._facts = {
            "engine": "openvino",
            "version": openvino.__version__.split("-")[0],
            "device": "cpu",
            "precision": _precision(compiled),
            "provider": "CPU",
            "threads": threads,
        }

    def run(self, tensor: np.ndarray) -> dict[str, np.ndarray]:
        """Map one input tensor to one raw array per output role."""
        self._request.get_input_tensor().data[:] = tensor
        self._request.infer()
        # Copied: the request writes its next answer into the same memory.
        return {role: self._request.get_output_tensor(place).data.copy() for role, place in self._outputs.items()}

    def describe(self) -> dict[str, Any]:
        """What really runs; precision is that of most convolutions and dense layers in the compiled model."""
        return dict(self._facts)


def load(bundle: Bundle, threads: int, device: str) -> OpenVINOEngine:
    """Load a bundle's IR.

    Raises BadBundle: the bytes are no model, or not the manifest's. EdgebrainError: a device other than cpu.
    """
    only_cpu("openvino", device)
    options: dict[str, Any] = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
    if bundle.precision == "float32":
        options["INFERENCE_PRECISION_HINT"] = "f32"
    try:
        core = openvino.Core()
        compiled = core.compile_model(_read(core, bundle), "CPU", options)
    except RuntimeError as problem:
        raise no_model(bundle, "openvino", problem) from problem
    check_input(bundle, _port(compiled.inputs[0], bundle.input.tensor, bundle, is_input=True))
    return OpenVINOEngine(compiled, bundle, threads)


def _read(core: openvino.Core, bundle: Bundle) -> openvino.Model:
    if bundle.format == "tflite" and "model.tflite" in bundle.contents:
        # TFLite files are read by path only; the bytes were verified, the file behind them may have changed since.
        with tempfile.TemporaryDirectory(prefix="edgebrain-") as folder:
            path = Path(folder, "model.tflite")
            path.write_bytes(bundle.contents["model.tflite"])
            return core.read_model(path)
    if not {"model.xml", "model.bin"} <= set(bundle.contents):
        raise BadBundle(f"{bundle.path}: lacks model.xml or model.bin", "export it again with `edgebrain quantize`")
    return core.read_model(bundle.contents["model.xml"], bundle.contents["model.bin"])


def _port(border: Any, name: str, bundle: Bundle, is_input: bool = False) -> Port:
    kind = border.get_element_type().get_type_name()
    shape = tuple(int(side) for side in border.shape) if border.partial_shape.is_static else ()
    return unscaled(bundle, name, shape, TYPES.get(kind, kind), is_input)


def _precision(compiled: openvino.CompiledModel) -> str:
    """Precision in which most convolutions and dense layers really run, as the compiled model tells it."""
    notes = [node.get_rt_info() for node in compiled.get_runtime_model().get_ops()]
    kinds = Counter(note["runtimePrecision"].value for note in notes if note["layerType"].value in LAYERS)
    most = kinds.most_common(1)[0][0] if kinds else "unknown"
    return RUNNING.get(most, str(most))
