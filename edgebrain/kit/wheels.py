"""The wheels of a device: exactly those of its processor, C library and Python, pinned by hash; and our own runtime.

The pins stand in `locks/cpXY-MACHINE.json`, which travel with the package: for each package its version, what it needs,
and the SHA-256 of each wheel. `make locks` renews them.

The wheel that fits is chosen by the C library in its name. A test compares the choice with the order of
`packaging.tags` for every pin; it is the same. `packaging` itself is not used: it lists the tags that a system takes,
and not the C library that a wheel needs, which the hint of a refusal names. Tags would be parsed here all the same, and
the old names of manylinux tags listed.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from edgebrain import __version__
from edgebrain.cache import cache_folder
from edgebrain.errors import NoWheels
from edgebrain.files import read_json, sha256_file, write_bytes

LOCKS = Path(__file__).with_name("locks")
PACKAGE = Path(__file__).parents[1]
# What a device runs of our own code; `runtime` imports nothing else (kept by the import contracts).
RUNTIME_FILES = (
    "__init__.py",
    "bundle/*.py",
    "errors.py",
    "files.py",
    "formats.py",
    "libraries.py",
    "plugins.py",
    "progress.py",
    "settings.py",
    "signature.py",
    "text.py",
    "runtime/**/*.py",
)
# Zip files hold no earlier date; a fixed one makes equal code equal bytes.
EPOCH = (1980, 1, 1, 0, 0, 0)
# Names that manylinux tags had before they named the C library.
OLD_TAGS = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}


@dataclass(frozen=True)
class Platform:
    """What decides which wheel fits.

    Attributes:
        machine: The processor as `uname -m` calls it, such as aarch64.
        glibc: Version of the C library, such as 2.36.
        python: Version of Python, such as 3.11.
    """

    machine: str
    glibc: str
    python: str

    def __str__(self) -> str:
        return f"{self.machine}, glibc {self.glibc}, Python {self.python}"

    @property
    def lock(self) -> Path:
        """The file with the pins for this processor and Python; it may not be there."""
        return LOCKS / f"cp{self.python.replace('.', '')}-{self.machine}.json"


@dataclass(frozen=True)
class Wheel:
    """A pinned wheel: its package, the file's name, and its SHA-256."""

    package: str
    version: str
    name: str
    sha256: str

    @property
    def platform_tags(self) -> list[str]:
        """The platform tags in its name, such as manylinux_2_27_aarch64; `any` for pure Python."""
        return self.name.removesuffix(".whl").rsplit("-", 1)[1].split(".")

    def needs_glibc(self, machine: str) -> tuple[int, int] | None:
        """The oldest C library that it runs with on this processor; (0, 0) for pure Python; None where it does not."""
        found = [oldest for tag in self.platform_tags if (oldest := _oldest_glibc(tag, machine)) is not None]
        return min(found, default=None)


def wheels_for(packages: Sequence[str], platform: Platform) -> list[Path]:
    """The wheels of these packages and of all they need, for exactly this platform, verified.

    Args:
        packages: Names as pip calls them.
        platform: The device's.

    Returns:
        Files in the cache folder, by name; fetched where they are not there yet.

    Raises:
        NoWheels: None fits this platform (says which package, and which platforms there are), or one cannot be fetched.
    """
    wheels = choose_wheels(packages, platform)
    folder = cache_folder() / "wheels"
    missing = [wheel for wheel in wheels if not _is_there(folder / wheel.name, wheel)]
    if missing:
        _fetch(missing, platform, folder)
    return [folder / wheel.name for wheel in wheels]


def choose_wheels(packages: Sequence[str], platform: Platform) -> list[Wheel]:
    """The pinned wheels of these packages and of all they need, sorted by name; nothing is fetched.

    Raises:
        NoWheels: None fits this platform.
    """
    pins = _pins(platform)
    for name in packages:
        if name not in pins:
            raise NoWheels(f"{name} is not pinned for {platform}", f"pinned are {', '.join(pins)}")
    return [_choose(name, pins[name], platform) for name in _closure(packages, pins)]


def known_platforms() -> list[str]:
    """The processors and Pythons that have pins, such as `aarch64 with Python 3.11`."""
    names = sorted(path.stem.split("-", 1) for path in LOCKS.glob("*.json"))
    return [f"{machine} with Python {tag[2]}.{tag[3:]}" for tag, machine in names]


