"""Keras, with its backend checked and its start-up lines kept quiet."""

from __future__ import annotations

import importlib
import importlib.util
import os

from edgebrain.capture_output import capture_output
from edgebrain.errors import BadRecipe, MissingExtra
from edgebrain.libraries import importing

BACKENDS = {"tensorflow": "train", "jax": "jax", "torch": "torch"}


def import_keras(needed_for: str, backend: str | None = None) -> None:
    """Import Keras on a backend: the one named, else KERAS_BACKEND, else TensorFlow.

    Raises:
        BadRecipe: An unknown backend.
        MissingExtra: Keras or the backend is not installed.
    """
    backend = backend or os.environ.get("KERAS_BACKEND") or "tensorflow"
    if backend not in BACKENDS:
        raise BadRecipe(f"KERAS_BACKEND={backend} is not known", f"use one of {', '.join(BACKENDS)}")
    for library in ("keras", backend):
        if importlib.util.find_spec(library) is None:
            raise MissingExtra(library, BACKENDS[backend], needed_for)
    os.environ["KERAS_BACKEND"] = backend
    with importing("keras", BACKENDS[backend], needed_for), capture_output():
        importlib.import_module("keras")
