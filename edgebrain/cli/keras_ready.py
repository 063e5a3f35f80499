"""Keras, with its backend checked and its start-up lines kept quiet."""

from __future__ import annotations

import importlib.util
import os

from edgebrain.errors import BadRecipe, MissingExtra

BACKENDS = {"tensorflow": "train", "jax": "jax", "torch": "torch"}


def import_keras(needed_for: str) -> None:
    """Choose the backend (KERAS_BACKEND, else TensorFlow) and import Keras.

    Raises BadRecipe: an unknown backend. MissingExtra: Keras or the backend is not installed.
    """
    from edgebrain.model.network import quiet_tensorflow

    backend = os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    if backend not in BACKENDS:
        raise BadRecipe(f"KERAS_BACKEND={backend} is not known", f"use one of {', '.join(BACKENDS)}")
    for library in ("keras", backend):
        if importlib.util.find_spec(library) is None:
            raise MissingExtra(library, BACKENDS[backend], needed_for)
    quiet_tensorflow()
    importlib.import_module("keras")
