"""One module a format: exporting to it, keeping single layers of it in float, and looking inside a written file.

`edgebrain.formats` names the module of each format. It has the two functions of `FormatModule`, and a class `Probe`
where the table says that the format can be inspected.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

import numpy as np

from edgebrain.bundle import Bundle, Port
from edgebrain.compression.calibration import Calibration
from edgebrain.errors import BadBundle, BadRecipe
from edgebrain.formats import all_formats, find_format
from edgebrain.graph import Operator, read_operators
from edgebrain.model.spec import Spec

# Converters rename and reorder outputs; their number of dimensions still tells one role from the other.
RANKS = {"mask": 4, "class": 2}
# Roles of the network's outputs; each is also the name of the layer that computes it.
OUTPUT_LAYERS = ("mask", "class")


@dataclass(frozen=True)
class Exported:
    """A written model.

    Attributes:
        contents: File name -> content.
        input: The input tensor as the file has it.
        outputs: Role -> output tensor as the file has it.
        operators: Read back from the files, in the order of computation.
    """

    contents: Mapping[str, bytes] = field(repr=False)
    input: Port
    outputs: Mapping[str, Port]
    operators: tuple[Operator, ...] = field(repr=False)


@dataclass(frozen=True)
class LayerTensors:
    """What a layer read and what it computed from it, for one slice.

    Attributes:
        inputs: (1, height, width, channels) or (1, channels) float, as real numbers.
        outputs: The same for what it computed, behind batch normalisation and activation.
    """

    inputs: np.ndarray
    outputs: np.ndarray


class FormatModule(Protocol):
    """The module of a format, named in `edgebrain.formats`."""

    def export(self, saved_model: Path, side: int, precision: str, calibration: Calibration | None) -> Exported:
        """Write one model.

        Args:
            saved_model: Folder of a SavedModel whose signature maps `slice` (1, side, side, 1) float32 in [0, 1] to
                `mask` (1, side, side, 1) and `class` (1, classes), both probabilities.
            side: Height and width in pixels.
            precision: float32, float16 or int8.
            calibration: Images for the observers; given for int8 alone, and every one must be read.

        Raises:
            MissingExtra: The format's library is not installed.
        """

    def keep_float(self, int8: Exported, plain: Exported, spec: Spec, layers: Sequence[str]) -> Exported:
        """The int8 model with some layers computing in float; all else stays as it is, bit for bit.

        That way whatever changes in the answers is owed to those layers alone. A module without this function cannot
        take `--keep-float`.

        Args:
            int8: The quantized model.
            plain: The float32 model of the same network.
            spec: The network.
            layers: Names of layers of the spec.

        Raises:
            BadBundle: A file does not hold the layers of the spec.
        """


class Probe(Protocol):
    """A written model, opened for looking inside; layers have the names of the network's spec."""

    note: str
    """How its tensors differ from those behind the bundle's answers, for the reader; empty where they do not."""

    def layer_tensors(self, tensor: np.ndarray) -> dict[str, LayerTensors]:
        """Compute one input tensor.

        Args:
            tensor: Shape and dtype of the bundle's input.

        Returns:
            Layer -> its inputs and outputs; those of `mask` and `class` behind sigmoid and softmax.
        """

    def milliseconds(self, tensors: Sequence[np.ndarray]) -> tuple[Mapping[str, float], float]:
        """Time the model on one thread.

        Args:
            tensors: Input tensors, (1, side, side, 1) each in the bundle's dtype, used in turn.

        Returns:
            Layer -> median duration in ms, for each layer that is computed by itself; and that of the whole network.
        """

    def stored_bytes(self) -> Mapping[str, int]:
        """Layer -> bytes of its weights and bias in the file."""


def format_module(name: str) -> FormatModule:
    """The module of a format, imported when first asked for.

    Raises:
        BadRecipe: `quantize` does not write this format.
    """
    row = find_format(name)
    if row is None or not row.exporter:
        raise BadRecipe(f"format {name!r} is not exported", "see compress.formats in docs/how-to/extending.md")
    return cast(FormatModule, import_module(row.exporter))


def written_operators(name: str, contents: Mapping[str, bytes]) -> tuple[Operator, ...]:
    """The operators of a written model of a format, in the order of computation. Raises BadBundle."""
    row = find_format(name)
    assert row is not None and row.graph, f"{name}: an exported format has a graph reader"
    return tuple(read_operators(row, contents))


def keep_float(name: str, int8: Exported, plain: Exported, spec: Spec, layers: Sequence[str]) -> Exported:
    """As `FormatModule.keep_float`, for a format by name.

    Raises:
        BadRecipe: The format cannot mix precisions.
    """
    module = format_module(name)
    if not hasattr(module, "keep_float"):
        raise BadRecipe(f"{name} models cannot keep single layers in float", "leave out --keep-float")
    return module.keep_float(int8, plain, spec, layers)


def open_probe(bundle: Bundle, spec: Spec) -> Probe:
    """Open a bundle for looking inside.

    Raises:
        BadBundle: Its format cannot be inspected, or its file does not hold the layers of the spec.
    """
    formats = all_formats()
    row = formats.get(bundle.format)
    if row is None or not row.inspectable:
        others = " or ".join(name for name, one in formats.items() if one.inspectable)
        raise BadBundle(
            f"{bundle.name}: {bundle.format} models cannot be looked into layer by layer",
            f"explain the run's {others} bundle",
        )
    return cast(Probe, import_module(row.exporter).Probe(bundle, spec))