def runtime_wheel() -> bytes:
    """Our own code for a device as a wheel: `runtime` and what it imports of ours. Equal code gives equal bytes."""
    names = sorted({path for pattern in RUNTIME_FILES for path in PACKAGE.glob(pattern)})
    contents = {f"edgebrain/{path.relative_to(PACKAGE).as_posix()}": path.read_bytes() for path in names}
    about = f"edgebrain-{__version__}.dist-info"
    contents[f"{about}/METADATA"] = (
        f"Metadata-Version: 2.1\nName: edgebrain\nVersion: {__version__}\nRequires-Python: >=3.11\n"
    ).encode()
    contents[f"{about}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: edgebrain\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    contents[f"{about}/RECORD"] = _record(contents, f"{about}/RECORD")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return packed.getvalue()


def runtime_wheel_name() -> str:
    """The file name under which an installer accepts `runtime_wheel()`."""
    return f"edgebrain-{__version__}-py3-none-any.whl"


def _pins(platform: Platform) -> dict[str, Any]:
    if not platform.lock.is_file():
        raise NoWheels(
            f"no wheels are pinned for {platform.machine} with Python {platform.python}",
            f"there are some for {'; '.join(known_platforms())}",
        )
    return dict(read_json(platform.lock, NoWheels)["packages"])


def _closure(packages: Sequence[str], pins: dict[str, Any]) -> list[str]:
    """The packages and all that they need, sorted."""
    found: set[str] = set()
    waiting = list(packages)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += pins[name]["needs"]
    return sorted(found)


def _choose(name: str, pin: dict[str, Any], platform: Platform) -> Wheel:
    """The wheel made for the newest C library that is not newer than the platform's."""
    has = _version(platform.glibc)
    wheels = [Wheel(name, pin["version"], file, digest) for file, digest in pin["wheels"].items()]
    needed = {wheel: oldest for wheel in wheels if (oldest := wheel.needs_glibc(platform.machine)) is not None}
    fitting = [wheel for wheel, oldest in needed.items() if oldest <= has]
    if not fitting:
        lowest = min(needed.values(), default=None)
        raise NoWheels(
            f"no wheel of {name} {pin['version']} fits {platform}",
            f"it runs with glibc {lowest[0]}.{lowest[1]} or newer: take a newer system there"
            if lowest
            else f"there are some for {'; '.join(known_platforms())}",
        )
    return max(fitting, key=lambda wheel: (needed[wheel], wheel.name))


def _oldest_glibc(tag: str, machine: str) -> tuple[int, int] | None:
    """The C library that a platform tag asks for on this processor; None where the tag is for another one."""
    if tag == "any":
        return (0, 0)
    if not tag.endswith(f"_{machine}"):
        return None
    library = tag.removesuffix(f"_{machine}")
    if named := re.fullmatch(r"manylinux_(\d+)_(\d+)", library):
        return int(named[1]), int(named[2])
    return OLD_TAGS.get(library)


def _version(text: str) -> tuple[int, int]:
    major, minor = text.split(".")[:2]
    return int(major), int(minor)


def _is_there(path: Path, wheel: Wheel) -> bool:
    return path.is_file() and sha256_file(path) == wheel.sha256


def _fetch(wheels: Sequence[Wheel], platform: Platform, folder: Path) -> None:
    """Download wheels into the folder, each only after its hash was checked. Raises NoWheels."""
    with tempfile.TemporaryDirectory(prefix="edgebrain-wheels-") as temporary:
        pins = Path(temporary) / "pins.txt"
        write_bytes(pins, "".join(f"{w.package}=={w.version} --hash=sha256:{w.sha256}\n" for w in wheels).encode())
        command = [*_pip(), "download", "--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:"]
        command += ["--dest", temporary, "--requirement", str(pins), "--python-version", platform.python]
        # backports-strenum forbids the very Pythons that ai-edge-litert needs it for; uv takes no notice of it either.
        command += ["--implementation", "cp", "--ignore-requires-python"]
        # Each tag is named: pip does not know that what asks for an older C library runs with a newer one.
        for tag in sorted({tag for wheel in wheels for tag in wheel.platform_tags} - {"any"}):
            command += ["--platform", tag]
        command += ["--abi", f"cp{platform.python.replace('.', '')}", "--abi", "abi3", "--abi", "none"]
        done = subprocess.run(command, capture_output=True, text=True)
        reason = _last_line(done.stderr)
        for wheel in wheels:
            path = Path(temporary) / wheel.name
            if done.returncode != 0 or not _is_there(path, wheel):
                raise NoWheels(
                    f"{wheel.name} for {platform} is not in the cache and cannot be fetched ({reason})",
                    f"connect this machine to the network once, or copy the files to {folder}",
                )
            write_bytes(folder / wheel.name, path.read_bytes())


def _pip() -> list[str]:
    """The command line of pip: this Python's own, or the one that uv brings.

    Raises:
        NoWheels: Neither is here.
    """
    if find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    if uv := shutil.which("uv"):
        return [uv, "run", "--quiet", "--no-project", "--with", "pip", "python", "-m", "pip"]
    raise NoWheels("neither pip nor uv is here to fetch wheels with", f"{sys.executable} -m ensurepip")


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:200] if lines else "no reason given"


def _record(contents: dict[str, bytes], own_name: str) -> bytes:
    """The list of files with hashes that a wheel must hold."""
    lines = [
        f"{name},sha256={urlsafe_b64encode(sha256(content).digest()).rstrip(b'=').decode()},{len(content)}"
        for name, content in contents.items()
    ]
    return "\n".join([*lines, f"{own_name},,", ""]).encode()
