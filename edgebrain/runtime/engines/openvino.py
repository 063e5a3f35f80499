"""OpenVINO IR, or a TFLite file, on OpenVINO. A float32 bundle runs in float32 even where bfloat16 is at hand."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openvino

from edgebrain.bundle import ROLES, Bundle, Port
from edgebrain.errors import BadBundle, EdgebrainError
from edgebrain.runtime.engines.ports import (
    check_device,
    check_input,
    fell_back,
    match_outputs,
    no_model,
    one_at_a_time,
    unscaled,
)
from edgebrain.runtime.engines.relu_model import RELU_ONNX

# Device -> what OpenVINO calls it.
DEVICES = {"cpu": "CPU", "gpu": "GPU"}
TYPES = {"f32": "float32", "f16": "float16", "i8": "int8", "u8": "uint8"}
# An int8 layer may take unsigned input; both are 8-bit integer arithmetic.
RUNNING = {"f32": "float32", "f16": "float16", "bf16": "bfloat16", "i8": "int8", "u8": "int8"}
LAYERS = ("Convolution", "Deconvolution", "FullyConnected", "MatMul")


class OpenVINOEngine:
    """A compiled model with one request."""

    def __init__(self, compiled: openvino.CompiledModel, bundle: Bundle, threads: int, device: str) -> None:
        found = {name: _port(output, name, bundle) for output in compiled.outputs for name in output.get_names()}
        match_outputs(bundle, found)
        index_of = {name: index for index, output in enumerate(compiled.outputs) for name in output.get_names()}
        self._request = compiled.create_infer_request()
        self._outputs = {role: index_of[bundle.output(role).tensor] for role in ROLES}
        self._facts = {
            "engine": "openvino",
            "version": openvino.__version__.split("-")[0],
            "device": device,
            "precision": _precision(compiled),
            "provider": ", ".join(compiled.get_property("EXECUTION_DEVICES")),
            "threads": threads,
        }

    def run(self, tensor: np.ndarray) -> dict[str, np.ndarray]:
        """Map one input tensor, (1, height, width, 1) in the bundle's dtype, to one raw array per output role."""
        self._request.get_input_tensor().data[:] = tensor
        self._request.infer()
        # Copied: the request writes its next answer into the same memory.
        return {role: self._request.get_output_tensor(index).data.copy() for role, index in self._outputs.items()}

    def describe(self) -> dict[str, Any]:
        """What really runs; precision is that of most convolutions and dense layers in the compiled model."""
        return dict(self._facts)


def load(bundle: Bundle, threads: int, device: str) -> OpenVINOEngine:
    """Load a bundle's IR, shaped for as many slices a call as the bundle's input has.

    Raises:
        BadBundle: The bytes are no model, or not the manifest's.
        EdgebrainError: An unknown device, one that is not here, a model that executes elsewhere, or one that cannot be
            shaped so.
    """
    check_device("openvino", device)
    core, wanted = openvino.Core(), DEVICES[device]
    if device != "cpu":
        _refuse_absent(core, wanted)
    options: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY"}
    if device == "cpu":
        options["INFERENCE_NUM_THREADS"] = threads
    # What stays float in a mixed bundle was kept for its precision.
    if bundle.precision in ("float32", "mixed"):
        options["INFERENCE_PRECISION_HINT"] = "f32"
    slices = bundle.input.shape[0]
    try:
        model = _read(core, bundle)
        if slices > 1:
            model.reshape(list(bundle.input.shape))
        compiled = core.compile_model(model, wanted, options)
    except RuntimeError as problem:
        raise (no_model if slices == 1 else one_at_a_time)(bundle, "openvino", problem) from problem
    refuse_elsewhere(bundle, device, compiled.get_property("EXECUTION_DEVICES"))
    check_input(bundle, _port(compiled.inputs[0], bundle.input.tensor, bundle, is_input=True))
    return OpenVINOEngine(compiled, bundle, threads, device)


def relu(values: np.ndarray) -> np.ndarray:
    """The one-operator model's answer: (1, 4) float32 -> the same, negative values as 0."""
    compiled = openvino.Core().compile_model(openvino.Core().read_model(RELU_ONNX), "CPU")
    return np.asarray(compiled(values)[0])


def _refuse_absent(core: openvino.Core, wanted: str) -> None:
    # Asked of this device alone: to list them all is to load every OpenCL driver of the machine, and one that brings
    # its own LLVM (pocl) was seen to kill a process in which TensorFlow is loaded.
    try:
        core.get_property(wanted, "FULL_DEVICE_NAME")
    except RuntimeError as problem:
        raise EdgebrainError(
            f"OpenVINO sees no device {wanted} here",
            "install the driver of an Intel GPU (on Debian: intel-opencl-icd), or use --target cpu",
        ) from problem


def refuse_elsewhere(bundle: Bundle, device: str, ran: Sequence[str]) -> None:
    """Raises:
    EdgebrainError: Not all devices that execute the model are the one that was asked for.
    """
    if any(name.split(".")[0] != DEVICES[device] for name in ran):
        raise fell_back(bundle, "openvino", device, f"it executes on {', '.join(ran)}")


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


def _port(node: Any, name: str, bundle: Bundle, is_input: bool = False) -> Port:
    kind = node.get_element_type().get_type_name()
    shape = tuple(int(side) for side in node.shape) if node.partial_shape.is_static else ()
    return unscaled(bundle, name, shape, TYPES.get(kind, kind), is_input)


def _precision(compiled: openvino.CompiledModel) -> str:
    """Precision in which most convolutions and dense layers really run, as the compiled model tells it."""
    notes = [node.get_rt_info() for node in compiled.get_runtime_model().get_ops()]
    kinds = Counter(note["runtimePrecision"].value for note in notes if note["layerType"].value in LAYERS)
    most = kinds.most_common(1)[0][0] if kinds else "unknown"
    return RUNNING.get(most, str(most))
