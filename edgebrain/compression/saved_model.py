"""Keras model -> SavedModel with one fixed-size signature; every exporter starts from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

INPUT = "slice"


def save_model(model: Any, side: int, folder: Path) -> None:
    """Write a SavedModel.

    Args:
        model: A Keras model with the outputs [mask, class].
        side: Height and width of a slice in pixels.
        folder: Where to write. Its signature maps `slice`, (1, side, side, 1) float32 in [0, 1], to `mask`,
            (1, side, side, 1), and `class`, (1, classes).
    """

    def answer(image: Any) -> dict[str, Any]:
        mask, label = model(image, training=False)
        return {"mask": mask, "class": label}

    archive = keras.export.ExportArchive()
    archive.track(model)
    signature = [tf.TensorSpec((1, side, side, 1), tf.float32, name=INPUT)]
    archive.add_endpoint("serve", answer, input_signature=signature)
    archive.write_out(str(folder), verbose=False)


def signature_of(folder: Path) -> Any:
    """The SavedModel's signature as a function of one tensor, (1, side, side, 1) float32."""
    loaded = tf.saved_model.load(str(folder))
    function = loaded.signatures["serving_default"]
    (name,) = function.structured_input_signature[1]

    @tf.function
    def call(image: Any) -> Any:
        return function(**{name: image})

    # A signature holds no reference to its variables, which would be freed with what was loaded.
    call.keeps_alive = loaded
    return call
