"""An engine that edgebrain does not have: ONNX files on OpenVINO."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgebrain.bundle import ROLES, Bundle, Port
from edgebrain.formats import EngineInfo
from edgebrain.runtime.engines.ports import check_device, check_input, match_outputs, no_model, unscaled

ENGINE = EngineInfo("toy", "toy_engine", formats=("onnx",), library="openvino", package="openvino")


class ToyEngine:
    """A compiled model."""

    def __init__(self, compiled: Any, bundle: Bundle, version: str, threads: int) -> None:
        """Refuse a file that is not as its manifest says."""
        check_input(bundle, _port(compiled.inputs[0], bundle, bundle.input.tensor, is_input=True))
        match_outputs(bundle, {one.any_name: _port(one, bundle, one.any_name) for one in compiled.outputs})
        self._compiled, self._bundle = compiled, bundle
        self._facts = {"engine": "toy", "version": version, "device": "cpu", "threads": threads}

    def run(self, tensor: np.ndarray) -> dict[str, np.ndarray]:
        """Compute one input tensor: output role -> raw array."""
        answer = self._compiled(tensor)
        return {role: np.array(answer[self._bundle.output(role).tensor]) for role in ROLES}

    def describe(self) -> dict[str, Any]:
        """What really runs."""
        return {**self._facts, "precision": self._bundle.precision, "provider": "OpenVINO"}


def load(bundle: Bundle, threads: int, device: str) -> ToyEngine:
    """Load a bundle's ONNX file."""
    # Not at the top: edgebrain reads ENGINE above without loading the library.
    import openvino

    check_device("toy", device)
    try:
        model = openvino.Core().read_model(bundle.contents["model.onnx"])
        options = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
        compiled = openvino.Core().compile_model(model, "CPU", options)
    except RuntimeError as problem:
        raise no_model(bundle, "toy", problem) from problem
    return ToyEngine(compiled, bundle, openvino.__version__, threads)


def relu(values: np.ndarray) -> np.ndarray:
    """What `edgebrain doctor` tries: relu of (1, 4) float32, computed by the library itself."""
    import openvino
    from openvino import opset13

    given = opset13.parameter([1, 4], np.float32)
    model = openvino.Model([opset13.relu(given)], [given], "relu")
    return np.array(openvino.Core().compile_model(model, "CPU")(values)[0])


def _port(node: Any, bundle: Bundle, name: str, is_input: bool = False) -> Port:
    shape = tuple(int(side) for side in node.shape)
    return unscaled(bundle, name, shape, np.dtype(node.element_type.to_dtype()).name, is_input)
