"""OpenVINO IR: exported by its own converter, quantized by NNCF, inspected through additional outputs."""

from __future__ import annotations

import re
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgebrain.bundle import ROLES, Bundle, Port
from edgebrain.capture_output import capture_output
from edgebrain.compression.calibration import Calibration
from edgebrain.compression.formats import OUTPUT_LAYERS, RANKS, Exported, LayerTensors, written_operators
from edgebrain.errors import BadBundle
from edgebrain.graph import openvino as graph
from edgebrain.graph.layers import layer_operators
from edgebrain.libraries import importing
from edgebrain.model.spec import Spec
from edgebrain.runtime.transform import dequantize

with importing("openvino", "openvino", "exporting OpenVINO"):
    import openvino as ov
    from openvino import opset13 as ops
    from openvino.preprocess import PrePostProcessor

FILES = ("model.xml", "model.bin")
TIMED_RUNS, WARM_UP_RUNS = 100, 5
# The probe computes in float32 even where the processor would rather compute in bfloat16.
PROBE_OPTIONS = {"INFERENCE_NUM_THREADS": 1, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
# Operators between a layer's product and the layer's output: bias, activation, rounding.
BELONG_TO_LAYER = ("Add", "Relu", "FakeQuantize")


def export(saved_model: Path, side: int, precision: str, calibration: Calibration | None) -> Exported:
    """Write an .xml and a .bin file; int8 takes uint8 grey values and answers with uint8 probabilities.

    Args:
        saved_model: Folder of the SavedModel.
        side: Height and width of a slice in pixels.
        precision: float32, float16 or int8.
        calibration: Images for the observers, for int8 alone.

    Raises:
        MissingExtra: NNCF is not installed, and int8 was asked for.
    """
    with capture_output():
        model = ov.convert_model(str(saved_model), input=[1, side, side, 1])
        _name_inputs_and_outputs(model)
        if calibration is not None:
            model = _quantize_io(_quantized(model, calibration))
    contents = _files(model, half=precision == "float16")
    scale = 1.0 / 255.0 if calibration is not None else 1.0
    return Exported(
        contents,
        _port(model.inputs[0], scale),
        {role: _port(model.output(role), scale) for role in ROLES},
        written_operators("openvino", contents),
    )


def keep_float(int8: Exported, plain: Exported, spec: Spec, layers: Sequence[str]) -> Exported:
    """The int8 model in which some layers read their input unrounded and have the float file's weights and bias.

    Their output is rounded where the next layer in int8 reads it.

    Raises:
        BadBundle: A file does not hold the layers of the spec.
    """
    model, float_model = (graph.read(*(one.contents[name] for name in FILES)) for one in (int8, plain))
    indices, float_indices = (layer_operators(one.operators, spec) for one in (int8, plain))
    nodes, float_nodes = graph.nodes(model), graph.nodes(float_model)
    for layer in layers:
        _make_float(layer, nodes[indices[layer]], float_nodes[float_indices[layer]])
    model.validate_nodes_and_infer_types()
    contents = _files(model)
    return replace(int8, contents=contents, operators=written_operators("openvino", contents))


class Probe:
    """An OpenVINO bundle whose inner tensors are additional outputs; durations are the plugin's own counters."""

    note = ""

    def __init__(self, bundle: Bundle, spec: Spec) -> None:
        """Raises BadBundle: the file does not hold the layers of the spec."""
        self._bundle = bundle
        model = self._read()
        nodes = graph.nodes(model)
        indices = layer_operators([graph.operator(node) for node in nodes], spec)
        self._nodes = {layer: nodes[index] for layer, index in indices.items()}
        ends = {layer: (node.input_value(0), _last_node(node).output(0)) for layer, node in self._nodes.items()}
        wanted = {_key(end): end for pair in ends.values() for end in pair}
        self._output_of = {key: index for index, key in enumerate(wanted, start=len(model.outputs))}
        self._keys = {layer: tuple(map(_key, pair)) for layer, pair in ends.items()}
        self._bytes = {layer: _constant_bytes(node) for layer, node in self._nodes.items()}
        model.add_outputs(list(wanted.values()))
        self._compiled = ov.Core().compile_model(model, "CPU", PROBE_OPTIONS)

    def layer_tensors(self, tensor: np.ndarray) -> dict[str, LayerTensors]:
        """Each layer's inputs and outputs, float32 with channels last, for one input tensor, (1, side, side, 1)."""
        answer = self._compiled(tensor)
        inner = {key: _channels_last(np.asarray(answer[index])) for key, index in self._output_of.items()}
        found = {layer: LayerTensors(inner[inputs], inner[outputs]) for layer, (inputs, outputs) in self._keys.items()}
        for layer in OUTPUT_LAYERS:
            port = self._bundle.output(layer)
            found[layer] = LayerTensors(found[layer].inputs, dequantize(np.asarray(answer[port.tensor]), port))
        return found

    def milliseconds(self, tensors: Sequence[np.ndarray]) -> tuple[Mapping[str, float], float]:
        """Median duration of each layer with what the plugin fused into it, and of the whole network, in ms.

        Where the plugin computes several layers in one kernel, the first of them has the duration of all.
        """
        compiled = ov.Core().compile_model(self._read(), "CPU", PROBE_OPTIONS | {"PERF_COUNT": True})
        request = compiled.create_infer_request()
        runs: list[dict[str, float]] = []
        for turn in range(WARM_UP_RUNS + TIMED_RUNS):
            request.infer([tensors[turn % len(tensors)]])
            counters = request.get_profiling_info()
            runs.append({one.node_name: one.real_time.total_seconds() * 1e3 for one in counters})
        del runs[:WARM_UP_RUNS]
        layer_by_name = {node.get_friendly_name(): layer for layer, node in self._nodes.items()}
        medians = {}
        for node in compiled.get_runtime_model().get_ops():
            fused = node.get_rt_info()["originalLayersNames"].value.split(",")
            if layers := [layer_by_name[name] for name in fused if name in layer_by_name]:
                medians[layers[0]] = statistics.median(run[node.get_friendly_name()] for run in runs)
        return medians, statistics.median(sum(run.values()) for run in runs)

    def stored_bytes(self) -> Mapping[str, int]:
        """Layer -> bytes of its weights and bias in the file."""
        return self._bytes

    def _read(self) -> Any:
        return graph.read(*(self._bundle.contents[name] for name in FILES))


def _files(model: Any, half: bool = False) -> dict[str, bytes]:
    """The two files of a model; equal models give equal bytes. half: store float weights in 16 bits."""
    _drop_process_traces(model)
    with tempfile.TemporaryDirectory(prefix="edgebrain-") as folder:
        ov.save_model(model, Path(folder, FILES[0]), compress_to_fp16=half)
        return {name: Path(folder, name).read_bytes() for name in FILES}


def _quantized(model: Any, calibration: Calibration) -> Any:
    with importing("nncf", "compress", "INT8 OpenVINO"):
        import nncf
        from nncf.quantization.range_estimator import RangeEstimatorParametersSet
    # NNCF's defaults average each image's extremes and correct biases fast. The first cuts off half of what the dense
    # layers see (24 dB where the extremes of all images give 47), the second costs more classes than it saves.
    return nncf.quantize(
        model,
        # Row numbers, not a list of tensors: only what NNCF asks for then counts as read.
        nncf.Dataset(range(len(calibration.images)), calibration.tensor),
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(calibration.images),
        fast_bias_correction=False,
        advanced_parameters=nncf.AdvancedQuantizationParameters(
            activations_range_estimator_params=RangeEstimatorParametersSet.MINMAX
        ),
    )


def _quantize_io(model: Any) -> Any:
    """Make input and outputs uint8: a quarter of the bytes to copy, and one rounding, which is ours."""
    processor = PrePostProcessor(model)
    processor.input().tensor().set_element_type(ov.Type.u8)
    processor.input().preprocess().convert_element_type(ov.Type.f32).scale(255.0)
    for role in ROLES:
        processor.output(role).postprocess().custom(_to_grey_levels)
        processor.output(role).tensor().set_element_type(ov.Type.u8)
    model = processor.build()
    for role, output in zip(ROLES, _outputs_by_role(model), strict=True):
        output.get_tensor().set_names({role})
    return model


def _drop_process_traces(model: Any) -> None:
    """Number nodes by position instead of by the process's counter, and drop the paths of the conversion.

    Equal inputs must give equal bytes.
    """
    for index, node in enumerate(model.get_ordered_ops()):
        if re.search(r"_\d+$", node.get_friendly_name()):
            node.set_friendly_name(f"{node.get_type_name()}_{index}")
    for part in ("conversion_parameters", "nncf"):
        if part in model.get_rt_info():
            del model.rt_info[part]


def _to_grey_levels(output: Any) -> Any:
    """Probabilities times 255, rounded."""
    scaled = ops.multiply(output, ops.constant(np.array(255.0, dtype=np.float32)))
    return ops.round(scaled, "half_away_from_zero").output(0)


def _name_inputs_and_outputs(model: Any) -> None:
    model.inputs[0].get_tensor().set_names({"slice"})
    for role, output in zip(ROLES, _outputs_by_role(model), strict=True):
        output.get_tensor().set_names({role})


def _outputs_by_role(model: Any) -> list[Any]:
    """Outputs in the order of ROLES."""
    return [next(output for output in model.outputs if len(output.shape) == RANKS[role]) for role in ROLES]


def _port(node: Any, scale: float) -> Port:
    dtype = np.dtype(node.element_type.to_dtype()).name
    return Port(node.any_name, tuple(int(side) for side in node.shape), dtype, scale)


def _make_float(layer: str, node: Any, float_node: Any) -> None:
    source = node.input_value(0)
    if source.get_node().get_type_name() == "FakeQuantize":
        node.input(0).replace_source_output(source.get_node().input_value(0))
    _replace_constant(layer, node, float_node)
    # NNCF shifts the bias to make up for the rounding that no longer takes place.
    bias, float_bias = _bias_of(node), _bias_of(float_node)
    if bias is not None and float_bias is not None:
        _replace_constant(layer, bias, float_bias)


def _replace_constant(layer: str, node: Any, float_node: Any) -> None:
    """Give a node the constant that another one has as its second input."""
    constant = graph.constant_of(float_node.input_value(1))
    wanted = tuple(node.input_value(1).get_shape())
    if constant is None or tuple(constant.output(0).get_shape()) != wanted:
        raise BadBundle(
            f"{layer}: the float file stores its weights in another shape than the int8 file", "export both again"
        )
    node.input(1).replace_source_output(ops.constant(constant.get_data()).output(0))


def _bias_of(node: Any) -> Any:
    """The addition of a constant that follows a node, or None."""
    (after, *others) = [one.get_node() for one in node.output(0).get_target_inputs()]
    known = not others and after.get_type_name() == "Add" and graph.constant_of(after.input_value(1)) is not None
    return after if known else None


def _last_node(node: Any) -> Any:
    """The node whose output the next layers read as this layer's."""
    while True:
        after = [one.get_node() for one in node.output(0).get_target_inputs()]
        rounded = [one for one in after if one.get_type_name() == "FakeQuantize"]
        if len(after) > 1:
            # Several readers may round each for itself, and they do so alike.
            return rounded[0] if rounded else node
        if not after or after[0].get_type_name() not in BELONG_TO_LAYER:
            return node
        node = after[0]


def _constant_bytes(node: Any) -> int:
    sources = [node.input_value(1)]
    for one in node.output(0).get_target_inputs():
        if one.get_node().get_type_name() == "Add":
            sources.append(one.get_node().input_value(1))
    constants = (graph.constant_of(source) for source in sources)
    return sum(constant.get_byte_size() for constant in constants if constant is not None)


def _key(port: Any) -> str:
    return f"{port.get_node().get_friendly_name()}:{port.get_index()}"


def _channels_last(value: np.ndarray) -> np.ndarray:
    """(N, C, H, W) -> (N, H, W, C); (N, C) stays."""
    return value.transpose(0, 2, 3, 1) if value.ndim == 4 else value
