"""What is installed here and works, what each missing extra would add, and which engines and targets can run.

What is installed is tried, not only looked for: each library is imported, and each engine computes one operator, in a
child process.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from edgebrain.formats import CPU, all_engines, all_formats, engines_for
from edgebrain.progress import Progress, no_progress
from edgebrain.runtime.engines import installed
from edgebrain.runtime.environment import environment
from edgebrain.runtime.probe import try_out


@dataclass(frozen=True)
class Extra:
    """An optional set of libraries. modules: what it lets one import. adds: what it is good for."""

    name: str
    modules: tuple[str, ...]
    adds: str

    @property
    def missing(self) -> list[str]:
        """The modules that are not installed here; looked for, not imported."""
        return [module for module in self.modules if find_spec(module) is None]


PARTS = (
    Extra("edge", ("ai_edge_litert", "cv2"), "predict and bench TFLite bundles"),
    Extra("tflite-runtime", ("tflite_runtime", "cv2"), "the same with Python 3.11 or older and NumPy 1"),
    Extra("openvino", ("openvino", "cv2"), "predict and bench OpenVINO bundles"),
    Extra("onnx", ("onnx", "onnxruntime", "sympy", "cv2"), "predict and bench ONNX bundles"),
    Extra("data", ("cv2", "scipy", "jinja2"), "read and audit data sets, write the phantom set"),
    Extra("bench", ("surface_distance", "junitparser", "scipy"), "HD95, surface Dice and JUnit in reports"),
    Extra("train", ("tensorflow", "keras", "matplotlib", "cv2", "scipy"), "train; bench the float Keras model"),
    Extra("jax", ("jax", "keras", "matplotlib", "cv2", "scipy"), "train with JAX (KERAS_BACKEND=jax)"),
    Extra("torch", ("torch", "keras", "matplotlib", "cv2", "scipy"), "train with PyTorch (KERAS_BACKEND=torch)"),
    Extra("tensorboard", ("tensorboard",), "event files of a training (train --tensorboard)"),
    Extra(
        "compress",
        ("tensorflow", "keras", "tensorflow_model_optimization", "tf_keras", "nncf", "tf2onnx"),
        "quantize, prune and export: TFLite, OpenVINO, ONNX",
    ),
    Extra("sign", ("cryptography",), "sign bundles and kits (bundle keygen, bundle sign)"),
)
# As in pyproject.toml: JAX, PyTorch and the old interpreter replace what is in it.
OF_ALL = ("edge", "openvino", "onnx", "data", "bench", "train", "tensorboard", "compress", "sign")
EXTRAS = (
    *PARTS,
    Extra(
        "all",
        tuple(dict.fromkeys(module for part in PARTS if part.name in OF_ALL for module in part.modules)),
        "all of this but tflite-runtime, jax and torch",
    ),
)
# Extras that replace one another: where the second is installed, the first is not proposed.
ALTERNATIVES = {"tflite-runtime": "edge"}
MISSING = ("not installed", "")


Broken = Mapping[str, tuple[str, str]]


def diagnose(targets: Sequence[str], lacking: Mapping[str, str], progress: Progress = no_progress) -> dict[str, Any]:
    """Facts for `edgebrain doctor`.

    Args:
        targets: Names of the targets that can be started here.
        lacking: Name -> what is missing, for the others.
        progress: Called with libraries tried and libraries in all.

    Returns:
        Environment; extras, each with installed (and working), missing and broken modules, what it adds and the pip
        line; engines, name -> whether it computes; broken, what is installed and does not work -> reason and cure;
        targets, name -> the formats that can run there; lacking.
    """
    known = all_engines()
    # An engine of another device, such as the Edge TPU, cannot be tried without it; its library can.
    engines = [name for name, engine in known.items() if installed(name) and CPU in engine.devices]
    modules = sorted({module for extra in EXTRAS for module in extra.modules} - {m for e in EXTRAS for m in e.missing})
    tried = try_out([*modules, *(f"engine:{name}" for name in engines)], progress)
    broken = {name.removeprefix("engine:"): problem for name, problem in tried.items() if problem}
    works = {name: tried.get(f"engine:{name}", MISSING) is None for name in known}
    works |= {
        name: installed(name) and engine.library not in broken
        for name, engine in known.items()
        if CPU not in engine.devices
    }
    # Without OpenCV no picture is read, whatever the engines can do.
    if "cv2" not in modules or "cv2" in broken:
        works = dict.fromkeys(works, False)
    formats = [row for row in all_formats().values() if any(works[engine.name] for engine in engines_for(row.name))]
    run_by = {target: [row.name for row in formats if row.device == target] for target in targets}
    return {
        "environment": environment(),
        "extras": [_extra(extra, broken) for extra in EXTRAS],
        "engines": works,
        "broken": {name: {"reason": reason, "cure": cure} for name, (reason, cure) in broken.items()},
        "targets": run_by,
        "lacking": dict(lacking),
    }


def _extra(extra: Extra, broken: Broken) -> dict[str, Any]:
    engines = [name for name, engine in all_engines().items() if engine.library in extra.modules]
    return {
        "name": extra.name,
        "installed": not extra.missing,
        "missing": extra.missing,
        "broken": [name for name in dict.fromkeys((*extra.modules, *engines)) if name in broken],
        "adds": extra.adds,
        "install": _install(extra),
    }


def _install(extra: Extra) -> str | None:
    """The line that installs an extra, or None where it is installed, replaced by another, or has no wheel."""
    other = next((one for one in EXTRAS if one.name == ALTERNATIVES.get(extra.name)), None)
    replaced = other is not None and not other.missing
    too_new = extra.name == "tflite-runtime" and sys.version_info >= (3, 12)
    return None if not extra.missing or replaced or too_new else f"pip install 'edgebrain[{extra.name}]'"
