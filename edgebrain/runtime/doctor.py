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
from edgebrain.runtime.library_check import check_libraries


@dataclass(frozen=True)
class Extra:
    """An optional set of libraries, as pyproject.toml declares it.

    Attributes:
        name: What stands in brackets: `pip install 'edgebrain[NAME]'`.
        modules: The modules that its packages let one import.
        adds: What it is good for.
    """

    name: str
    modules: tuple[str, ...]
    adds: str

    @property
    def missing(self) -> list[str]:
        """The modules that are not installed here; looked for, not imported."""
        return [module for module in self.modules if find_spec(module) is None]


_DATA = ("cv2", "scipy", "jinja2")
_KERAS = ("keras", "matplotlib", *_DATA)
_BENCH = ("surface_distance", "junitparser", *_DATA)
_ONNX = ("onnx", "onnxruntime", "sympy", "cv2")
_COMPRESS = (
    "tensorflow_model_optimization", "tf_keras", "nncf", "tf2onnx", "tensorflow", "ai_edge_litert", "openvino",
    *_ONNX, *_KERAS,
)  # fmt: skip

# A device installs no metadata of ours, so that the extras are listed here; a test compares them with pyproject.toml.
EXTRAS = (
    Extra("edge", ("ai_edge_litert", "cv2"), "predict and bench TFLite bundles"),
    Extra("tflite-runtime", ("tflite_runtime", "cv2"), "the same with Python 3.11 or older and NumPy 1"),
    Extra("openvino", ("openvino", "cv2"), "predict and bench OpenVINO bundles"),
    Extra("onnx", _ONNX, "predict and bench ONNX bundles"),
    Extra("data", _DATA, "read and audit data sets, write phantoms"),
    Extra("bench", _BENCH, "HD95 and surface Dice; pages and JUnit files"),
    Extra("train", ("tensorflow", *_KERAS), "train; bench the float Keras model"),
    Extra("jax", ("jax", *_KERAS), "the same with Keras on JAX"),
    Extra("torch", ("torch", *_KERAS), "the same with Keras on PyTorch"),
    Extra("tensorboard", ("tensorboard",), "train --tensorboard: event files"),
    Extra("compress", tuple(dict.fromkeys(_COMPRESS)), "quantize, prune, export: TFLite, OpenVINO, ONNX"),
    Extra("sign", ("cryptography",), "sign bundles, and verify signatures"),
    Extra(
        "all",
        tuple(dict.fromkeys((*_COMPRESS, *_BENCH, "cryptography", "tensorboard"))),
        "compress, bench, sign and tensorboard together",
    ),
)
# Extras that replace one another: who has one is not told to install the other.
ALTERNATIVES = {"tflite-runtime": "edge"}
MISSING = ("not installed", "")

Broken = Mapping[str, tuple[str, str]]


def diagnose(targets: Sequence[str], lacking: Mapping[str, str], progress: Progress = no_progress) -> dict[str, Any]:
    """Find out what works here, for `edgebrain doctor`.

    Args:
        targets: Names of the targets that can be started here.
        lacking: Name of each other target -> what it lacks.
        progress: Called with "trying what is installed", how many libraries were tried and how many there are.

    Returns:
        `environment`; `extras`, each with its installed, missing and broken modules, what it adds and the pip line;
        `engines`, name -> whether it computes; `broken`, what is installed and does not work -> `reason` and `cure`;
        `targets`, name -> the formats that can run there; `lacking`.
    """
    engines = all_engines()
    # An engine of another device, such as the Edge TPU, cannot be tried without it; its library can.
    on_cpu = [name for name, engine in engines.items() if installed(name) and CPU in engine.devices]
    modules = sorted({module for extra in EXTRAS for module in extra.modules} - {m for e in EXTRAS for m in e.missing})
    checked = check_libraries([*modules, *(f"engine:{name}" for name in on_cpu)], progress)
    broken = {name.removeprefix("engine:"): problem for name, problem in checked.items() if problem}
    works = {name: checked.get(f"engine:{name}", MISSING) is None for name in engines}
    works |= {
        name: installed(name) and engine.library not in broken
        for name, engine in engines.items()
        if CPU not in engine.devices
    }
    # Without OpenCV no picture is read, whatever the engines can do.
    if "cv2" not in modules or "cv2" in broken:
        works = dict.fromkeys(works, False)
    return {
        "environment": environment(),
        "extras": [_extra(extra, broken) for extra in EXTRAS],
        "engines": works,
        "broken": {name: {"reason": reason, "cure": cure} for name, (reason, cure) in broken.items()},
        "targets": {target: _formats_on(target, works) for target in targets},
        "lacking": dict(lacking),
    }


def _formats_on(target: str, works: Mapping[str, bool]) -> list[str]:
    """The formats that a working engine reads and that this target runs."""
    formats = [row for row in all_formats().values() if any(works[engine.name] for engine in engines_for(row.name))]
    return [row.name for row in formats if row.device == target]


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
