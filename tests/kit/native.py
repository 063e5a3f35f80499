"""A kit for this machine whose wheels are shims: each looks its package up in the environment of the tests.

So everything but the wheels' own code is real, and a kit has 300 KB instead of 100 MB.
"""

from __future__ import annotations

import io
import os
import platform
import shutil
import signal
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from edgebrain.bundle import Bundle
from edgebrain.errors import NoWheels
from edgebrain.files import sha256_bytes, write_bytes
from edgebrain.kit import build
from edgebrain.kit.build import MACHINES, TOP, Kit, build_kit, telling_slices
from edgebrain.kit.wheels import Wheel
from edgebrain.phantom.generator import phantom_files
from tests.runtime.pictures import bright_disc, encoded
from tests.system_programs import needs

MACHINE = platform.machine()
PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
TARGET = next((target for target, machine in MACHINES.items() if machine == MACHINE), "laptop")
ENVIRONMENT = Path(np.__file__).parents[1]
MODULES = {"ai-edge-litert": "ai_edge_litert", "msgspec": "msgspec", "numpy": "numpy", "opencv-python-headless": "cv2"}
SHIM = """
import importlib, sys
from pathlib import Path
place = sys.path.index(str(Path(__file__).parents[1]))
mine = sys.path[place]
sys.path[place] = {environment!r}
del sys.modules[__name__]
importlib.import_module(__name__)
sys.path[place] = mine
if {environment!r} not in sys.path:
    sys.path.append({environment!r})
"""
# What install.sh and the commands call, but for Python; nothing else is on the PATH of the tests.
TOOLS = [
    "cat",
    "chmod",
    "cp",
    "date",
    "dirname",
    "env",
    "getent",
    "grep",
    "head",
    "id",
    "ln",
    "ls",
    "mkdir",
    "mktemp",
    "mv",
    "readlink",
    "rm",
    "rmdir",
    "sed",
    "sh",
    "sha256sum",
    "sleep",
    "sync",
    "uname",
    "wc",
]


def slices() -> dict[str, bytes]:
    """Three bright discs, which the tiny network marks; one a decoder."""
    return {
        f"slice_{n}{kind}": encoded(bright_disc(90 + n, 71), kind) for n, kind in enumerate((".png", ".jpg", ".tiff"))
    }


def shim_wheels(folder: Path) -> tuple[list[Wheel], list[Path]]:
    """The pins and the files of the shims; one asks for a C library, as real ones do."""
    wheels, paths = [], []
    for package, module in MODULES.items():
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr(zipfile.ZipInfo(f"{module}/__init__.py"), SHIM.format(environment=str(ENVIRONMENT)))
        name = f"{module}-1.0-py3-none-manylinux_2_28_{MACHINE}.whl"
        write_bytes(folder / name, packed.getvalue())
        wheels.append(Wheel(package, "1.0", name, sha256_bytes(packed.getvalue())))
        paths.append(folder / name)
    return wheels, paths


def native_kit(
    bundle: Bundle, out: Path, monkeypatch: pytest.MonkeyPatch, pictures: dict[str, bytes] | None = None
) -> Kit:
    """A kit for this machine and Python, with shims."""
    wheels, paths = shim_wheels(out.parent / "shims")
    monkeypatch.setattr(build, "choose_wheels", lambda packages, place: wheels)
    monkeypatch.setattr(build, "wheels_for", lambda packages, place: paths)
    return build_kit(bundle, pictures or slices(), out, TARGET, PYTHON, force=True)


def unpack(kit: Path, folder: Path) -> Path:
    """The unpacked kit."""
    with tarfile.open(kit) as archive:
        archive.extractall(folder, filter="data")
    return folder / TOP


def seal(kit: Path) -> None:
    """Write the list of hashes again, as one does who changed the kit on purpose."""
    names = sorted(path.relative_to(kit).as_posix() for path in kit.rglob("*") if path.is_file())
    lines = [f"{sha256_bytes((kit / name).read_bytes())}  {name}\n" for name in names if name != "SHA256SUMS"]
    (kit / "SHA256SUMS").write_text("".join(lines))


def change_runtime(kit: Path, file: str, old: str, new: str) -> None:
    """Put other code into the kit's own wheel, and seal the kit."""
    (path,) = (kit / "wheels").glob("edgebrain-*.whl")
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name).decode() for name in archive.namelist()}
    name = f"edgebrain/runtime/{file}"
    assert old in contents[name]
    contents[name] = contents[name].replace(old, new)
    with zipfile.ZipFile(path, "w") as archive:
        for entry, text in contents.items():
            archive.writestr(entry, text)
    seal(kit)


def system_python() -> str:
    """A Python of this version outside of home folders where there is one, else the one that runs the tests."""
    of_system = Path(f"/usr/bin/python{PYTHON}")
    return str(of_system if of_system.exists() else Path(sys.executable).resolve())


@dataclass
class Device:
    """A home folder and a PATH on which nothing but a few tools and Python are found."""

    home: Path
    path: Path
    before: list[str] = field(default_factory=list)

    def stub(self, name: str, script: str) -> None:
        """Put a shell script in the place of a tool."""
        (self.path / name).unlink(missing_ok=True)
        (self.path / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.path / name).chmod(0o755)

    def start(self, *words: str | Path, cwd: Path | None = None) -> subprocess.Popen[str]:
        """Start a command, with nothing of this environment."""
        return subprocess.Popen(
            [*self.before, *map(str, words)],
            env={"HOME": str(self.home), "PATH": str(self.path)},
            cwd=cwd or self.home,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            # A background job hands down an ignored Ctrl-C, and a shell cannot trap what it was started to ignore.
            preexec_fn=_hear_ctrl_c,
        )

    def run(self, *words: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        process = self.start(*words, cwd=cwd)
        out, err = process.communicate(timeout=300)
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    @property
    def installed(self) -> Path:
        """Where a kit goes unless it is told otherwise."""
        return self.home / "edgebrain"


def make_device(folder: Path) -> Device:
    """A device with this Python and a space in the name of its home."""
    device = Device(folder / "a home", folder / "bin")
    device.home.mkdir(parents=True)
    device.path.mkdir()
    for name in TOOLS:
        (device.path / name).symlink_to(shutil.which(name, path="/usr/bin:/bin") or f"/bin/{name}")
    (device.path / "python3").symlink_to(system_python())
    return device


def _hear_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def as_root() -> None:
    """Skip a test that mounts or changes its user."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    needs("unshare")


def real_kit(bundle: Bundle, out: Path, target: str, python: str) -> Path:
    """A kit with 20 slices and its real wheels. Skips, by name, where these can neither be found nor fetched."""
    try:
        return build_kit(bundle, telling_slices(bundle, phantom_files(60, 20), 20), out, target, python).path
    except NoWheels as problem:
        pytest.skip(problem.message)
