"""Write the format: here edgebrain's own ONNX file, compressed."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from edgebrain.compression.calibration import Calibration
from edgebrain.compression.formats import Exported, onnx
from edgebrain.model.spec import Spec


def export(saved_model: Path, side: int, precision: str, calibration: Calibration | None) -> Exported:
    """Write one model; the images of `calibration` are read by ONNX Runtime's observers."""
    return _packed(onnx.export(saved_model, side, precision, calibration))


def keep_float(int8: Exported, plain: Exported, spec: Spec, layers: Sequence[str]) -> Exported:
    """The int8 model with some layers computing in float."""
    return _packed(onnx.keep_float(_unpacked(int8), _unpacked(plain), spec, layers))


def _packed(exported: Exported) -> Exported:
    return replace(exported, contents={"model.onnx.zlib": zlib.compress(exported.contents["model.onnx"])})


def _unpacked(exported: Exported) -> Exported:
    return replace(exported, contents={"model.onnx": zlib.decompress(exported.contents["model.onnx.zlib"])})
