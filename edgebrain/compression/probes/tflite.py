"""TFLite: inner tensors from the interpreter's own kernels; durations of each operator alone, by XNNPACK.

The delegate hides inner tensors. Without it some bytes are rounded otherwise.
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
from edgebrain.capture_output import quiet
from edgebrain.compression.flatbuffer import packed
from edgebrain.compression.probes import ENDS, Seen
from edgebrain.graph import tflite as graph
from edgebrain.graph.layers import layer_operators
from edgebrain.model.spec import UNetSpec
from edgebrain.runtime.transform import softmax, to_real

ROUNDS, REPEATS = 10, 10


class Probe:
    """A TFLite bundle, opened for looking inside."""

    def __init__(self, bundle: Bundle, spec: UNetSpec) -> None:
        self._bundle = bundle
        self._content = bundle.contents["model.tflite"]
        places = layer_operators(graph.operators(self._content), spec)
        self._model = schema.ModelT.InitFromPackedBuf(self._content, 0)
        self._graph = self._model.subgraphs[0]
        self._entries = {layer: self._graph.operators[place] for layer, place in places.items()}
        with quiet():
            self._open = Interpreter(
                model_content=self._content,
                num_threads=1,
                experimental_preserve_all_tensors=True,
                experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            )
            self._open.allocate_tensors()
        details = self._open.get_tensor_details()
        self._quantized = {detail["index"]: detail["quantization"] for detail in details}
        self._input = self._open.get_input_details()[0]["index"]
        self._ends = {detail["name"]: detail["index"] for detail in self._open.get_output_details()}

    def look(self, tensor: np.ndarray) -> dict[str, Seen]:
        """Run one input tensor; what each layer saw."""
        self._open.set_tensor(self._input, tensor)
        self._open.invoke()
        return {
            layer: Seen(self._real(self._given(entry)), self._made(layer, entry))
            for layer, entry in self._entries.items()
        }

    def milliseconds(self, tensors: Sequence[np.ndarray]) -> tuple[Mapping[str, float], float]:
        """Median duration of each layer's operator alone, on what it is given in the first slices, and of the whole
        model, in ms; one thread, taken in turns."""
        with quiet():
            alone = {layer: _loaded(self._cut_out(entry)) for layer, entry in self._entries.items()}
            whole = _loaded(self._content)
        durations: dict[str, list[float]] = {layer: [] for layer in (*alone, "")}
        for turn in range(ROUNDS):
            tensor = tensors[turn % len(tensors)]
            self._open.set_tensor(self._input, tensor)
            self._open.invoke()
            durations[""] += _times(whole, tensor)
            for layer, entry in self._entries.items():
                durations[layer] += _times(alone[layer], self._open.get_tensor(self._given(entry)))
        medians = {layer: statistics.median(times) for layer, times in durations.items()}
        return medians, medians.pop("")

    def stored_bytes(self) -> Mapping[str, int]:
        """Weights and bias of each layer in the file."""
        return {layer: self._constant_bytes(entry) for layer, entry in self._entries.items()}

    def _given(self, entry: Any) -> int:
        code = self._model.operatorCodes[entry.opcodeIndex]
        kind = graph.KINDS[max(code.builtinCode, code.deprecatedBuiltinCode)]
        return int(entry.inputs[graph.WEIGHTED[kind][0]])

    def _made(self, layer: str, entry: Any) -> np.ndarray:
        if layer not in ENDS:
            return self._real(int(entry.outputs[0]))
        port = self._bundle.output(layer)
        real = to_real(self._open.get_tensor(self._ends[port.tensor]), port)
        return real if not port.activation else softmax(real.ravel()).reshape(real.shape)

    def _real(self, tensor: int) -> np.ndarray:
        raw = self._open.get_tensor(tensor)
        scale, zero_point = self._quantized[tensor]
        real: np.ndarray = raw if raw.dtype.kind == "f" else (raw.astype(np.float32) - zero_point) * np.float32(scale)
        return real

    def _constant_bytes(self, entry: Any) -> int:
        buffers = (self._graph.tensors[tensor].buffer for tensor in entry.inputs if tensor >= 0)
        return sum(len(data) for data in (self._model.buffers[buffer].data for buffer in buffers) if data is not None)

    def _cut_out(self, entry: Any) -> bytes:
        """A model of one operator, whose input and output are those that it has here."""
        model, part = copy.copy(self._model), copy.copy(self._graph)
        part.operators, part.inputs, part.outputs = [entry], [self._given(entry)], [int(entry.outputs[0])]
        kept = {self._graph.tensors[tensor].buffer for tensor in entry.inputs if tensor >= 0}
        model.buffers = [one if place in kept else schema.BufferT() for place, one in enumerate(self._model.buffers)]
        model.subgraphs, model.signatureDefs, model.metadata = [part], None, None
        return packed(model)


def _loaded(content: bytes) -> Any:
    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    return interpreter


def _times(interpreter: Any, tensor: np.ndarray) -> list[float]:
    """Durations of some runs in ms; the first one, which brings its weights into the cache, is not counted."""
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], tensor)
    interpreter.invoke()
    durations = []
    for _ in range(REPEATS):
        start = time.perf_counter_ns()
        interpreter.invoke()
        durations.append((time.perf_counter_ns() - start) / 1e6)
    return durations
