"""The multi-task U-Net: a sigmoid mask from the decoder, softmax class probabilities from the bottleneck.

Every U-Net that edgebrain makes can be written as a spec; a pruned one is a spec with other widths.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from edgebrain.errors import BadRecipe
from edgebrain.model.spec import Layer, Spec

UPSAMPLINGS = ("transposed", "nearest")
# Keras' 0.99 averages over about 100 steps, and the weights move faster than that: on real slices the half network's
# loss in inference mode on its own training slices was 4.4 in an epoch whose training loss was 0.7.
BN_MOMENTUM = 0.9


@dataclass(frozen=True)
class Stage:
    """One decoder stage.

    Attributes:
        up: Channels of the layer that doubles the size.
        convs: Channels of its two convolutions.
    """

    up: int
    convs: tuple[int, int]


@dataclass(frozen=True)
class UNetSpec(Spec):
    """A multi-task U-Net.

    Attributes:
        encoder: Channels of the two 3x3 convolutions of each stage, outermost stage first.
        bottleneck: Channels of the two convolutions between encoder and decoder.
        decoder: Innermost stage first.
        head: Widths of the dense layers of the classification head.
        classes: Number of classes.
        side: Input height and width in pixels, a multiple of 2 ** len(encoder).
        dropout: Rate in the head.
        upsampling: What doubles the size in the decoder, one of UPSAMPLINGS: a transposed convolution, or a 1x1
            convolution whose pixels are then repeated.
    """

    architecture: ClassVar[str] = "unet-multitask"

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
        """The network whose stages have base, 2 base, 4 base and 8 base channels (32 for the full one)."""
        return cls(
            encoder=tuple((base * k, base * k) for k in (1, 2, 4)),
            bottleneck=(8 * base, 8 * base),
            decoder=tuple(Stage(base * k, (base * k, base * k)) for k in (4, 2, 1)),
            **rest,
        )

    @classmethod
    def from_recipe(cls, width: int, side: int, dropout: float, upsampling: str) -> UNetSpec:
        """As `Spec.from_recipe`."""
        return cls.of_width(width, side=side, dropout=dropout, upsampling=upsampling)

    def layers(self) -> Iterator[Layer]:
        """Every layer with weights, in the order of computation."""
        side, width, skips = self.side, 1, []
        for depth, pair in enumerate(self.encoder, start=1):
            for number, wide in enumerate(pair, start=1):
                yield Layer(f"enc{depth}_conv{number}", "conv", width, wide, 3, side * side, False, True)
                width = wide
            skips.append(width)
            side //= 2
        for number, wide in enumerate(self.bottleneck, start=1):
            yield Layer(f"mid_conv{number}", "conv", width, wide, 3, side * side, False, True)
            width = wide
        deep = width
        for depth, stage in zip(range(len(self.decoder), 0, -1), self.decoder, strict=True):
            kind, size = ("up", 2) if self.upsampling == "transposed" else ("conv", 1)
            yield Layer(f"dec{depth}_up", kind, width, stage.up, size, side * side, False, False)
            side *= 2
            width = stage.up + skips[depth - 1]
            for number, wide in enumerate(stage.convs, start=1):
                yield Layer(f"dec{depth}_conv{number}", "conv", width, wide, 3, side * side, False, True)
                width = wide
        yield Layer("mask", "conv", width, 1, 1, side * side, True, False)
        for number, wide in enumerate(self.head, start=1):
            yield Layer(f"head_dense{number}", "dense", deep, wide, 1, 1, True, False)
            deep = wide
        yield Layer("class", "dense", deep, self.classes, 1, 1, True, False)

    def build(self, keras: Any, batch_size: int | None = None) -> Any:
        """As `Spec.build`; layers are called as in `layers`."""
        layers = keras.layers
        image = keras.Input((self.side, self.side, 1), batch_size=batch_size, name="slice")
        x, skips = image, []
        for depth, pair in enumerate(self.encoder, start=1):
            x = _convolutions(layers, x, f"enc{depth}", pair)
            skips.append(x)
            x = layers.MaxPooling2D(2, name=f"enc{depth}_pool")(x)
        x = deep = _convolutions(layers, x, "mid", self.bottleneck)
        for depth, stage in zip(range(len(self.decoder), 0, -1), self.decoder, strict=True):
            x = self._doubled(layers, x, f"dec{depth}", stage.up)
            x = layers.Concatenate(name=f"dec{depth}_concat")([x, skips[depth - 1]])
            x = _convolutions(layers, x, f"dec{depth}", stage.convs)
        mask = layers.Conv2D(1, 1, activation="sigmoid", dtype="float32", name="mask")(x)
        y = layers.GlobalAveragePooling2D(name="head_pool")(deep)
        for number, width in enumerate(self.head, start=1):
            y = layers.Dense(width, activation="relu", name=f"head_dense{number}")(y)
        y = layers.Dropout(self.dropout, seed=0, name="head_dropout")(y)
        label = layers.Dense(self.classes, activation="softmax", dtype="float32", name="class")(y)
        return keras.Model(image, [mask, label], name="unet_multitask")

    def _doubled(self, layers: Any, x: Any, name: str, width: int) -> Any:
        # Without a bias: a transposed convolution with one is a later operator version, which Edge TPU compilers
        # refuse, and the normalised convolution behind it absorbs a constant.
        if self.upsampling == "transposed":
            return layers.Conv2DTranspose(width, 2, strides=2, padding="same", use_bias=False, name=f"{name}_up")(x)
        x = layers.Conv2D(width, 1, use_bias=False, name=f"{name}_up")(x)
        # Keras' UpSampling2D becomes a tile of five dimensions in TFLite, this a single operator.
        height, wide = (2 * side for side in x.shape[1:3])
        return layers.Resizing(height, wide, interpolation="nearest", name=f"{name}_double")(x)

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> UNetSpec:
        """The spec of a manifest entry. Raises BadRecipe where a key is unknown or a width impossible."""
        values = {key: value for key, value in entry.items() if key != "architecture"}
        unknown = sorted(set(values) - set(cls.__dataclass_fields__))
        if unknown:
            raise BadRecipe(f"the network's spec has an unknown key {unknown[0]!r}")
        return cls(
            encoder=tuple((int(a), int(b)) for a, b in values.pop("encoder")),
            bottleneck=tuple(values.pop("bottleneck")),
            decoder=tuple(Stage(int(s["up"]), tuple(s["convs"])) for s in values.pop("decoder")),
            head=tuple(values.pop("head")),
            **values,
        )

    def input_channels(self, keep: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """As `Spec.input_channels`; a decoder stage gets those of its upsampling, then those of the skip."""
        inputs: dict[str, np.ndarray] = {}
        depth = len(self.encoder)
        last = np.arange(1)
        for name in (*(f"enc{level}" for level in range(1, depth + 1)), "mid"):
            for number in (1, 2):
                inputs[f"{name}_conv{number}"] = last
                last = keep[f"{name}_conv{number}"]
        deep = last
        for level, stage in zip(range(depth, 0, -1), self.decoder, strict=True):
            inputs[f"dec{level}_up"] = last
            skip = keep[f"enc{level}_conv2"] + stage.up
            inputs[f"dec{level}_conv1"] = np.concatenate([keep[f"dec{level}_up"], skip])
            inputs[f"dec{level}_conv2"] = keep[f"dec{level}_conv1"]
            last = keep[f"dec{level}_conv2"]
        inputs["mask"] = last
        for number in range(1, len(self.head) + 1):
            inputs[f"head_dense{number}"] = deep
            deep = keep[f"head_dense{number}"]
        inputs["class"] = deep
        return inputs

    def with_outputs(self, widths: Mapping[str, int]) -> UNetSpec:
        """As `Spec.with_outputs`; the head keeps its widths."""
        depth = len(self.encoder)
        return replace(
            self,
            encoder=tuple((widths[f"enc{k}_conv1"], widths[f"enc{k}_conv2"]) for k in range(1, depth + 1)),
            bottleneck=(widths["mid_conv1"], widths["mid_conv2"]),
            decoder=tuple(
                Stage(widths[f"dec{k}_up"], (widths[f"dec{k}_conv1"], widths[f"dec{k}_conv2"]))
                for k in range(depth, 0, -1)
            ),
        )

    def unweighted_layers(self) -> dict[str, list[str]]:
        """As `Spec.unweighted_layers`."""
        depths = range(1, len(self.encoder) + 1)
        return {
            "pool": [f"enc{depth}_pool" for depth in depths],
            "double": [f"dec{depth}_double" for depth in reversed(depths)],
            "concat": [f"dec{depth}_concat" for depth in reversed(depths)],
            "mean": ["head_pool"],
        }


def _convolutions(layers: Any, x: Any, name: str, widths: tuple[int, int]) -> Any:
    """3x3 convolutions, each with batch normalisation and ReLU."""
    for number, width in enumerate(widths, start=1):
        # Without a bias, because the batch normalisation behind it has one.
        x = layers.Conv2D(width, 3, padding="same", use_bias=False, name=f"{name}_conv{number}")(x)
        x = layers.BatchNormalization(momentum=BN_MOMENTUM, name=f"{name}_conv{number}_bn")(x)
        x = layers.Activation("relu", name=f"{name}_conv{number}_relu")(x)
    return x
