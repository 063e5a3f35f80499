"""A worker on this machine: a child process, spoken to through pipes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import edgebrain
from edgebrain.bundle import Bundle
from edgebrain.errors import TargetFailed
from edgebrain.formats import engines_for
from edgebrain.runtime.engines import installed
from edgebrain.runtime.engines.libedgetpu import coral_lacks
from edgebrain.targets import TargetKind
from edgebrain.targets.slices import LISTING, Slice, write_listing


@dataclass(frozen=True)
class LocalTarget:
    """A device of this machine: its processor, or a GPU or Edge TPU, which is not `here`."""

    name: str = "cpu"
    here: bool = True
    threads: tuple[int, ...] = ()
    device: str = "cpu"
    emulated: bool = False
    where: str = ""
    _folder: TemporaryDirectory[str] = field(
        default_factory=partial(TemporaryDirectory, prefix="edgebrain-"), repr=False, compare=False
    )

    def engine(self, bundle: Bundle) -> str | None:
        """The first installed engine that reads a bundle; None where the device does not run the format.

        Where none is installed it is the first one: opening the bundle then reports what to install.
        """
        # The engines refuse what fell back to the CPU, and tell an NVIDIA GPU from an Intel one.
        readers = [engine.name for engine in engines_for(bundle.format, self.device)]
        return next(filter(installed, readers), next(iter(readers), None))

    def prepare(self, bundles: Sequence[Bundle], slices: Sequence[Slice]) -> None:
        """Nothing has to be sent: slices are read where they are."""
        write_listing(Path(self._folder.name), slices)

    def start(self, bundle: Bundle) -> subprocess.Popen[bytes]:
        """Start a worker."""
        return start()

    def path(self, bundle: Bundle) -> str:
        """The path of a bundle."""
        return str(bundle.path.resolve())

    @property
    def listing(self) -> str:
        """The path of the list of slices."""
        return str(Path(self._folder.name, LISTING))

    def close(self) -> None:
        """Delete the list of slices."""
        self._folder.cleanup()


def open_target(name: str) -> LocalTarget:
    """This machine under the name of one of its devices.

    Raises:
        TargetFailed: The device cannot be used; the message names what is missing.
    """
    if name == "coral" and (problem := coral_lacks()) is not None:
        raise TargetFailed(f"{name}: {problem.message}", problem.hint)
    return LocalTarget(name) if name == "cpu" else LocalTarget(name, here=False, device=name, where=f" on {name}")


KIND = TargetKind(open_target)


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
