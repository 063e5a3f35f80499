"""ONNX files on ONNX Runtime: on the CPU, or on an NVIDIA GPU by TensorRT or CUDA."""

from __future__ import annotations

import json
import platform
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

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

# Device -> the providers that compute there, best first.
PROVIDERS = {
    "cpu": ("CPUExecutionProvider",),
    "gpu": ("TensorrtExecutionProvider", "CUDAExecutionProvider"),
}
# Since ONNX Runtime 1.21 it rounds float weights between rounded activations to int8, one scale for the whole tensor,
# and so undoes what was kept in float. https://github.com/microsoft/onnxruntime/pull/22969
REQUANTIZES = "WeightBiasQuantization"
TYPES = {"float": "float32", "float16": "float16", "int8": "int8", "uint8": "uint8"}


class ONNXEngine:
    """An ONNX model in a session."""

    def __init__(self, session: onnxruntime.InferenceSession, bundle: Bundle, threads: int, device: str) -> None:
        match_outputs(bundle, {node.name: _port(node, bundle) for node in session.get_outputs()})
        self._session = session
        self._input = session.get_inputs()[0].name
        self._outputs = [bundle.output(role).tensor for role in ROLES]
        self._facts = {
            "engine": "onnxruntime",
            "version": onnxruntime.__version__,
            "device": device,
            "precision": _precision(bundle, device),
            "provider": session.get_providers()[0],
            "threads": threads,
        }

    def run(self, tensor: np.ndarray) -> dict[str, np.ndarray]:
        """Map one input tensor, (1, height, width, 1) in the bundle's dtype, to one raw array per output role."""
        return dict(zip(ROLES, self._session.run(self._outputs, {self._input: tensor}), strict=True))

    def describe(self) -> dict[str, Any]:
        """What really runs."""
        return dict(self._facts)


def load(bundle: Bundle, threads: int, device: str) -> ONNXEngine:
    """Load a bundle's ONNX file, changed for as many slices a call as the bundle's input has.

    Raises:
        BadBundle: The bytes are no model, or not the manifest's.
        EdgebrainError: An unknown device, one that is not here, an operator that ran elsewhere, or a model that cannot
            be changed so.
        MissingExtra: `onnx`, which changes it.
    """
    check_device("onnxruntime", device)
    if "model.onnx" not in bundle.contents:
        raise BadBundle(f"{bundle.path}: holds no model.onnx", "export it again with `edgebrain quantize`")
    providers, slices = _present(device), bundle.input.shape[0]
    if slices > 1:
        from edgebrain.runtime.engines.onnx_slices import with_slices

        bundle = replace(bundle, contents={"model.onnx": with_slices(bundle.contents["model.onnx"], slices)})
    try:
        session = _session(bundle, threads, providers)
        ran = providers_that_ran(bundle, providers) if device != "cpu" else {}
    # ONNX Runtime's errors have no common base but Exception, and their classes are private.
    except Exception as problem:
        raise (no_model if slices == 1 else one_at_a_time)(bundle, "onnxruntime", problem) from problem
    elsewhere = sum(count for provider, count in ran.items() if provider not in providers)
    if elsewhere:
        counts = ", ".join(f"{count} on {provider}" for provider, count in ran.items())
        raise fell_back(bundle, "onnxruntime", device, f"of {sum(ran.values())} operators there ran {counts}")
    check_input(bundle, _port(session.get_inputs()[0], bundle, is_input=True))
    return ONNXEngine(session, bundle, threads, device)


def relu(values: np.ndarray) -> np.ndarray:
    """The one-operator model's answer: (1, 4) float32 -> the same, negative values as 0."""
    session = onnxruntime.InferenceSession(RELU_ONNX, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"x": values})[0])


def providers_that_ran(bundle: Bundle, providers: Sequence[str]) -> Counter[str]:
    """Which provider executed how many operators of one run, read from the runtime's own profile.

    A session's list of providers says what was asked for; what a provider does not take goes to the CPU silently.
    """
    with tempfile.TemporaryDirectory(prefix="edgebrain-") as folder:
        session = _session(bundle, 1, providers, profile=str(Path(folder, "profile")))
        given = session.get_inputs()[0]
        session.run(None, {given.name: np.zeros(given.shape, TYPES[given.type[len("tensor(") : -1]])})
        events = json.loads(Path(session.end_profiling()).read_text())
    return Counter(event["args"]["provider"] for event in events if event.get("args", {}).get("provider"))


def _present(device: str) -> list[str]:
    """The device's providers that this build of the runtime has."""
    here = onnxruntime.get_available_providers()
    present = [provider for provider in PROVIDERS[device] if provider in here]
    if not present:
        raise EdgebrainError(
            f"ONNX Runtime {onnxruntime.__version__} has no provider for device {device!r} (it has {', '.join(here)})",
            "on a machine with an NVIDIA driver: pip install onnxruntime-gpu in place of onnxruntime",
        )
    return present


def _session(bundle: Bundle, threads: int, providers: Sequence[str], profile: str = "") -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if profile:
        options.enable_profiling, options.profile_file_prefix = True, profile
    return onnxruntime.InferenceSession(
        bundle.contents["model.onnx"], options, providers=list(providers), disabled_optimizers=[REQUANTIZES]
    )


def _precision(bundle: Bundle, device: str) -> str:
    # On x86-64 the CPU provider has no float16 kernels: it widens and computes in float32.
    widened = bundle.precision == "float16" and device == "cpu" and platform.machine() == "x86_64"
    return "float32" if widened else bundle.precision


def _port(node: Any, bundle: Bundle, is_input: bool = False) -> Port:
    kind = node.type.removeprefix("tensor(").removesuffix(")")
    # A free axis has a name or None instead of a number.
    shape = tuple(side if isinstance(side, int) else 0 for side in node.shape)
    return unscaled(bundle, node.name, shape, TYPES.get(kind, kind), is_input)
