"""TFLite's interpreter, whichever package brings it: the two packages differ in their name only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgebrain.bundle import Bundle, Port
from edgebrain.errors import BadBundle
from edgebrain.runtime.engines.ports import check_device, check_input, match_outputs, no_model
from edgebrain.runtime.engines.relu_model import RELU_TFLITE
from edgebrain.runtime.stderr import suppressed_stderr


class TFLiteEngine:
    """A TFLite model in an interpreter."""

    def __init__(self, interpreter: Any, bundle: Bundle, package: str, facts: Mapping[str, Any]) -> None:
        """package: as pip calls the interpreter. facts: what `describe` says, but the version and the precision."""
        self._interpreter = interpreter
        self._input = int(interpreter.get_input_details()[0]["index"])
        details = {detail["name"]: detail for detail in interpreter.get_output_details()}
        ports = match_outputs(bundle, {tensor: _port(detail) for tensor, detail in details.items()})
        self._outputs = {role: int(details[port.tensor]["index"]) for role, port in ports.items()}
        self._package = package
        # Float16 is how weights are stored; the kernels widen them and compute in float32.
        precision = "float32" if bundle.precision == "float16" else bundle.precision
        self._facts = {**facts, "precision": precision}

    def run(self, tensor: np.ndarray) -> dict[str, np.ndarray]:
        """Map one input tensor, (1, height, width, 1) in the bundle's dtype, to one raw array per output role."""
        self._interpreter.set_tensor(self._input, tensor)
        self._interpreter.invoke()
        return {role: self._interpreter.get_tensor(index) for role, index in self._outputs.items()}

    def describe(self) -> dict[str, Any]:
        """What really runs."""
        # Reading metadata takes longer than a prediction, which does not need it.
        from importlib.metadata import version

        return {**self._facts, "version": version(self._package)}


def load_with(interpreter: Any, bundle: Bundle, name: str, package: str, threads: int, device: str) -> TFLiteEngine:
    """Load a bundle's TFLite file. interpreter: the class. package: as pip calls it.

    Raises:
        BadBundle: The bytes are no model, or not the manifest's.
        EdgebrainError: A device other than cpu.
    """
    check_device(name, device)
    loaded = load_file(interpreter, bundle, "model.tflite", name, threads)
    facts = {"engine": name, "device": "cpu", "delegate": _delegate(loaded), "threads": threads}
    return TFLiteEngine(loaded, bundle, package, facts)


def relu_with(interpreter: Any, values: np.ndarray) -> np.ndarray:
    """The one-operator model's answer.

    Args:
        interpreter: The interpreter's class.
        values: (1, 4) float32.

    Returns:
        (1, 4) float32, negative values as 0.
    """
    loaded = interpreter(model_content=RELU_TFLITE)
    loaded.allocate_tensors()
    loaded.set_tensor(loaded.get_input_details()[0]["index"], values)
    loaded.invoke()
    return np.asarray(loaded.get_tensor(loaded.get_output_details()[0]["index"]))


def load_file(interpreter: Any, bundle: Bundle, file: str, name: str, threads: int) -> Any:
    """An interpreter, ready to answer, on one of the bundle's files. name: how errors call the engine.

    Raises:
        BadBundle: There is no such file, the bytes are no model, or not the manifest's.
    """
    if file not in bundle.contents:
        raise BadBundle(f"{bundle.path}: holds no {file}", "export it again with `edgebrain quantize`")
    try:
        # The interpreter announces its delegate at each start, and no setting silences it. `describe` says it.
        with suppressed_stderr():
            loaded = interpreter(model_content=bundle.contents[file], num_threads=threads)
            loaded.allocate_tensors()
    except (ValueError, RuntimeError) as problem:
        raise no_model(bundle, name, problem) from problem
    check_input(bundle, _port(loaded.get_input_details()[0]))
    return loaded


def _port(detail: dict[str, Any]) -> Port:
    scale, zero_point = detail["quantization"]
    # A float tensor has scale 0 in the file; the manifest says 1. `shape` shows a free axis as 1, the signature as -1;
    # it is empty where the writer left it out.
    signature = detail["shape_signature"] if len(detail["shape_signature"]) else detail["shape"]
    return Port(
        str(detail["name"]),
        tuple(int(side) for side in signature),
        np.dtype(detail["dtype"]).name,
        float(scale) or 1.0,
        int(zero_point),
    )


def _delegate(interpreter: Any) -> str | None:
    """Name of the delegate that took operators over, from the interpreter's own list (a private call: it may go)."""
    list_operators = getattr(interpreter, "_get_ops_details", None)
    if list_operators is None:
        return None
    names = {str(operator["op_name"]) for operator in list_operators()}
    return "XNNPACK" if any(name == "DELEGATE" or "XNNPack" in name for name in names) else None
