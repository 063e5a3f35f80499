"""Spec -> Keras model, and the float bundle's weights. The one place where the network is built.

The Keras module is an argument: quantization-aware training builds the same network with the legacy Keras.
"""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from edgebrain.errors import BadBundle
from edgebrain.model.spec import UNetSpec

WEIGHTS = "model.weights.h5"
# Keras' 0.99 averages over about 100 steps, and the weights move faster than that: on real slices the half network's
# loss in inference mode on its own training slices was 4.4 in an epoch whose training loss was 0.7.
BN_MOMENTUM = 0.9


def build(spec: UNetSpec, keras: Any, batch_size: int | None = None) -> Any:
    """The multi-task U-Net as `keras.Model`.

    Input: (batch, side, side, 1) float in [0, 1]. Outputs, a list: mask (batch, side, side, 1) and class
    (batch, classes), both probabilities in float32 whatever the policy computes in.
    """
    layers = keras.layers

    def conv(x: Any, name: str, width: int) -> Any:
        # Without a bias: batch normalisation behind it has one.
        x = layers.Conv2D(width, 3, padding="same", use_bias=False, name=name)(x)
        x = layers.BatchNormalization(momentum=BN_MOMENTUM, name=f"{name}_bn")(x)
        return layers.Activation("relu", name=f"{name}_relu")(x)

    def doubled(x: Any, name: str, width: int) -> Any:
        # Without a bias too: a transposed convolution with one is a later operator version, which Edge TPU
        # compilers refuse, and the normalised convolution behind it absorbs a constant.
        if spec.upsampling == "transposed":
            return layers.Conv2DTranspose(width, 2, strides=2, padding="same", use_bias=False, name=f"{name}_up")(x)
        x = layers.Conv2D(width, 1, use_bias=False, name=f"{name}_up")(x)
        # Keras' UpSampling2D becomes a tile of five dimensions in TFLite, this a single operator.
        height, wide = (2 * side for side in x.shape[1:3])
        return layers.Resizing(height, wide, interpolation="nearest", name=f"{name}_double")(x)

    image = keras.Input((spec.side, spec.side, 1), batch_size=batch_size, name="slice")
    x, skips = image, []
    for depth, pair in enumerate(spec.encoder, start=1):
        for place, width in enumerate(pair, start=1):
            x = conv(x, f"enc{depth}_conv{place}", width)
        skips.append(x)
        x = layers.MaxPooling2D(2, name=f"enc{depth}_pool")(x)
    for place, width in enumerate(spec.bottleneck, start=1):
        x = conv(x, f"mid_conv{place}", width)
    deep = x
    for depth, stage in zip(range(len(spec.decoder), 0, -1), spec.decoder, strict=True):
        x = doubled(x, f"dec{depth}", stage.up)
        x = layers.Concatenate(name=f"dec{depth}_concat")([x, skips[depth - 1]])
        for place, width in enumerate(stage.convs, start=1):
            x = conv(x, f"dec{depth}_conv{place}", width)
    mask = layers.Conv2D(1, 1, activation="sigmoid", dtype="float32", name="mask")(x)
    y = layers.GlobalAveragePooling2D(name="head_pool")(deep)
    for place, width in enumerate(spec.head, start=1):
        y = layers.Dense(width, activation="relu", name=f"head_dense{place}")(y)
    y = layers.Dropout(spec.dropout, seed=0, name="head_dropout")(y)
    label = layers.Dense(spec.classes, activation="softmax", dtype="float32", name="class")(y)
    return keras.Model(image, [mask, label], name="unet_multitask")


def weights_by_layer(model: Any) -> dict[str, list[np.ndarray]]:
    """Every layer's weights, by layer name; layers without weights are left out."""
    return {layer.name: [np.asarray(w) for w in layer.get_weights()] for layer in model.layers if layer.weights}


def set_weights_by_layer(model: Any, weights: dict[str, list[np.ndarray]]) -> None:
    """The reverse of `weights_by_layer`. Raises KeyError for a layer without weights here, ValueError for a shape."""
    for layer in model.layers:
        if layer.weights:
            layer.set_weights(weights[layer.name])


def weights_bytes(model: Any) -> bytes:
    """The content of a Keras `.weights.h5` file."""
    with tempfile.TemporaryDirectory(prefix="edgebrain-") as folder:
        path = Path(folder, WEIGHTS)
        model.save_weights(path)
        return path.read_bytes()


def load_weights(model: Any, content: bytes, name: str) -> None:
    """Fill a model from the bytes of a `.weights.h5` file.

    Raises BadBundle: the weights are of another network, or hold NaN or infinity.
    """
    # Keras reads weights by path only; the bytes were verified, the file behind them may have changed since.
    with tempfile.TemporaryDirectory(prefix="edgebrain-") as folder:
        path = Path(folder, WEIGHTS)
        path.write_bytes(content)
        try:
            # Keras warns of half of the misfits and raises for the other half.
            with warnings.catch_warnings():
                warnings.simplefilter("error", UserWarning)
                model.load_weights(path)
        except (ValueError, OSError, KeyError, UserWarning) as problem:
            first = str(problem).splitlines()[0] if str(problem) else type(problem).__name__
            raise BadBundle(
                f"{name}: its weights do not fit its spec ({first})", "train or export it again"
            ) from problem
    for layer, arrays in weights_by_layer(model).items():
        if not all(np.isfinite(array).all() for array in arrays):
            raise BadBundle(f"{name}: layer {layer} holds NaN or infinite weights", "train it again")
