"""The offline kit: a bundle, our runtime, a device's wheels and an installer in one tar. Equal inputs give equal bytes.

edgebrain-kit/
  install.sh  README.md  Containerfile  kit.json
  SHA256SUMS       every other file
  bundle/          as it was given
  wheels/          ours, and those of the device
  reference/       slices, and what each step gave here (see `runtime.selftest`)
  device/          the two commands, and the unit of the watched folder
"""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from itertools import chain, islice, zip_longest
from pathlib import Path
from typing import Any

from edgebrain import __version__
from edgebrain.bundle import MANIFEST, SIGNATURE, Bundle
from edgebrain.errors import EdgebrainError
from edgebrain.files import canonical_json, refuse_to_overwrite, sha256_bytes, write_bytes
from edgebrain.kit.wheels import LOCKS, Platform, Wheel, choose_wheels, runtime_wheel, runtime_wheel_name, wheels_for
from edgebrain.runtime.selftest import record
from edgebrain.runtime.session import open_session

# Target -> processor. A container's is the usual one; on a Pi, the kit of `pi` is a container's context as well.
MACHINES = {"pi": "aarch64", "laptop": "x86_64", "container": "x86_64"}
# Raspberry Pi OS and Debian 13; Debian 12 has 3.11.
PYTHON = "3.13"
# Debian 12's C library; newer systems run what was made for it.
GLIBC = "2.36"
ON_A_DEVICE = ("ai-edge-litert", "msgspec", "numpy", "opencv-python-headless")
TOP = "edgebrain-kit"
DEVICE = Path(__file__).with_name("device")
PROGRAMS = ("install.sh", "device/edgebrain-predict", "device/edgebrain-selftest")
DEVICE_FILES = (*PROGRAMS, "device/edgebrain-watch.service", "Containerfile", "README.md")
# What Python's compiled modules add.
BYTECODE_SHARE = 0.1


@dataclass(frozen=True)
class Part:
    """A row of what is in a kit. name: a package, or what it is. size_bytes: in the kit."""

    name: str
    version: str
    size_bytes: int


@dataclass(frozen=True)
class Kit:
    """A kit that was written. sha256: of the tar. unlike: libraries that are others here than in the kit, in words."""

    path: Path
    platform: Platform
    parts: tuple[Part, ...]
    size_bytes: int
    sha256: str
    unlike: tuple[str, ...]


def check_kit(bundle: Bundle, target: str, python: str) -> tuple[Platform, list[Wheel]]:
    """Whether a kit can be made of this bundle. Returns: where it runs, and the wheels it takes; nothing is fetched.

    Raises EdgebrainError: the kit's engine does not run this format. NoWheels: none is pinned for this Python.
    """
    if bundle.format != "tflite":
        raise EdgebrainError(
            f"{bundle.path}: is {bundle.format}, and a kit's engine runs tflite",
            "use a tflite bundle, such as the tflite-int8 of the same run (edgebrain quantize --int8)",
        )
    platform = Platform(MACHINES[target], GLIBC, python)
    return platform, choose_wheels(ON_A_DEVICE, platform)


def build_kit(
    bundle: Bundle,
    slices: Mapping[str, bytes],
    out: Path,
    target: str = "pi",
    python: str = PYTHON,
    force: bool = False,
) -> Kit:
    """Write a kit whole or not at all; the reference is recorded here, with the interpreter of this machine.

    Args:
        slices: Name -> picture file, for the self-test; they travel in the kit.
        target: Of MACHINES.

    Raises:
        EdgebrainError: As `check_kit`; BadImage: a slice that cannot be used. NoWheels: a wheel cannot be fetched.
            CannotWrite.
    """
    refuse_to_overwrite(out, force)
    platform, chosen = check_kit(bundle, target, python)
    reference = record(open_session(bundle), slices)
    wheels = {path.name: path.read_bytes() for path in wheels_for(ON_A_DEVICE, platform)}
    wheels[runtime_wheel_name()] = runtime_wheel()
    contents = {
        **{f"bundle/{name}": content for name, content in bundle.contents.items()},
        f"bundle/{MANIFEST}": (bundle.path / MANIFEST).read_bytes(),
        **_signature(bundle),
        **{f"reference/{name}": content for name, content in reference.items()},
        **{f"wheels/{name}": content for name, content in wheels.items()},
    }
    about = _about(bundle, platform, chosen, contents)
    contents["kit.json"] = canonical_json({**about, "target": target}).encode()
    contents.update(_device_files(_blanks(about, target, len(slices), len(contents))))
    contents["SHA256SUMS"] = _sums(contents)
    packed = pack(contents)
    write_bytes(out, packed)
    return Kit(out, platform, _parts(bundle, chosen, contents), len(packed), sha256_bytes(packed), _unlike(chosen))


def _signature(bundle: Bundle) -> dict[str, bytes]:
    """The bundle's signature where it is signed, which the installer verifies for who names a key."""
    path = bundle.path / SIGNATURE
    return {f"bundle/{SIGNATURE}": path.read_bytes()} if path.is_file() else {}


