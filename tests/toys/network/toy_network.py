"""A family of networks that edgebrain does not have: three convolutions, no stages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from edgebrain.model.spec import Layer, Spec


@dataclass(frozen=True)
class ToySpec(Spec):
    """width: channels of both inner convolutions."""

    architecture: ClassVar[str] = "toy"

    side: int = 64
    classes: int = 4
    width: int = 8

    @classmethod
    def from_recipe(cls, width: int, side: int, dropout: float, upsampling: str) -> ToySpec:
        """The network of a recipe's [model]; it has no use for dropout and upsampling."""
        return cls(side, width=width)

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> ToySpec:
        """The network of a manifest."""
        return cls(entry["side"], entry["classes"], entry["width"])

    def layers(self) -> Iterator[Layer]:
        """Every layer with weights, called as in `build`."""
        area, width = self.side**2, self.width
        yield Layer("conv1", "conv", 1, width, 3, area, False, True)
        yield Layer("conv2", "conv", width, width, 3, area, False, True)
        yield Layer("mask", "conv", width, 1, 1, area, True, False)
        yield Layer("class", "dense", width, self.classes, 1, 1, True, False)

    def build(self, keras: Any, batch_size: int | None = None) -> Any:
        """The network as `keras.Model`; the layers that follow NAME are called NAME_bn and NAME_relu."""
        layers = keras.layers
        image = x = keras.Input((self.side, self.side, 1), batch_size=batch_size, name="slice")
        for name in ("conv1", "conv2"):
            x = layers.Conv2D(self.width, 3, padding="same", use_bias=False, name=name)(x)
            x = layers.BatchNormalization(momentum=0.9, name=f"{name}_bn")(x)
            x = layers.Activation("relu", name=f"{name}_relu")(x)
        mask = layers.Conv2D(1, 1, activation="sigmoid", dtype="float32", name="mask")(x)
        mean = layers.GlobalAveragePooling2D(name="pool")(x)
        label = layers.Dense(self.classes, activation="softmax", dtype="float32", name="class")(mean)
        return keras.Model(image, [mask, label], name="toy")
