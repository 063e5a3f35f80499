"""A worker on this machine: a child process, spoken to through pipes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import edgebrain
from edgebrain.bundle import Bundle
from edgebrain.errors import TargetFailed
from edgebrain.runtime.engines import READERS, installed

# Formats that an engine computes on a GPU (the engines tell NVIDIA from Intel, and refuse what fell back to the CPU).
ON_GPU = ("onnx", "openvino", "keras")
# What a device of this machine lacks, and the way out.
LACKING = {
    "coral": (
        "no engine of this edgebrain runs on an Edge TPU",
        "say what would run there: edgebrain deploy BUNDLE --target coral --check",
    ),
}


@dataclass(frozen=True)
class LocalTarget:
    """A device of this machine: its processor, or its GPU, which `here` counts as another place."""

    name: str = "cpu"
    here: bool = True
    threads: tuple[int, ...] = ()
    device: str = "cpu"
    emulated: bool = False
    where: str = ""

    def engine(self, bundle: Bundle) -> str | None:
        """The first installed engine that reads a bundle; its first one where none is, whose absence is then told."""
        readers = READERS.get(bundle.format, ()) if self.device == "cpu" or bundle.format in ON_GPU else ()
        return next(filter(installed, readers), next(iter(readers), None))

    def prepare(self, bundles: Sequence[Bundle]) -> None:
        """Nothing has to be sent."""

    def start(self, bundle: Bundle) -> subprocess.Popen[bytes]:
        """Start a worker."""
        return start()

    def path(self, bundle: Bundle) -> str:
        """Where a bundle lies."""
        return str(bundle.path.resolve())

    def close(self) -> None:
        """Nothing has to be undone."""


def open_target(name: str) -> LocalTarget:
    """This machine under the name of one of its devices. Raises TargetFailed: what is missing, in one line."""
    if name in LACKING:
        what, way_out = LACKING[name]
        raise TargetFailed(f"{name}: {what}", way_out)
    return LocalTarget(name) if name == "cpu" else LocalTarget(name, here=False, device=name, where=f" on {name}")


def start() -> subprocess.Popen[bytes]:
    """Start `python -m edgebrain.runtime worker`, in a session of its own: Ctrl-C is for us, who then end it."""
    home = str(Path(edgebrain.__file__).parents[1])
    paths = os.pathsep.join([home, *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.Popen(
        [sys.executable, "-m", "edgebrain.runtime", "worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": paths},
        start_new_session=True,
    )
