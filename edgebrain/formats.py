"""The table of model formats and the table of engines: everything else takes what it needs to know of one from here.

A format is a kind of model file; an engine is an interpreter that computes one. Modules are named, not imported: this
file loads no library and travels to devices with the runtime. Installed packages add rows through the entry points
`edgebrain.formats` and `edgebrain.engines`; see docs/how-to/extending.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

from edgebrain.errors import BrokenPlugin
from edgebrain.plugins import find_plugins, load_plugin

CPU, GPU, CORAL = "cpu", "gpu", "coral"


@dataclass(frozen=True)
class Format:
    """A kind of model file.

    Attributes:
        name: What recipes, manifests and bundle folders call it.
        title: What people call it.
        files: Names of its files in a bundle.
        devices: What it is measured on, the usual one first; one that is compiled for a device names that one alone.
        graph: Module with `operators(*files) -> list[Operator]`, which reads what was written; empty where the files
            hold no operators.
        exporter: Module that writes it, see `edgebrain.compression.formats`; empty where `quantize` does not.
        inspectable: Whether the exporter's module has a `Probe`, with which `explain` looks into single layers.
        extra: The extra of edgebrain that brings what its engines need; empty for a format of another package.
        packages: Packages that take part in the export; their versions are written into the bundle.
    """

    name: str
    title: str
    files: tuple[str, ...]
    devices: tuple[str, ...] = (CPU,)
    graph: str = ""
    exporter: str = ""
    inspectable: bool = False
    extra: str = ""
    packages: tuple[str, ...] = ()

    @property
    def device(self) -> str:
        """The device that runs it unless another is asked for."""
        return self.devices[0]

    @property
    def compiled(self) -> bool:
        """Whether its files are compiled for one device, so that no processor runs them."""
        return CPU not in self.devices


@dataclass(frozen=True)
class EngineInfo:
    """An interpreter.

    Attributes:
        name: What `--engine`, target files and reports call it.
        module: Module with `load(bundle, threads, device)`, which returns an `edgebrain.runtime.engines.Engine`.
        formats: Formats that it reads.
        library: Module that it computes with; it is installed where this one can be imported.
        package: What pip calls that library.
        extra: The extra of edgebrain that brings it; empty for an engine of another package.
        devices: Devices that it can compute on.
        batched: Whether it answers several slices in one call from the same file.
        portable: Whether the kits and the SSH targets can carry its wheels to a device.
    """

    name: str
    module: str
    formats: tuple[str, ...]
    library: str
    package: str
    extra: str = ""
    devices: tuple[str, ...] = (CPU,)
    batched: bool = False
    portable: bool = False


Row = TypeVar("Row", Format, EngineInfo)

FORMATS: dict[str, Format] = {
    row.name: row
    for row in (
        Format("keras", "Keras", ("model.weights.h5",), (CPU, GPU), extra="train"),
        Format(
            "tflite",
            "TFLite",
            ("model.tflite",),
            graph="edgebrain.graph.tflite",
            exporter="edgebrain.compression.formats.tflite",
            inspectable=True,
            extra="edge",
            packages=("tensorflow-model-optimization",),
        ),
        Format(
            "openvino",
            "OpenVINO",
            ("model.xml", "model.bin"),
            (CPU, GPU),
            graph="edgebrain.graph.openvino",
            exporter="edgebrain.compression.formats.openvino",
            inspectable=True,
            extra="openvino",
            packages=("openvino", "nncf"),
        ),
        Format(
            "onnx",
            "ONNX",
            ("model.onnx",),
            (CPU, GPU),
            graph="edgebrain.graph.onnx",
            exporter="edgebrain.compression.formats.onnx",
            extra="onnx",
            packages=("onnx", "onnxruntime", "tf2onnx"),
        ),
        Format("edgetpu", "Edge TPU", ("model.edgetpu.tflite",), (CORAL,), extra="edge"),
    )
}

# Of several engines that read a format, the first that is installed is taken.
ENGINES: dict[str, EngineInfo] = {
    row.name: row
    for row in (
        EngineInfo(
            "litert",
            "edgebrain.runtime.engines.litert",
            ("tflite",),
            "ai_edge_litert",
            "ai-edge-litert",
            "edge",
            portable=True,
        ),
        EngineInfo(
            "tflite",
            "edgebrain.runtime.engines.tflite",
            ("tflite",),
            "tflite_runtime",
            "tflite-runtime",
            "tflite-runtime",
        ),
        EngineInfo(
            "openvino",
            "edgebrain.runtime.engines.openvino",
            ("openvino", "tflite"),
            "openvino",
            "openvino",
            "openvino",
            (CPU, GPU),
            batched=True,
            portable=True,
        ),
        EngineInfo(
            "onnxruntime",
            "edgebrain.runtime.engines.onnxruntime",
            ("onnx",),
            "onnxruntime",
            "onnxruntime",
            "onnx",
            (CPU, GPU),
            batched=True,
            portable=True,
        ),
        EngineInfo(
            "edgetpu",
            "edgebrain.runtime.engines.edgetpu",
            ("edgetpu",),
            "ai_edge_litert",
            "ai-edge-litert",
            "edge",
            (CORAL,),
        ),
        EngineInfo("keras", "edgebrain.model.engine", ("keras",), "keras", "keras", "train", (CPU, GPU), batched=True),
    )
}


def all_formats() -> dict[str, Format]:
    """Name -> row of every format, the installed packages' last. Raises BrokenPlugin."""
    return {**FORMATS, **_added_formats()}