def telling_slices(bundle: Bundle, candidates: Mapping[str, bytes], count: int) -> dict[str, bytes]:
    """The slices of a self-test: of each answer (class, whether anything is marked) and each file type in turn.

    A test on slices that all give an empty mask would not see how masks are made.

    Args:
        candidates: Name -> picture file.

    Returns:
        At most `count` of them, in order of name.

    Raises:
        EdgebrainError: As `open_session` and `Session.predict_file`.
    """
    session = open_session(bundle)
    alike: dict[tuple[str, bool, str], list[str]] = {}
    for name, data in candidates.items():
        _, answer = session.predict_file(data, name)
        alike.setdefault((answer.label, bool(answer.mask.any()), Path(name).suffix), []).append(name)
    in_turn = chain.from_iterable(zip_longest(*(alike[kind] for kind in sorted(alike))))
    chosen = islice((name for name in in_turn if name is not None), count)
    return {name: candidates[name] for name in sorted(chosen)}


def pack(contents: Mapping[str, bytes]) -> bytes:
    """An uncompressed tar (wheels are compressed already): sorted names, no owner, date or mode of this machine."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in sorted(contents):
            entry = tarfile.TarInfo(f"{TOP}/{name}")
            entry.size = len(contents[name])
            entry.mode = 0o755 if name in PROGRAMS else 0o644
            archive.addfile(entry, io.BytesIO(contents[name]))
    return packed.getvalue()


def _unlike(chosen: list[Wheel]) -> tuple[str, ...]:
    """Each library by which the reference was made in another version than the kit's."""
    here = {package: _version_here(package) for package in ON_A_DEVICE}
    pairs = [(wheel, here[wheel.package]) for wheel in chosen if wheel.package in here]
    return tuple(f"{wheel.package} {found}, not {wheel.version}" for wheel, found in pairs if found != wheel.version)


def _version_here(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "is not installed"


def _about(bundle: Bundle, platform: Platform, chosen: list[Wheel], contents: Mapping[str, bytes]) -> dict[str, Any]:
    """What kit.json says."""
    oldest = max(needed for wheel in chosen if (needed := wheel.needs_glibc(platform.machine)))
    return {
        "schema": 1,
        "about": f"{bundle.name} ({bundle.precision}, edgebrain {__version__}, Python {platform.python})",
        "bundle": bundle.name,
        "manifest_sha256": bundle.manifest_sha256,
        "edgebrain": __version__,
        "machine": platform.machine,
        "python": platform.python,
        "glibc": f"{oldest[0]}.{oldest[1]}",
        "packages": {wheel.package: wheel.version for wheel in chosen},
        "installed_kib": _installed_kib(contents),
    }


def _installed_kib(contents: Mapping[str, bytes]) -> int:
    """Room that an installed kit takes, in KiB."""
    total = sum(_unpacked_bytes(name, content) for name, content in contents.items())
    return int(total * (1 + BYTECODE_SHARE)) // 1024 + 1024


def _unpacked_bytes(name: str, content: bytes) -> int:
    if not name.endswith(".whl"):
        return len(content)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return sum(entry.file_size for entry in archive.infolist())


def _blanks(about: Mapping[str, Any], target: str, slices: int, others: int) -> dict[str, str]:
    """What the device's files leave open, by name. others: files of the kit that are not among them."""
    return {
        "target": target,
        "bundle": about["bundle"],
        "machine": about["machine"],
        "python": about["python"],
        "pythons": " ".join(_pythons(about["machine"])),
        "glibc": about["glibc"],
        "needs_kib": str(about["installed_kib"]),
        "files": str(others + len(DEVICE_FILES)),
        "slices": str(slices),
        "packages": ", ".join(f"{name} {version}" for name, version in about["packages"].items()),
    }


def _pythons(machine: str) -> list[str]:
    tags = sorted(path.stem.split("-", 1)[0] for path in LOCKS.glob(f"*-{machine}.json"))
    return [f"{tag[2]}.{tag[3:]}" for tag in tags]


def _device_files(blanks: Mapping[str, str]) -> dict[str, bytes]:
    """Path in the kit -> file of ours, its blanks filled in."""
    sources = {name: DEVICE / Path(name).name for name in DEVICE_FILES}
    return {name: _filled(path.read_text(encoding="utf-8"), blanks).encode() for name, path in sources.items()}


def _filled(text: str, blanks: Mapping[str, str]) -> str:
    for name, value in blanks.items():
        text = text.replace(f"@{name}@", value)
    return text


def _sums(contents: Mapping[str, bytes]) -> bytes:
    """What `sha256sum -c` reads."""
    return "".join(f"{sha256_bytes(contents[name])}  {name}\n" for name in sorted(contents)).encode()


def _parts(bundle: Bundle, chosen: list[Wheel], contents: Mapping[str, bytes]) -> tuple[Part, ...]:
    """Rows of a table: bundle, our code, each package, the reference, and the rest."""

    def below(folder: str) -> int:
        return sum(len(content) for name, content in contents.items() if name.startswith(folder))

    packages = [Part(wheel.package, wheel.version, len(contents[f"wheels/{wheel.name}"])) for wheel in chosen]
    rest = sum(len(content) for name, content in contents.items() if "/" not in name) + below("device/")
    return (
        Part("bundle", f"{bundle.name}, {bundle.precision}", below("bundle/")),
        Part("edgebrain runtime", __version__, below(f"wheels/{runtime_wheel_name()}")),
        *packages,
        Part("reference slices", "with each step's bytes", below("reference/")),
        Part("installer", "and unit, Containerfile, README", rest),
    )
