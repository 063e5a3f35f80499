"""The table of engines and the protocol that each follows. An engine is one interpreter with one model loaded.

A new engine is one file with `load(bundle, threads, device)` and one line in each table.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple, Protocol

import numpy as np

from edgebrain.bundle import Bundle
from edgebrain.errors import EdgebrainError, MissingExtra
from edgebrain.libraries import importing
from edgebrain.runtime.engines.ports import for_slices, one_at_a_time
from edgebrain.runtime.quiet import silent_stderr

ENGINES: dict[str, str] = {
    "litert": "edgebrain.runtime.engines.litert",
    "tflite": "edgebrain.runtime.engines.tflite",
    "openvino": "edgebrain.runtime.engines.openvino",
    "onnxruntime": "edgebrain.runtime.engines.onnxruntime",
    "edgetpu": "edgebrain.runtime.engines.edgetpu",
    "keras": "edgebrain.model.engine",
}


class Library(NamedTuple):
    """What an engine computes with. module: imported by the engine. package: as pip calls it. extra: that brings it."""

    module: str
    package: str
    extra: str


LIBRARIES: dict[str, Library] = {
    "litert": Library("ai_edge_litert", "ai-edge-litert", "edge"),
    "tflite": Library("tflite_runtime", "tflite-runtime", "tflite-runtime"),
    "openvino": Library("openvino", "openvino", "openvino"),
    "onnxruntime": Library("onnxruntime", "onnxruntime", "onnx"),
    "edgetpu": Library("ai_edge_litert", "ai-edge-litert", "edge"),
    "keras": Library("keras", "keras", "train"),
}
# Engines that read a format, best first.
READERS: dict[str, tuple[str, ...]] = {
    "tflite": ("litert", "tflite", "openvino"),
    "openvino": ("openvino",),
    "onnx": ("onnxruntime",),
    "edgetpu": ("edgetpu",),
    "keras": ("keras",),
}
# Engines that answer several slices in one call, from the same file. TFLite's could, but it computes on no GPU here.
TOGETHER = ("openvino", "onnxruntime", "keras")
# Formats that one device alone runs; every other format runs on the CPU, whatever else runs it.
COMPILED_FOR = {"edgetpu": "coral"}


class Engine(Protocol):
    """One model file, loaded and ready to answer."""

    def run(self, tensor: np.ndarray) -> dict[str, np.ndarray]:
        """Map one input tensor, shape and dtype as the manifest says, to one raw array per output role."""

    def describe(self) -> dict[str, Any]:
        """What really runs: engine, version, device, precision, delegate or provider, threads."""


def installed(name: str) -> bool:
    """Whether an engine's library can be imported; looks for it without importing it."""
    return find_spec(LIBRARIES[name].module) is not None


def choose_engine(bundle: Bundle, name: str | None = None) -> str:
    """The engine for a bundle: the one asked for, else the first installed one that reads its format.

    Raises EdgebrainError: no such engine, or one that does not read this format. MissingExtra: not installed.
    """
    readers = READERS[bundle.format]
    if name is not None and name not in readers:
        raise EdgebrainError(
            f"{bundle.path}: engine {name!r} does not read {bundle.format}", f"use --engine {' or '.join(readers)}"
        )
    chosen = name or next((reader for reader in readers if installed(reader)), readers[0])
    if not installed(chosen):
        library = LIBRARIES[chosen]
        raise MissingExtra(library.package, library.extra, f"{bundle.path} ({bundle.format})")
    return chosen


def open_engine(
    bundle: Bundle, name: str | None = None, threads: int = 1, device: str | None = None, slices: int = 1
) -> Engine:
    """Import only the interpreter that this bundle needs, and load the verified bytes in it.

    device: else the one that the format is compiled for, or the CPU. slices: how many it answers in one call.
    Raises EdgebrainError or MissingExtra as `choose_engine`. BrokenLibrary: the interpreter cannot be loaded.
    BadBundle: the file is no model, or is not as its manifest says, or cannot answer so many slices in one call.
    """
    chosen = choose_engine(bundle, name)
    seen = bundle if slices == 1 else for_slices(bundle, slices)
    if slices > 1 and chosen not in TOGETHER:
        raise one_at_a_time(seen, chosen, "it is asked for one slice a call")
    place = device or COMPILED_FOR.get(bundle.format, "cpu")
    library = LIBRARIES[chosen]
    # Libraries built for another NumPy print a page of traceback before they raise.
    with importing(library.package, library.extra, f"{bundle.path} ({bundle.format})"), silent_stderr():
        module = import_module(ENGINES[chosen])
    engine: Engine = module.load(seen, threads, place)
    return engine
