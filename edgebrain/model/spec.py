"""The network as data: the width of every convolution. Gives parameters and multiply-adds without Keras.

Every network this project makes can be written as a spec; a pruned one is a spec with other widths.
Layer names are part of the contract: weights travel between libraries by layer name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from edgebrain.errors import BadRecipe

UPSAMPLINGS = ("transposed", "nearest")


@dataclass(frozen=True)
class Stage:
    """One decoder stage: the width of what doubles the size, and its two convolutions' widths."""

    up: int
    convs: tuple[int, int]


@dataclass(frozen=True)
class Layer:
    """One layer with weights. kind: conv, up (2x2 transposed, stride 2) or dense. area: output (conv) or input
    (up) positions; 1 for dense. size: kernel side."""

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
class UNetSpec:
    """Multi-task U-Net: sigmoid mask from the decoder, softmax class from the bottleneck.

    encoder: two 3x3 widths a stage, outermost first. decoder: innermost first. head: dense widths.
    side: input height and width in pixels, a multiple of 2 ** len(encoder). dropout: rate in the head.
    upsampling: what doubles the size in the decoder, one of UPSAMPLINGS: a transposed convolution, or a 1x1 convolution
    whose pixels are then repeated.
    """

    encoder: tuple[tuple[int, int], ...] = ((32, 32), (64, 64), (128, 128))
    bottleneck: tuple[int, int] = (256, 256)
    decoder: tuple[Stage, ...] = (Stage(128, (128, 128)), Stage(64, (64, 64)), Stage(32, (32, 32)))
    head: tuple[int, int] = (128, 64)
    classes: int = 4
    side: int = 128
    dropout: float = 0.3
    upsampling: str = "transposed"

    def __post_init__(self) -> None:
        if len(self.encoder) != len(self.decoder) or not self.encoder:
            raise BadRecipe(
                f"the network has {len(self.encoder)} encoder and {len(self.decoder)} decoder stages",
                "give as many decoder as encoder stages",
            )
        if self.side < 8 or self.side % 2 ** len(self.encoder):
            raise BadRecipe(f"model.side = {self.side} cannot be halved {len(self.encoder)} times", "use 128")
        if any(layer.inputs < 1 or layer.outputs < 1 for layer in self.layers()):
            raise BadRecipe("a width of the network is below 1", "every width must be 1 or more")
        if self.upsampling not in UPSAMPLINGS:
            raise BadRecipe(f"upsampling {self.upsampling!r} is not known", f"use {' or '.join(UPSAMPLINGS)}")
        if not 0.0 <= self.dropout < 1.0:
            raise BadRecipe(f"model.dropout = {self.dropout} is not in [0, 1)", "use 0.3")

    @classmethod
    def of_width(cls, base: int, **rest: Any) -> UNetSpec:
        """The network whose widths are base, 2 base, 4 base and 8 base (32 for the full one)."""
        return cls(
            encoder=tuple((base * k, base * k) for k in (1, 2, 4)),
            bottleneck=(8 * base, 8 * base),
            decoder=tuple(Stage(base * k, (base * k, base * k)) for k in (4, 2, 1)),
            **rest,
        )

    def layers(self) -> Iterator[Layer]:
        """Every layer with weights, in the order of computation."""
        side, width, skips = self.side, 1, []
        for depth, pair in enumerate(self.encoder, start=1):
            for place, wide in enumerate(pair, start=1):
                yield Layer(f"enc{depth}_conv{place}", "conv", width, wide, 3, side * side, False, True)
                width = wide
            skips.append(width)
            side //= 2
        for place, wide in enumerate(self.bottleneck, start=1):
            yield Layer(f"mid_conv{place}", "conv", width, wide, 3, side * side, False, True)
            width = wide
        deep = width
        for depth, stage in zip(range(len(self.decoder), 0, -1), self.decoder, strict=True):
            kind, size = ("up", 2) if self.upsampling == "transposed" else ("conv", 1)
            yield Layer(f"dec{depth}_up", kind, width, stage.up, size, side * side, False, False)
            side *= 2
            width = stage.up + skips[depth - 1]
            for place, wide in enumerate(stage.convs, start=1):
                yield Layer(f"dec{depth}_conv{place}", "conv", width, wide, 3, side * side, False, True)
                width = wide
        yield Layer("mask", "conv", width, 1, 1, side * side, True, False)
        for place, wide in enumerate(self.head, start=1):
            yield Layer(f"head_dense{place}", "dense", deep, wide, 1, 1, True, False)
            deep = wide
        yield Layer("class", "dense", deep, self.classes, 1, 1, True, False)

    @property
    def parameters(self) -> int:
        """Numbers stored, batch normalisation's moving statistics included."""
        return sum(layer.parameters for layer in self.layers())

    @property
    def macs(self) -> int:
        """Multiply-adds of one slice."""
        return sum(layer.macs for layer in self.layers())

    def as_json(self) -> dict[str, Any]:
        """The spec as manifest entry."""
        return {"architecture": "unet-multitask", **asdict(self)}

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> UNetSpec:
        """The spec of a manifest entry. Raises BadRecipe where a key is unknown or a width impossible."""
        values = {key: value for key, value in entry.items() if key != "architecture"}
        if entry.get("architecture", "unet-multitask") != "unet-multitask":
            raise BadRecipe(f"architecture {entry['architecture']!r} is not known", "use unet-multitask")
        unknown = sorted(set(values) - set(cls.__dataclass_fields__))
        if unknown:
            raise BadRecipe(f"the network's spec has an unknown key {unknown[0]!r}")
        for key in ("encoder", "decoder"):
            values[key] = tuple(values[key])
        return cls(
            encoder=tuple((int(a), int(b)) for a, b in values.pop("encoder")),
            bottleneck=tuple(values.pop("bottleneck")),
            decoder=tuple(Stage(int(s["up"]), tuple(s["convs"])) for s in values.pop("decoder")),
            head=tuple(values.pop("head")),
            **values,
        )
