"""Places where a worker can be started, by name. A target is one file with `start()`, and one line in the table."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from subprocess import Popen
from typing import cast

from edgebrain.errors import EdgebrainError

TARGETS: dict[str, str] = {"cpu": "edgebrain.targets.local"}


def starter(name: str) -> Callable[[], Popen[bytes]]:
    """The function that starts a worker process there. Raises EdgebrainError: no such target."""
    if name not in TARGETS:
        raise EdgebrainError(f"target {name!r} is not known", f"use --target {' or '.join(TARGETS)}")
    return cast(Callable[[], Popen[bytes]], import_module(TARGETS[name]).start)
