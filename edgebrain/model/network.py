"""The weights of a network: by layer name, and as the bytes of a Keras file in a float bundle."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from edgebrain.errors import BadBundle
from edgebrain.formats import FORMATS

(WEIGHTS,) = FORMATS["keras"].files


def weights_by_layer(model: Any) -> dict[str, list[np.ndarray]]:
    """Layer name -> its arrays, float32: kernel (k, k, in, out), then bias (out,); others are left out."""
    return {layer.name: [np.asarray(w) for w in layer.get_weights()] for layer in model.layers if layer.weights}


def set_weights_by_layer(model: Any, weights: dict[str, list[np.ndarray]]) -> None:
    """The reverse of `weights_by_layer`.

    Args:
        model: A Keras model.
        weights: Layer name -> arrays of the shapes that the layer has.

    Raises:
        KeyError: A layer of the model has no weights here.
        ValueError: An array has another shape.
    """
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

    Args:
        model: A Keras model.
        content: The file.
        name: What errors call it.

    Raises:
        BadBundle: The weights are of another network, or hold NaN or infinity.
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
