"""SavedModel -> model file, one module a format.

Each module has `export(saved_model, side, precision, calibration) -> Exported`; precision is float32, float16 or
int8, and calibration is given for int8 only. `operators(contents)` reads back what was written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from edgebrain.bundle import Port
from edgebrain.compression.calibration import Calibration
from edgebrain.graph import Operator

EXPORTERS = {
    "tflite": "edgebrain.compression.exporters.tflite",
    "openvino": "edgebrain.compression.exporters.openvino",
    "onnx": "edgebrain.compression.exporters.onnx",
}
# What tells the outputs apart: converters rename and reorder them.
RANKS = {"mask": 4, "class": 2}


@dataclass(frozen=True)
class Exported:
    """A written model: its files, its border, and the operators read back from the files."""

    contents: Mapping[str, bytes] = field(repr=False)
    input: Port
    outputs: Mapping[str, Port]
    operators: tuple[Operator, ...] = field(repr=False)


class Exporter(Protocol):
    """A module of EXPORTERS."""

    def export(self, saved_model: Path, side: int, precision: str, calibration: Calibration | None) -> Exported:
        """Write one model file. Raises MissingExtra where the format's library is not installed."""

    def operators(self, contents: Mapping[str, bytes]) -> tuple[Operator, ...]:
        """The operators of a written model, in the order of computation. Raises BadBundle."""


def exporter(format_name: str) -> Exporter:
    """The exporter of a format, imported when first asked for."""
    return cast(Exporter, import_module(EXPORTERS[format_name]))
