"""A host with sshd and Python: what it lacks is sent, by hash and once; then a worker is started there.

On the host lie, in one folder: `site-HASH` (an engine's wheels, unpacked), `runtime-HASH` (our code), `bundles/HASH`
and `slices/HASH`. No pip, no network and no root are needed there.
"""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shlex import join
from subprocess import Popen
from typing import IO, Any

from edgebrain.bundle import MANIFEST, Bundle
from edgebrain.data.sample import read
from edgebrain.errors import TargetFailed
from edgebrain.files import sha256_bytes, sha256_json
from edgebrain.formats import ENGINES, engines_for
from edgebrain.kit.wheels import choose_wheels, runtime_wheel, runtime_wheel_name, wheels_for
from edgebrain.targets.file import TargetFile
from edgebrain.targets.probe_host import Survey, refuse_without_room, survey
from edgebrain.targets.slices import LISTING, Slice, listing
from edgebrain.targets.ssh_connection import Link

ON_DEVICE = Path(__file__).with_name("remote_agent.py")
# OpenCV decodes the slices.
COMMON = ("msgspec", "numpy", "opencv-python-headless")
WHOLE = "whole"
HASHES = ".hashes.json"


@dataclass(frozen=True)
class Parcel:
    """What is sent as one. name: its place in the folder there. step: what sending it is called.

    contents: makes the files, only where they must be sent: name -> bytes.
    """

    name: str
    step: str
    contents: Callable[[], Mapping[str, bytes]]


