"""A target that edgebrain does not know: workers run in a folder of their own, to which everything is copied first.

A container, an emulator or a board on a serial line would do the same with other commands in `prepare` and `start`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from edgebrain.bundle import Bundle
from edgebrain.targets import TargetKind
from edgebrain.targets.slices import LISTING, Slice, listing

FORMATS = {"tflite": "litert"}


class ToyTarget:
    """A folder that stands for another machine."""

    here, threads, device, emulated = False, (), "cpu", False

    def __init__(self, name: str) -> None:
        """Make the folder; a real target would connect."""
        self.name, self.where = name, f" on {name}"
        self._folder = Path(tempfile.mkdtemp(prefix="toy-target-"))

    def engine(self, bundle: Bundle) -> str | None:
        """The engine that runs a bundle there."""
        return FORMATS.get(bundle.format)

    def prepare(self, bundles: Sequence[Bundle], slices: Sequence[Slice]) -> None:
        """Copy bundles and slices."""
        for bundle in bundles:
            shutil.copytree(bundle.path, self.path(bundle), dirs_exist_ok=True)
        for index, one in enumerate(slices):
            shutil.copy(one.path, self._folder / str(index))
        (self._folder / LISTING).write_bytes(listing(slices, map(str, range(len(slices)))))

    def start(self, bundle: Bundle) -> subprocess.Popen[bytes]:
        """Start edgebrain's worker, with pipes."""
        pipe = subprocess.PIPE
        command = [sys.executable, "-m", "edgebrain.runtime", "worker"]
        return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True)

    def path(self, bundle: Bundle) -> str:
        """Where a bundle lies there."""
        return str(self._folder / bundle.manifest_sha256)

    @property
    def listing(self) -> str:
        """Where the list of the slices lies there."""
        return str(self._folder / LISTING)

    def close(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self._folder, ignore_errors=True)


KIND = TargetKind(ToyTarget)
