"""A network as data: its layers with weights, from which parameters and multiply-adds follow without Keras.

`edgebrain.model.families` has the networks that there are. Layer names are part of the contract: weights travel between
libraries by layer name, and written files are compared with the spec layer by layer.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np

from edgebrain.errors import BadRecipe


@dataclass(frozen=True)
class Layer:
    """One layer with weights.

    Attributes:
        name: Its Keras name.
        kind: conv, up (2x2 transposed convolution, stride 2) or dense.
        inputs: Input channels.
        outputs: Output channels.
        size: Height and width of the kernel; 1 for dense.
        area: Output positions of a conv, input positions of an up; 1 for dense.
        bias: Whether it has one.
        normalised: Whether a batch normalisation, called NAME_bn, follows it.
    """

    name: str
    kind: str
    inputs: int
    outputs: int
    size: int
    area: int
    bias: bool
    normalised: bool

    @property
    def macs(self) -> int:
        """Multiply-adds of one slice."""
        return self.area * self.size * self.size * self.inputs * self.outputs

    @property
    def parameters(self) -> int:
        """Weights, biases and the four numbers a channel of batch normalisation."""
        weights = self.size * self.size * self.inputs * self.outputs
        return weights + self.outputs * (int(self.bias) + 4 * int(self.normalised))


@dataclass(frozen=True)
class Spec(ABC):
    """A network of one family; a family is a frozen dataclass derived from this one.

    It maps a slice, (batch, side, side, 1) in [0, 1], to a mask of the same shape and to class probabilities,
    (batch, classes). The layers that compute these two are called `mask` and `class`.
    """

    architecture: ClassVar[str]
    """What manifests call the family."""

    side: int
    classes: int

    @classmethod
    @abstractmethod
    def from_recipe(cls, width: int, side: int, dropout: float, upsampling: str) -> Spec:
        """The network that the [model] part of a recipe describes.

        Args:
            width: Channels of the outermost stage.
            side: Height and width of the input in pixels.
            dropout: Rate in the classification head, in [0, 1).
            upsampling: `transposed` or `nearest`.

        Raises:
            BadRecipe: A value is impossible for this family.
        """

    @abstractmethod
    def layers(self) -> Iterator[Layer]:
        """Every layer with weights, in the order of computation."""

    @abstractmethod
    def build(self, keras: Any, batch_size: int | None = None) -> Any:
        """The network as `keras.Model` with the outputs [mask, class], both in float32 whatever the policy.

        Args:
            keras: The Keras module: quantization-aware training builds the same network with the legacy one.
            batch_size: Slices a call; any number where it is None.
        """

    @classmethod
    @abstractmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Spec:
        """The reverse of `as_json`.

        Raises:
            BadRecipe: A key is unknown, or a width is impossible.
        """

    def as_json(self) -> dict[str, Any]:
        """The spec as manifest entry."""
        return {"architecture": self.architecture, **asdict(self)}

    def input_channels(self, keep: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Which input channels each layer still gets when only some output channels are kept.

        Args:
            keep: Layer -> sorted indices of its kept output channels, (kept,) int64.

        Returns:
            Layer -> sorted indices of its remaining input channels, (remaining,) int64.

        Raises:
            BadRecipe: Networks of this family cannot be pruned.
        """
        raise BadRecipe(f"{self.architecture} networks cannot be pruned", "leave out --prune")

    def with_outputs(self, widths: Mapping[str, int]) -> Spec:
        """The narrower network. widths: layer -> output channels. Raises BadRecipe as `input_channels`."""
        raise BadRecipe(f"{self.architecture} networks cannot be pruned", "leave out --prune")

    def unweighted_layers(self) -> Mapping[str, list[str]]:
        """Kind (pool, double, concat, mean) -> names of the layers without weights, in the order of computation."""
        return {}

    @property
    def parameters(self) -> int:
        """Numbers stored, batch normalisation's moving statistics included."""
        return sum(layer.parameters for layer in self.layers())

    @property
    def macs(self) -> int:
        """Multiply-adds of one slice."""
        return sum(layer.macs for layer in self.layers())
