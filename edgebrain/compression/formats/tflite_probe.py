"""Looking inside a TFLite file: inner tensors from the interpreter's own kernels, durations of single operators.

XNNPACK hides inner tensors, so they are computed without it, and some bytes are then rounded differently. Durations are
measured with it.
"""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from edgebrain.bundle import Bundle
from edgebrain.capture_output import capture_output
from edgebrain.compression.formats import OUTPUT_LAYERS, LayerTensors
from edgebrain.compression.formats.tflite_edits import pack, unpack
from edgebrain.graph import tflite as graph
from edgebrain.graph.layers import layer_operators
from edgebrain.model.spec import Spec
from edgebrain.runtime.transform import dequantize, softmax

ROUNDS, RUNS_PER_ROUND = 10, 10


class Probe:
    """A TFLite bundle, opened for looking inside."""

    note = "inner tensors are those of the interpreter's own kernels; XNNPACK rounds otherwise here and there"

    def __init__(self, bundle: Bundle, spec: Spec) -> None:
        """Raises BadBundle: the file does not hold the layers of the spec."""
        self._bundle = bundle
        self._content = bundle.contents["model.tflite"]
        indices = layer_operators(graph.operators(self._content), spec)
        self._model = unpack(self._content)
        self._graph = self._model.subgraphs[0]
        self._operators = {layer: self._graph.operators[index] for layer, index in indices.items()}
        with capture_output():
            self._interpreter = Interpreter(
                model_content=self._content,
                num_threads=1,
                experimental_preserve_all_tensors=True,
                experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            )
            self._interpreter.allocate_tensors()
        details = self._interpreter.get_tensor_details()
        self._quantization = {detail["index"]: detail["quantization"] for detail in details}
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._outputs = {detail["name"]: detail["index"] for detail in self._interpreter.get_output_details()}

    def layer_tensors(self, tensor: np.ndarray) -> dict[str, LayerTensors]:
        """Each layer's inputs and outputs, float32 with channels last, for one input tensor, (1, side, side, 1)."""
        self._interpreter.set_tensor(self._input, tensor)
        self._interpreter.invoke()
        return {
            layer: LayerTensors(self._real(self._input_of(operator)), self._layer_output(layer, operator))
            for layer, operator in self._operators.items()
        }

    def milliseconds(self, tensors: Sequence[np.ndarray]) -> tuple[Mapping[str, float], float]:
        """Median duration of each layer's operator alone, on its input in the given slices, and of the whole model.

        All are timed in turn on one thread; durations in ms.
        """
        with capture_output():
            alone = {layer: _loaded(self._cut_out(operator)) for layer, operator in self._operators.items()}
            whole = _loaded(self._content)
        durations: dict[str, list[float]] = {layer: [] for layer in (*alone, "")}
        for turn in range(ROUNDS):
            tensor = tensors[turn % len(tensors)]
            self._interpreter.set_tensor(self._input, tensor)
            self._interpreter.invoke()
            durations[""] += _durations_ms(whole, tensor)
            for layer, operator in self._operators.items():
                durations[layer] += _durations_ms(alone[layer], self._interpreter.get_tensor(self._input_of(operator)))
        medians = {layer: statistics.median(times) for layer, times in durations.items()}
        return medians, medians.pop("")

    def stored_bytes(self) -> Mapping[str, int]:
        """Layer -> bytes of its weights and bias in the file."""
        return {layer: self._constant_bytes(operator) for layer, operator in self._operators.items()}

    def _input_of(self, operator: Any) -> int:
        """Index of the tensor that an operator's weights are applied to."""
        code = self._model.operatorCodes[operator.opcodeIndex]
        kind = graph.KINDS[max(code.builtinCode, code.deprecatedBuiltinCode)]
        return int(operator.inputs[graph.WEIGHTED[kind][0]])

    def _layer_output(self, layer: str, operator: Any) -> np.ndarray:
        if layer not in OUTPUT_LAYERS:
            return self._real(int(operator.outputs[0]))
        port = self._bundle.output(layer)
        real = dequantize(self._interpreter.get_tensor(self._outputs[port.tensor]), port)
        return softmax(real.ravel()).reshape(real.shape) if port.activation else real

    def _real(self, tensor: int) -> np.ndarray:
        raw = self._interpreter.get_tensor(tensor)
        scale, zero_point = self._quantization[tensor]
        real: np.ndarray = raw if raw.dtype.kind == "f" else (raw.astype(np.float32) - zero_point) * np.float32(scale)
        return real

    def _constant_bytes(self, operator: Any) -> int:
        buffers = (self._graph.tensors[tensor].buffer for tensor in operator.inputs if tensor >= 0)
        return sum(len(data) for data in (self._model.buffers[buffer].data for buffer in buffers) if data is not None)

    def _cut_out(self, operator: Any) -> bytes:
        """A model of one operator, whose input and output are those that it has here."""
        model, subgraph = copy.copy(self._model), copy.copy(self._graph)
        subgraph.operators = [operator]
        subgraph.inputs, subgraph.outputs = [self._input_of(operator)], [int(operator.outputs[0])]
        needed = {self._graph.tensors[tensor].buffer for tensor in operator.inputs if tensor >= 0}
        # Buffers keep their indices, so those that are not needed are emptied and not removed.
        model.buffers = [one if index in needed else schema.BufferT() for index, one in enumerate(self._model.buffers)]
        model.subgraphs, model.signatureDefs, model.metadata = [subgraph], None, None
        return pack(model)


def _loaded(content: bytes) -> Any:
    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    return interpreter


def _durations_ms(interpreter: Any, tensor: np.ndarray) -> list[float]:
    """Durations of some runs in ms; the first one, which brings the weights into the cache, is not counted."""
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], tensor)
    interpreter.invoke()
    durations = []
    for _ in range(RUNS_PER_ROUND):
        start = time.perf_counter_ns()
        interpreter.invoke()
        durations.append((time.perf_counter_ns() - start) / 1e6)
    return durations
