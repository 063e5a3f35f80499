"""ONNX files on ONNX Runtime, on the CPU provider."""

from __future__ import annotations

import platform
from typing import Any

import numpy as np
import onnxruntime

from edgebrain.bundle import ROLES, Bundle, Port
from edgebrain.errors import BadBundle
from edgebrain.runtime.engines.ports import check_input, match_outputs, no_model, only_cpu, unscaled

TYPES = {"float": "float32", "float16": "float16", "int8": "int8", "uint8": "uint8"}


class ONNXEngine:
    """An ONNX model in a session."""

    def __init__(self, session: onnxruntime.InferenceSession, bundle: Bundle, threads: int) -> None:
        match_outputs(bundle, {node.name: _port(node, bundle) for node in session.get_outputs()})
        self._session = session
        self._input = session.get_inputs()[0].name
        self._outputs = [bundle.output(role).tensor for role in ROLES]
        self._facts = {
            "engine": "onnxruntime",
            "version": onnxruntime.__version__,
            "device": "cpu",
            "precision": _precision(bundle),
            "provider": session.get_providers()[0],
            "threads": threads,
        }

    def run(self, tensor: np.ndarray) -> dict[str, np.ndarray]:
        """Map one input tensor to one raw array per output role."""
        return dict(zip(ROLES, self._session.run(self._outputs, {self._input: tensor}), strict=True))

    def describe(self) -> dict[str, Any]:
        """What really runs."""
        return dict(self._facts)


def load(bundle: Bundle, threads: int, device: str) -> ONNXEngine:
    """Load a bundle's ONNX file.

    Raises BadBundle: the bytes are no model, or not the manifest's. EdgebrainError: a device other than cpu.
    """
    only_cpu("onnxruntime", device)
    if "model.onnx" not in bundle.contents:
        raise BadBundle(f"{bundle.path}: holds no model.onnx", "export it again with `edgebrain quantize`")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(
            bundle.contents["model.onnx"], options, providers=["CPUExecutionProvider"]
        )
    # ONNX Runtime's errors have no common base but Exception, and their classes are private.
    except Exception as problem:
        raise no_model(bundle, "onnxruntime", problem) from problem
    check_input(bundle, _port(session.get_inputs()[0], bundle, is_input=True))
    return ONNXEngine(session, bundle, threads)


def _precision(bundle: Bundle) -> str:
    # On x86-64 the CPU provider has no float16 kernels: it widens and computes in float32.
    widened = bundle.precision == "float16" and platform.machine() == "x86_64"
    return "float32" if widened else bundle.precision


def _port(node: Any, bundle: Bundle, is_input: bool = False) -> Port:
    kind = node.type.removeprefix("tensor(").removesuffix(")")
    # A free axis has a name or None instead of a number.
    shape = tuple(side if isinstance(side, int) else 0 for side in node.shape)
    return unscaled(bundle, node.name, shape, TYPES.get(kind, kind), is_input)
