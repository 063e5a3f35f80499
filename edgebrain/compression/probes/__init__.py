"""What goes on inside a written model file, layer by layer. One module a format.

Each has a `Probe(contents, spec)`; its layers are named as in the network's spec.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol, cast

import numpy as np

from edgebrain.bundle import Bundle
from edgebrain.errors import BadBundle
from edgebrain.model.spec import UNetSpec

PROBES = {
    "tflite": "edgebrain.compression.probes.tflite",
    "openvino": "edgebrain.compression.probes.openvino",
}
# The network's outputs are compared behind their sigmoid and softmax, as in the Keras model.
ENDS = ("mask", "class")


@dataclass(frozen=True)
class Seen:
    """What a layer was given and what it made of it, as real numbers, channels last."""

    given: np.ndarray
    made: np.ndarray


class Probe(Protocol):
    """A file, opened for looking inside."""

    def look(self, tensor: np.ndarray) -> dict[str, Seen]:
        """Run one input tensor; what each layer saw."""

    def milliseconds(self, tensors: Sequence[np.ndarray]) -> tuple[Mapping[str, float], float]:
        """Median duration in ms of each layer that is computed by itself, and of the whole network; one thread."""

    def stored_bytes(self) -> Mapping[str, int]:
        """Weights and bias of each layer in the file."""


def open_probe(bundle: Bundle, spec: UNetSpec) -> Probe:
    """Raises BadBundle: a format that cannot be looked into, or a file that does not hold the layers of the spec."""
    if bundle.format not in PROBES:
        raise BadBundle(
            f"{bundle.name}: {bundle.format} models cannot be looked into layer by layer",
            f"explain the run's {' or '.join(PROBES)} bundle",
        )
    return cast(Probe, import_module(PROBES[bundle.format]).Probe(bundle, spec))
