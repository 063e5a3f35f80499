"""OpenVINO: inner tensors as further outputs of the file's model; durations from the plugin's own counters."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import openvino as ov

from edgebrain.bundle import Bundle
from edgebrain.compression.probes import ENDS, Seen
from edgebrain.graph import openvino as graph
from edgebrain.graph.layers import layer_operators
from edgebrain.model.spec import UNetSpec
from edgebrain.runtime.transform import to_real

RUNS, WARM_UP = 100, 5
# Float32 even where the processor would rather compute in bfloat16.
OPTIONS = {"INFERENCE_NUM_THREADS": 1, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
# What a layer's result passes before it is the layer's output: bias, activation, rounding.
FINISHES = ("Add", "Relu", "FakeQuantize")


class Probe:
    """An OpenVINO bundle, opened for looking inside."""

    def __init__(self, bundle: Bundle, spec: UNetSpec) -> None:
        self._bundle = bundle
        model = self._read()
        nodes = graph.nodes(model)
        places = layer_operators([graph.operator(node) for node in nodes], spec)
        self._nodes = {layer: nodes[place] for layer, place in places.items()}
        ports = {layer: (node.input_value(0), _last(node).output(0)) for layer, node in self._nodes.items()}
        self._bytes = {layer: _constant_bytes(node) for layer, node in self._nodes.items()}
        wanted = {_key(port): port for pair in ports.values() for port in pair}
        self._places = {key: place for place, key in enumerate(wanted, start=len(model.outputs))}
        self._ports = {layer: tuple(map(_key, pair)) for layer, pair in ports.items()}
        model.add_outputs(list(wanted.values()))
        self._open = ov.Core().compile_model(model, "CPU", OPTIONS)

    def look(self, tensor: np.ndarray) -> dict[str, Seen]:
        """Run one input tensor; what each layer saw."""
        answer = self._open(tensor)
        inner = {key: _channels_last(np.asarray(answer[place])) for key, place in self._places.items()}
        seen = {layer: Seen(inner[given], inner[made]) for layer, (given, made) in self._ports.items()}
        for end in ENDS:
            port = self._bundle.output(end)
            seen[end] = Seen(seen[end].given, to_real(np.asarray(answer[port.tensor]), port))
        return seen

    def milliseconds(self, tensors: Sequence[np.ndarray]) -> tuple[Mapping[str, float], float]:
        """Median duration of each layer with what the plugin fused into it, and of all of them and the rest, in ms.

        Where the plugin computes several layers in one go, the first of them has the duration of all.
        """
        compiled = ov.Core().compile_model(self._read(), "CPU", OPTIONS | {"PERF_COUNT": True})
        request = compiled.create_infer_request()
        counted: list[dict[str, float]] = []
        for turn in range(WARM_UP + RUNS):
            request.infer([tensors[turn % len(tensors)]])
            info = request.get_profiling_info()
            counted.append({one.node_name: one.real_time.total_seconds() * 1e3 for one in info})
        counted = counted[WARM_UP:]
        names = {node.get_friendly_name(): layer for layer, node in self._nodes.items()}
        medians = {}
        for node in compiled.get_runtime_model().get_ops():
            fused = node.get_rt_info()["originalLayersNames"].value.split(",")
            if layers := [names[name] for name in fused if name in names]:
                medians[layers[0]] = statistics.median(one[node.get_friendly_name()] for one in counted)
        return medians, statistics.median(sum(one.values()) for one in counted)

    def stored_bytes(self) -> Mapping[str, int]:
        """Weights and bias of each layer in the file."""
        return self._bytes

    def _read(self) -> Any:
        return graph.read(self._bundle.contents["model.xml"], self._bundle.contents["model.bin"])


def _last(node: Any) -> Any:
    """The node whose output is the layer's, as its readers get it."""
    while True:
        after = [one.get_node() for one in node.output(0).get_target_inputs()]
        rounded = [one for one in after if one.get_type_name() == "FakeQuantize"]
        if len(after) > 1:
            # Several readers may round each for itself, and alike.
            return rounded[0] if rounded else node
        if not after or after[0].get_type_name() not in FINISHES:
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
    return value.transpose(0, 2, 3, 1) if value.ndim == 4 else value
