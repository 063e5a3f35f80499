"""A host with sshd and Python: what it lacks is sent, by hash and once; then a worker is started there.

On the host, in one folder, are `site-HASH` (an engine's wheels, unpacked), `runtime-HASH` (our code), `bundles/HASH`
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
from edgebrain.targets.probe_host import HostFacts, probe_host, refuse_without_room
from edgebrain.targets.slices import LISTING, Slice, listing
from edgebrain.targets.ssh_connection import SshConnection

REMOTE_AGENT = Path(__file__).with_name("remote_agent.py")
# The wheels that an engine's interpreter comes in; OpenCV decodes the slices.
COMMON = ("msgspec", "numpy", "opencv-python-headless")
WHOLE = "whole"
HASHES = ".hashes.json"


@dataclass(frozen=True)
class Artifact:
    """What is sent as one.

    Attributes:
        name: Its path in the folder there.
        step: What sending it is called in messages.
        contents: Makes the files, name -> bytes; called only where they must be sent.
    """

    name: str
    step: str
    contents: Callable[[], Mapping[str, bytes]]


@dataclass
class SshTarget:
    """A host; `prepare` connects and sends, `close` disconnects."""

    file: TargetFile
    here: bool = False
    connection: SshConnection = field(init=False)
    _host: HostFacts = field(init=False)
    _sites: dict[str, str] = field(default_factory=dict)
    _runtime: str = ""
    _slices: str = ""
    _artifacts: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.connection = SshConnection(self.file)

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
        """Whether its file declares the processor emulated; the worker may find out by itself."""
        return self.file.emulated

    @property
    def where(self) -> str:
        """How errors of a worker there end."""
        return f" on {self.file.title}"

    def engine(self, bundle: Bundle) -> str | None:
        """The engine that runs a bundle there: the file's, or the first that reads it and has wheels; or None."""
        readers = [engine.name for engine in engines_for(bundle.format) if engine.portable]
        return next((name for name in readers if self.file.engine in (None, name)), None)

    def prepare(self, bundles: Sequence[Bundle], slices: Sequence[Slice]) -> None:
        """Connect, look, and send what these bundles need and is not there, and the slices.

        Raises:
            TargetFailed: The host cannot be reached or does not fit, or sending failed.
            NoWheels: There are no wheels for its processor and Python.
        """
        self.connection.connect()
        self._host = probe_host(self.connection, self.file)
        # By name: one bundle under two paths is sent once.
        found = [
            *self._site_artifacts(bundles),
            self._runtime_artifact(),
            *map(self._bundle_artifact, bundles),
            self._slices_artifact(slices),
        ]
        artifacts = {artifact.name: artifact for artifact in found}
        states = self._call_agent("looking at what is there", "look", *artifacts)
        self._artifacts = list(artifacts)
        missing = [artifact for artifact in artifacts.values() if states[artifact.name] != WHOLE]
        contents = {artifact.name: artifact.contents() for artifact in missing}
        refuse_without_room(self._host, sum(map(_room, contents.values())), self.file)
        for artifact in missing:
            self._send(artifact, contents.pop(artifact.name))

    def python(self, bundle: Bundle) -> list[str]:
        """The command there that starts Python with our runtime and the libraries of a bundle's engine."""
        paths = [f"{self._host.folder}/{name}" for name in (self._runtime, self._sites[str(self.engine(bundle))])]
        return ["env", f"PYTHONPATH={':'.join(paths)}", self._host.python, "-s"]

    def start(self, bundle: Bundle) -> Popen[bytes]:
        """Start a worker that can open a bundle which was prepared."""
        # The shell stays, because its exit code tells a killed worker from a lost connection.
        return self.connection.start(f"{join([*self.python(bundle), '-m', 'edgebrain.runtime', 'worker'])}; exit $?")

    def path(self, bundle: Bundle) -> str:
        """The path of a bundle there."""
        return f"{self._host.folder}/{_bundle_name(bundle)}"

    @property
    def listing(self) -> str:
        """The path of the list of slices there."""
        return f"{self._host.folder}/{self._slices}/{LISTING}"

    def close(self) -> None:
        """Disconnect; where the file says so, delete what this bench used."""
        try:
            if not self.file.keep and self._artifacts:
                self._call_agent("clearing up", "remove", *self._artifacts)
        finally:
            self.connection.close()

    def _site_artifacts(self, bundles: Sequence[Bundle]) -> list[Artifact]:
        engines = sorted({str(self.engine(bundle)) for bundle in bundles})
        return [self._site_artifact(engine) for engine in engines]

    def _site_artifact(self, engine: str) -> Artifact:
        packages, platform = [ENGINES[engine].package, *COMMON], self._host.platform
        chosen = [[wheel.name, wheel.sha256] for wheel in choose_wheels(packages, platform)]
        self._sites[engine] = f"site-{sha256_json(chosen)[:16]}"

        def contents() -> dict[str, bytes]:
            return {path.name: path.read_bytes() for path in wheels_for(packages, platform)}

        return Artifact(self._sites[engine], f"sending the wheels of {engine}", contents)

    def _runtime_artifact(self) -> Artifact:
        wheel = runtime_wheel()
        self._runtime = f"runtime-{sha256_bytes(wheel)[:16]}"
        return Artifact(self._runtime, "sending edgebrain's runtime", lambda: {runtime_wheel_name(): wheel})

    def _bundle_artifact(self, bundle: Bundle) -> Artifact:
        def contents() -> dict[str, bytes]:
            return {MANIFEST: (bundle.path / MANIFEST).read_bytes(), **bundle.contents}

        return Artifact(_bundle_name(bundle), f"sending {bundle.name}", contents)

    def _slices_artifact(self, slices: Sequence[Slice]) -> Artifact:
        files = [str(index) for index, _ in enumerate(slices)]
        entries = listing(slices, files)
        self._slices = f"slices/{sha256_bytes(entries)}"

        def contents() -> dict[str, bytes]:
            return {LISTING: entries, **{file: read(one.path) for file, one in zip(files, slices, strict=True)}}

        return Artifact(self._slices, f"sending {len(slices)} slices", contents)

    def _send(self, artifact: Artifact, contents: Mapping[str, bytes]) -> None:
        hashes = json.dumps({name: sha256_bytes(content) for name, content in contents.items()}).encode()
        # The hashes go first in the tar, because a command line is too short for those of many slices.
        sent = {HASHES: hashes, **contents}
        self._call_agent(
            artifact.step, "receive", artifact.name, sha256_bytes(hashes), write=lambda stream: _tar(sent, stream)
        )

    def _call_agent(
        self, step: str, command: str, *words: str, write: Callable[[IO[bytes]], None] = lambda stream: None
    ) -> dict[str, Any]:
        """The answer of a command of `remote_agent.py`; raises TargetFailed: its own error, or no answer."""
        line = join([self._host.python, "-I", "-c", REMOTE_AGENT.read_text(), command, self._host.folder, *words])
        output = self.connection.run(line, step, write)
        answer = dict(json.loads(output.splitlines()[-1] if output.strip() else '{"error": "no answer"}'))
        if "error" in answer:
            raise TargetFailed(
                f"{self.file.title}: {step}: {answer['error']}",
                f"see that {self._host.folder} there has room and may be written to",
            )
        return answer


def _bundle_name(bundle: Bundle) -> str:
    return f"bundles/{bundle.manifest_sha256}"


def _room(contents: Mapping[str, bytes]) -> int:
    """Bytes that a artifact needs: its files, and what wheels hold."""
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