@dataclass
class SshTarget:
    """A host; `prepare` connects and sends, `close` disconnects."""

    file: TargetFile
    here: bool = False
    link: Link = field(init=False)
    _found: Survey = field(init=False)
    _sites: dict[str, str] = field(default_factory=dict)
    _runtime: str = ""
    _slices: str = ""
    _parcels: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.link = Link(self.file)

    @property
    def name(self) -> str:
        """Its name in reports."""
        return self.file.name

    @property
    def threads(self) -> tuple[int, ...]:
        """The thread counts of its file; empty where it names none."""
        return self.file.threads

    @property
    def device(self) -> str:
        """What the engine runs on there."""
        return self.file.device

    @property
    def emulated(self) -> bool:
        """Whether its file says that the processor is emulated; the worker may find out by itself."""
        return self.file.emulated

    @property
    def where(self) -> str:
        """How errors of a worker there end."""
        return f" on {self.file.who}"

    def engine(self, bundle: Bundle) -> str | None:
        """The engine that runs a bundle there: the file's, or the first that reads it and has wheels; or None."""
        readers = [engine.name for engine in engines_for(bundle.format) if engine.portable]
        return next((name for name in readers if self.file.engine in (None, name)), None)

    def prepare(self, bundles: Sequence[Bundle], slices: Sequence[Slice]) -> None:
        """Connect, look, and send what these bundles need and is not there, and the slices.

        Raises TargetFailed: the host cannot be reached or does not fit, or sending failed. NoWheels.
        """
        self.link.connect()
        self._found = survey(self.link, self.file)
        # By name: one bundle under two paths is sent once.
        found = [
            *self._site_parcels(bundles),
            self._runtime_parcel(),
            *map(self._bundle_parcel, bundles),
            self._slices_parcel(slices),
        ]
        parcels = {parcel.name: parcel for parcel in found}
        states = self._on_device("looking at what is there", "look", *parcels)
        self._parcels = list(parcels)
        missing = [parcel for parcel in parcels.values() if states[parcel.name] != WHOLE]
        contents = {parcel.name: parcel.contents() for parcel in missing}
        refuse_without_room(self._found, sum(map(_room, contents.values())), self.file)
        for parcel in missing:
            self._send(parcel, contents.pop(parcel.name))

    def python(self, bundle: Bundle) -> list[str]:
        """The command there that starts Python with our runtime and the libraries of a bundle's engine."""
        paths = [f"{self._found.folder}/{name}" for name in (self._runtime, self._sites[str(self.engine(bundle))])]
        return ["env", f"PYTHONPATH={':'.join(paths)}", self._found.python, "-s"]

    def start(self, bundle: Bundle) -> Popen[bytes]:
        """Start a worker that can open a bundle which was prepared."""
        # The shell stays, so that a worker that is killed is told from a connection that is lost.
        return self.link.start(f"{join([*self.python(bundle), '-m', 'edgebrain.runtime', 'worker'])}; exit $?")

    def path(self, bundle: Bundle) -> str:
        """Where a bundle lies there."""
        return f"{self._found.folder}/{_bundle_name(bundle)}"

    @property
    def listing(self) -> str:
        """Where the list of the slices lies there."""
        return f"{self._found.folder}/{self._slices}/{LISTING}"

    def close(self) -> None:
        """Disconnect; where the file says so, take away what this bench used."""
        try:
            if not self.file.keep and self._parcels:
                self._on_device("clearing up", "remove", *self._parcels)
        finally:
            self.link.close()

    def _site_parcels(self, bundles: Sequence[Bundle]) -> list[Parcel]:
        engines = sorted({str(self.engine(bundle)) for bundle in bundles})
        return [self._site_parcel(engine) for engine in engines]

    def _site_parcel(self, engine: str) -> Parcel:
        packages, place = [ENGINES[engine].package, *COMMON], self._found.place
        chosen = [[wheel.name, wheel.sha256] for wheel in choose_wheels(packages, place)]
        self._sites[engine] = f"site-{sha256_json(chosen)[:16]}"

        def contents() -> dict[str, bytes]:
            return {path.name: path.read_bytes() for path in wheels_for(packages, place)}

        return Parcel(self._sites[engine], f"sending the wheels of {engine}", contents)

    def _runtime_parcel(self) -> Parcel:
        wheel = runtime_wheel()
        self._runtime = f"runtime-{sha256_bytes(wheel)[:16]}"
        return Parcel(self._runtime, "sending edgebrain's runtime", lambda: {runtime_wheel_name(): wheel})

    def _bundle_parcel(self, bundle: Bundle) -> Parcel:
        def contents() -> dict[str, bytes]:
            return {MANIFEST: (bundle.path / MANIFEST).read_bytes(), **bundle.contents}

        return Parcel(_bundle_name(bundle), f"sending {bundle.name}", contents)

    def _slices_parcel(self, slices: Sequence[Slice]) -> Parcel:
        files = [str(place) for place, _ in enumerate(slices)]
        entries = listing(slices, files)
        self._slices = f"slices/{sha256_bytes(entries)}"

        def contents() -> dict[str, bytes]:
            return {LISTING: entries, **{file: read(one.path) for file, one in zip(files, slices, strict=True)}}

        return Parcel(self._slices, f"sending {len(slices)} slices", contents)

    def _send(self, parcel: Parcel, contents: Mapping[str, bytes]) -> None:
        hashes = json.dumps({name: sha256_bytes(content) for name, content in contents.items()}).encode()
        # The hashes go first in the tar, because a command line is too short for those of many slices.
        sent = {HASHES: hashes, **contents}
        self._on_device(
            parcel.step, "receive", parcel.name, sha256_bytes(hashes), write=lambda stream: _tar(sent, stream)
        )

    def _on_device(
        self, step: str, command: str, *words: str, write: Callable[[IO[bytes]], None] = lambda stream: None
    ) -> dict[str, Any]:
        """The answer of a command of `on_device.py`. Raises TargetFailed: its own error, or no answer."""
        line = join([self._found.python, "-I", "-c", ON_DEVICE.read_text(), command, self._found.folder, *words])
        said = self.link.run(line, step, write)
        answer = dict(json.loads(said.splitlines()[-1] if said.strip() else '{"error": "no answer"}'))
        if "error" in answer:
            raise TargetFailed(
                f"{self.file.who}: {step}: {answer['error']}",
                f"see that {self._found.folder} there has room and may be written to",
            )
        return answer


def open_target(file: TargetFile) -> SshTarget:
    """The host that a file describes; nothing is connected yet."""
    return SshTarget(file)


def _bundle_name(bundle: Bundle) -> str:
    return f"bundles/{bundle.manifest_sha256}"


def _room(contents: Mapping[str, bytes]) -> int:
    """Bytes that a parcel needs: its files, and what wheels hold."""
    unpacked = 0
    for name, content in contents.items():
        if name.endswith(".whl"):
            with zipfile.ZipFile(io.BytesIO(content)) as wheel:
                unpacked += sum(entry.file_size for entry in wheel.infolist())
    return unpacked + sum(map(len, contents.values()))


def _tar(contents: Mapping[str, bytes], stream: IO[bytes]) -> None:
    with tarfile.open(fileobj=stream, mode="w|") as archive:
        for name, content in contents.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
