"""An int8 file and the float32 file of one network -> the int8 file with some layers computing in float.

One module a format, each with `keep_float(int8, plain, spec, layers) -> contents`. Everything else stays as it is in
the int8 file, bit for bit, so that what changes is owed to those layers alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Protocol, cast

from edgebrain.compression.exporters import Exported
from edgebrain.model.spec import UNetSpec

MIXERS = {
    "tflite": "edgebrain.compression.selective_float.tflite",
    "openvino": "edgebrain.compression.selective_float.openvino",
    "onnx": "edgebrain.compression.selective_float.onnx",
}


class Mixer(Protocol):
    """A module of MIXERS."""

    def keep_float(self, int8: Exported, plain: Exported, spec: UNetSpec, layers: Sequence[str]) -> Exported:
        """The int8 model with some layers in float. Raises BadBundle: a file does not hold the layers of the spec."""


def mixer(format_name: str) -> Mixer:
    """The mixer of a format, imported when first asked for."""
    return cast(Mixer, import_module(MIXERS[format_name]))
