"""SavedModel -> OpenVINO IR; int8 by NNCF."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgebrain.bundle import ROLES, Port
from edgebrain.capture_output import quiet
from edgebrain.compression.calibration import Calibration
from edgebrain.compression.exporters import RANKS, Exported
from edgebrain.graph import Operator
from edgebrain.graph import openvino as graph
from edgebrain.libraries import importing

with importing("openvino", "openvino", "exporting OpenVINO"):
    import openvino as ov
    from openvino import opset13 as ops
    from openvino.preprocess import PrePostProcessor


def export(saved_model: Path, side: int, precision: str, calibration: Calibration | None) -> Exported:
    """An .xml and a .bin file; int8 takes uint8 grey values and gives uint8 probabilities."""
    with quiet():
        model = ov.convert_model(str(saved_model), input=[1, side, side, 1])
        _name_border(model)
        if calibration is not None:
            model = _eight_bit_border(_quantized(model, calibration))
    contents = written(model, half=precision == "float16")
    scale = 1.0 / 255.0 if calibration is not None else 1.0
    return Exported(
        contents,
        _port(model.inputs[0], scale),
        {role: _port(model.output(role), scale) for role in ROLES},
        operators(contents),
    )


def operators(contents: Mapping[str, bytes]) -> tuple[Operator, ...]:
    """The operators of a written model. Raises BadBundle."""
    return tuple(graph.operators(contents["model.xml"], contents["model.bin"]))


def written(model: Any, half: bool = False) -> dict[str, bytes]:
    """The two files of a model; equal models give equal bytes. half: store float weights in 16 bits."""
    _forget_the_process(model)
    with tempfile.TemporaryDirectory(prefix="edgebrain-") as folder:
        path = Path(folder, "model.xml")
        ov.save_model(model, path, compress_to_fp16=half)
        return {name: Path(folder, name).read_bytes() for name in ("model.xml", "model.bin")}


def _quantized(model: Any, calibration: Calibration) -> Any:
    with importing("nncf", "compress", "INT8 OpenVINO"):
        import nncf
        from nncf.quantization.range_estimator import RangeEstimatorParametersSet
    # NNCF's defaults average each image's extremes and correct biases fast. The first cuts off half of what the dense
    # layers see (24 dB where the extremes of all images give 47), the second costs more classes than it saves.
    return nncf.quantize(
        model,
        # By row and not as a list: what counts as read is what NNCF asks for.
        nncf.Dataset(range(len(calibration.images)), calibration.tensor),
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(calibration.images),
        fast_bias_correction=False,
        advanced_parameters=nncf.AdvancedQuantizationParameters(
            activations_range_estimator_params=RangeEstimatorParametersSet.MINMAX
        ),
    )


def _eight_bit_border(model: Any) -> Any:
    """Grey values in and probabilities out as uint8: a quarter of the bytes to copy, and one rounding, ours."""
    processor = PrePostProcessor(model)
    processor.input().tensor().set_element_type(ov.Type.u8)
    processor.input().preprocess().convert_element_type(ov.Type.f32).scale(255.0)
    for role in ROLES:
        processor.output(role).postprocess().custom(_as_grey)
        processor.output(role).tensor().set_element_type(ov.Type.u8)
    model = processor.build()
    for role, output in zip(ROLES, _by_role(model), strict=True):
        output.get_tensor().set_names({role})
    return model


def _forget_the_process(model: Any) -> None:
    """Equal inputs give equal bytes: nodes are numbered by place, not by the process, and no path stays."""
    for place, node in enumerate(model.get_ordered_ops()):
        if re.search(r"_\d+$", node.get_friendly_name()):
            node.set_friendly_name(f"{node.get_type_name()}_{place}")
    for part in ("conversion_parameters", "nncf"):
        if part in model.get_rt_info():
            del model.rt_info[part]


def _as_grey(output: Any) -> Any:
    scaled = ops.multiply(output, ops.constant(np.array(255.0, dtype=np.float32)))
    return ops.round(scaled, "half_away_from_zero").output(0)


def _name_border(model: Any) -> None:
    model.inputs[0].get_tensor().set_names({"slice"})
    for role, output in zip(ROLES, _by_role(model), strict=True):
        output.get_tensor().set_names({role})


def _by_role(model: Any) -> list[Any]:
    """Outputs in the order of ROLES."""
    return [next(output for output in model.outputs if len(output.shape) == RANKS[role]) for role in ROLES]


def _port(node: Any, scale: float) -> Port:
    dtype = np.dtype(node.element_type.to_dtype()).name
    return Port(node.any_name, tuple(int(side) for side in node.shape), dtype, scale)