def all_engines() -> dict[str, EngineInfo]:
    """Name -> row of every engine, the installed packages' last. Raises BrokenPlugin."""
    return {**ENGINES, **_added_engines()}


def find_format(name: str) -> Format | None:
    """The row of a format, None where there is none. Raises BrokenPlugin."""
    # Looking for installed packages takes longer than a prediction, so they are asked for names of their own only.
    return FORMATS.get(name) or all_formats().get(name)


def find_engine(name: str) -> EngineInfo | None:
    """The row of an engine, None where there is none. Raises BrokenPlugin."""
    return ENGINES.get(name) or all_engines().get(name)


def exported_formats() -> tuple[str, ...]:
    """Names of the formats that `quantize` can write. Raises BrokenPlugin."""
    return tuple(name for name, row in all_formats().items() if row.exporter)


def engines_for(format_name: str, device: str | None = None) -> Iterator[EngineInfo]:
    """Engines that read a format, best first, the installed packages' last.

    Args:
        format_name: Name of the format.
        device: Only engines that compute on this device, and nothing where the format is not measured there; else all.

    Raises:
        BrokenPlugin: A package that adds an engine cannot be loaded; only once the built-in ones are exhausted.
    """
    row = find_format(format_name)
    if row is None or (device is not None and device not in row.devices):
        return
    # One after the other: packages are looked for only where no built-in engine was good enough.
    yield from _readers(ENGINES, format_name, device)
    yield from _readers(_added_engines(), format_name, device)


def _readers(table: dict[str, EngineInfo], format_name: str, device: str | None) -> Iterator[EngineInfo]:
    for engine in table.values():
        if format_name in engine.formats and device in (None, *engine.devices):
            yield engine


@cache
def _added_formats() -> dict[str, Format]:
    return _added("edgebrain.formats", Format, FORMATS)


@cache
def _added_engines() -> dict[str, EngineInfo]:
    return _added("edgebrain.engines", EngineInfo, ENGINES)


def _added(group: str, kind: type[Row], known: dict[str, Row]) -> dict[str, Row]:
    """The rows of installed packages, by the names that they carry themselves."""
    rows = [load_plugin(entry, kind) for entry in find_plugins(group).values()]
    for row in rows:
        if row.name in known:
            raise BrokenPlugin(
                f"an installed package brings a row {row.name!r} ({group}), and edgebrain has one of that name",
                "uninstall that package, or rename what it brings",
            )
    return {row.name: row for row in rows}
