"""libedgetpu, the driver of a Coral Edge TPU: which file it is, and whether it, LiteRT and a device work together.

That is found out in a child process: a libedgetpu that was built for another TFLite kills the process that uses it,
some at loading and some at the first answer (github.com/google-coral/edgetpu, issue 812).
"""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from edgebrain.errors import EdgebrainError, MissingExtra
from edgebrain.formats import ENGINES
from edgebrain.runtime.engines import edgetpu_trial, installed

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

LIBRARIES = {"Linux": "libedgetpu.so.1", "Darwin": "libedgetpu.1.dylib", "Windows": "edgetpu.dll"}
VARIABLE = "EDGEBRAIN_LIBEDGETPU"
# A USB device gets its firmware at the first opening and registers again, which takes seconds; nothing takes a minute.
PATIENCE_S = 60.0
# By the public record; neither pair was tried here. The second: issue 812, and installers that name both.
PAIRS = (
    "Google's libedgetpu 16.0 goes with TFLite up to 2.11.1; with ai-edge-litert 2 others run "
    "github.com/feranick/libedgetpu, release 16.0TF2.19.1-1"
)


def coral_lacks() -> EdgebrainError | None:
    """What is missing for a Coral Edge TPU on this machine; None where a child process could open one."""
    if not installed("edgetpu"):
        litert = ENGINES["edgetpu"]
        return MissingExtra(litert.package, litert.extra, "an Edge TPU")
    try:
        with Hold():
            try_out()
    except EdgebrainError as problem:
        return problem
    return None


class Hold:
    """The Edge TPU of this machine for one user at a time, among those of edgebrain, until `release` or its end.

    To look whether a device is free is not harmless: a second process that opens a USB one kills the first, and the
    device may have to be attached again (google-coral/edgetpu, issues 237 and 645).
    """

    def __init__(self) -> None:
        """Raises:
        EdgebrainError: Another holds it, or it cannot be asked for.
        """
        self._file: int | None = None
        self._file = _opened(Path(tempfile.gettempdir(), "edgebrain-edgetpu.lock"))
        try:
            if fcntl is not None:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as problem:
            self.release()
            raise EdgebrainError(
                "another process of edgebrain has the Edge TPU, and one process at a time can use it",
                "wait for the other; bench one compiled bundle, at one thread count",
            ) from problem

    def release(self) -> None:
        """Give it back."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def __enter__(self) -> Hold:
        return self

    def __exit__(self, *ended: object) -> None:
        self.release()

    def __del__(self) -> None:
        self.release()


def _opened(lock: Path) -> int:
    """A file that all users may lock. Some kernels let only its owner open it as one to be created."""
    try:
        with suppress(FileNotFoundError):
            return os.open(lock, os.O_RDONLY)
        opened = os.open(lock, os.O_RDONLY | os.O_CREAT, 0o644)
        # A person's umask may have taken the others' right to read.
        lock.chmod(0o644)
        return opened
    except OSError as problem:
        raise EdgebrainError(
            f"{lock}: {problem.strerror}, and it says who has the Edge TPU", "take the file away, or let all read it"
        ) from problem


def library() -> str:
    """The library as the system's loader takes it: a file, or a name to look for."""
    return os.environ.get(VARIABLE) or LIBRARIES.get(platform.system(), LIBRARIES["Linux"])


def loaded_from(name: str) -> str:
    """Where a library that this process has loaded lies; its name where the system does not tell."""
    if len(Path(name).parts) > 1:
        return str(Path(name).resolve())
    with suppress(OSError):
        for line in Path("/proc/self/maps").read_text().splitlines():
            # The name is a link to a file of a longer one, libedgetpu.so.1.0.
            if (path := line.split()[-1]).startswith("/") and Path(path).name.startswith(name):
                return path
    return name


def try_out(model: bytes = b"", patience_s: float | None = None) -> str:
    """Use the driver in a child process: open the device and, with a compiled model, answer once.

    Returns:
        What libedgetpu says of its version; empty where it says nothing.

    Raises:
        EdgebrainError: It is not there, is no delegate, finds no device, cannot run the model, kills the process that
            uses it, or does not answer within `patience_s` (else PATIENCE_S) seconds.
    """
    name, limit = library(), PATIENCE_S if patience_s is None else patience_s
    # By path and with -P: this folder has modules that are called as the libraries that they load.
    command = [sys.executable, "-P", edgetpu_trial.__file__, name]
    try:
        done = subprocess.run(command, input=model, capture_output=True, timeout=limit)
    except subprocess.TimeoutExpired as problem:
        raise EdgebrainError(
            f"{name}: did not answer within {limit:g} s ({_printed_steps(problem.stdout)[-1]})",
            "unplug the Edge TPU and attach it again, at a port that gives it enough current",
        ) from problem
    steps = _printed_steps(done.stdout)
    if done.returncode == 0:
        return steps[-1]
    if done.returncode == 1 and steps[-1] not in edgetpu_trial.STEPS:
        kind, _, words = steps[-1].partition(" ")
        raise _explained(name, kind, words, steps[-2])
    raise EdgebrainError(
        f"{name}: killed the process that tried it, at {steps[-1]}, by {_how(done.returncode)} (here: {_versions()})",
        f"{PAIRS}; {VARIABLE} names another file",
    )


def _explained(name: str, kind: str, words: str, step: str) -> EdgebrainError:
    """The error that the child printed, as a sentence with a way out."""
    words = words[:200]
    if kind == "OSError":
        return EdgebrainError(
            f"{name}: cannot be loaded ({words})",
            f"install libedgetpu, or name its file in {VARIABLE}; {PAIRS}",
        )
    if kind == "AttributeError":
        return EdgebrainError(f"{name}: is no TFLite delegate ({words})", f"name libedgetpu in {VARIABLE}")
    if kind == "ValueError":
        return EdgebrainError(
            f"{name}: opens no Edge TPU: none is attached, another process has it, or this user may not open it",
            "attach one (lsusb shows 1a6e:089a or 18d1:9302, a PCIe one is /dev/apex_0) and see who may open it",
        )
    return EdgebrainError(
        f"{name}: failed at {step} ({words}; here: {_versions()})", f"{PAIRS}; {VARIABLE} names another file"
    )


def _printed_steps(output: bytes | None) -> list[str]:
    """What the child printed of its steps, one a line."""
    lines = (output or b"").decode(errors="replace").splitlines()
    return [line[2:] for line in lines if line.startswith("> ")] or ["starting Python"]


def _how(code: int) -> str:
    """How a process died: by which signal; on Windows, which has none, by which exception."""
    if code >= 0:
        return f"exit code {code:#x}"
    with suppress(ValueError):
        return f"{signal.Signals(-code).name} (signal {-code})"
    return f"signal {-code}"


def _versions() -> str:
    try:
        litert = version("ai-edge-litert")
    except PackageNotFoundError:
        litert = "not installed"
    return f"ai-edge-litert {litert}, Python {platform.python_version()}, {platform.machine()}"
