"""Keras model -> SavedModel with one fixed-size signature; all exporters start from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

INPUT = "slice"


def save_model(model: Any, side: int, folder: Path) -> None:
    """Write a SavedModel whose signature maps slice (1, side, side, 1) float32 to `mask` and `class`."""

    def answer(image: Any) -> dict[str, Any]:
        mask, label = model(image, training=False)
        return {"mask": mask, "class": label}

    archive = keras.export.ExportArchive()
    archive.track(model)
    signature = [tf.TensorSpec((1, side, side, 1), tf.float32, name=INPUT)]
    archive.add_endpoint("serve", answer, input_signature=signature)
    archive.write_out(str(folder), verbose=False)


def signature_of(folder: Path) -> Any:
    """The SavedModel's signature as a function of one tensor."""
    loaded = tf.saved_model.load(str(folder))
    function = loaded.signatures["serving_default"]
    (name,) = function.structured_input_signature[1]

    @tf.function
    def call(image: Any) -> Any:
        return function(**{name: image})

    call.keeps_alive = loaded  # a signature holds no reference to its variables
    return call
