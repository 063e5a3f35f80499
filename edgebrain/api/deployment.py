"""A bundle made ready for a device: an offline kit, or a compiled model; or only what would run there."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebrain.api.arguments import AnyPath, optional_path
from edgebrain.api.defaults import chosen_bundle
from edgebrain.errors import BadTarget

if TYPE_CHECKING:
    from edgebrain.bundle import Bundle

# Target -> the module that knows it, with `check(bundle)` and `deploy(bundle, out, force)`.
COMPILED = {"coral": "edgebrain.coral.deploy"}
# Targets that get an offline kit, as in `kit.build.MACHINES`.
KITS = ("pi", "laptop", "container")
TARGETS = (*COMPILED, *KITS)
REFERENCE_SLICES = 20
# Phantoms among which those are chosen that the bundle answers differently.
CANDIDATES, SEED = 200, 20


def deploy(
    bundle: AnyPath | None = None,
    target: str = "coral",
    *,
    check: bool = False,
    out: AnyPath | None = None,
    python: str | None = None,
    slices: AnyPath | None = None,
    force: bool = False,
) -> dict[str, Any]:
    """Prepare a bundle for a device: pi, laptop and container get a kit that installs offline; coral is compiled.

    Args:
        bundle: The bundle; the newest finished run's INT8 TFLite one when left out.
        target: coral, pi, laptop or container.
        check: Only say what would run there, and write nothing.
        out: Folder of the compiled bundle, or the kit's tar file; beside the bundle when left out.
        python: Kits: the device's Python, 3.13 or 3.11 (Debian 12); 3.13 when left out.
        slices: Kits: folder of pictures for the self-test, which travel in the kit; phantoms when left out.
        force: Replace a result that is there.

    Returns:
        What would run there, with a `table` of heads and rows and `lines` of text; under `deployed` what was written.
        `failed` is True where a part of the model would stay on the CPU.

    Raises:
        BadTarget: The target is not known, or an option does not go with it.
        NoWheels: The device's Python has none.
        CompilerFailed: The compiler is not installed, or refuses the model.
        CannotWrite: A result is there.

    Example:
        >>> edgebrain.deploy("runs/demo-1", "coral", check=True)["failed"]
        False
    """
    if target not in TARGETS:
        raise BadTarget(f"target {target!r} is not known", f"use --target {' or '.join(TARGETS)}")
    if target not in KITS and (python or slices):
        raise BadTarget(f"--python and --slices do not go with --target {target}", "they are for kits")
    from edgebrain.bundle import open_bundle

    opened = open_bundle(chosen_bundle(optional_path(bundle, "bundle")))
    wanted = optional_path(out, "out")
    if target in KITS:
        return _kit(opened, target, python, optional_path(slices, "slices"), wanted, check, force)
    module = import_module(COMPILED[target])
    found: dict[str, Any] = module.check(opened)
    if not check:
        found["deployed"] = module.deploy(opened, wanted, force)
        found["failed"] = found["deployed"]["failed"]
    return found


def _kit(
    bundle: Bundle, target: str, python: str | None, slices: Path | None, out: Path | None, check: bool, force: bool
) -> dict[str, Any]:
    from edgebrain.kit.build import PYTHON, build_kit, check_kit

    platform, wheels = check_kit(bundle, target, python or PYTHON)
    rows = [["bundle", f"{bundle.name}, {bundle.precision}"], *([one.package, one.version] for one in wheels)]
    found: dict[str, Any] = {
        "schema": 1,
        "target": target,
        "bundle": bundle.name,
        "path": str(bundle.path),
        "manifest_sha256": bundle.manifest_sha256,
        "machine": platform.machine,
        "python": platform.python,
        "packages": {one.package: one.version for one in wheels},
        "table": {"heads": ["part", "version"], "rows": rows},
        "lines": [],
        "failed": False,
    }
    if check:
        return found
    written = out or bundle.path.with_name(f"{bundle.path.name}-{target}.tar")
    kit = build_kit(bundle, _reference_slices(bundle, slices), written, target, platform.python, force)
    found["table"] = {
        "heads": ["part", "version", "MB"],
        "rows": [[part.name, part.version, f"{part.size_bytes / 1e6:.2f}"] for part in kit.parts],
    }
    lines = [f"{kit.path}: {kit.size_bytes / 1e6:.1f} MB, sha256 {kit.sha256}"]
    lines += [f"the reference was made here with {one}: the self-test may fail for that alone" for one in kit.unlike]
    if slices is not None:
        lines.append(f"the slices of {slices} travel in the kit: whoever has it can see them")
    found["deployed"] = {
        "kit": str(kit.path),
        "bytes": kit.size_bytes,
        "sha256": kit.sha256,
        "parts": [vars(part) for part in kit.parts],
        "lines": [*lines, *_how_to_install(kit.path, target)],
    }
    return found


def _how_to_install(kit: Path, target: str) -> list[str]:
    if target == "container":
        return [
            "where the image is built:",
            f"  tar xf {kit.name}",
            "  podman build -t edgebrain edgebrain-kit",
        ]
    return [
        f"on the {target}, with or without a network:",
        f"  tar xf {kit.name}",
        "  edgebrain-kit/install.sh",
    ]


def _reference_slices(bundle: Bundle, folder: Path | None) -> dict[str, bytes]:
    """Pictures for the self-test: phantoms, or the first of a folder. Names are replaced: they may name a person.

    Raises:
        BadImage: The folder holds no picture, or one that cannot be used.
    """
    from edgebrain.kit.build import telling_slices
    from edgebrain.phantom.generator import phantom_files
    from edgebrain.runtime.image import decode
    from edgebrain.runtime.inputs import find_pictures

    if folder is None:
        return telling_slices(bundle, phantom_files(CANDIDATES, SEED), REFERENCE_SLICES)
    files = {}
    for number, path in enumerate(find_pictures([folder])[:REFERENCE_SLICES], start=1):
        content = path.read_bytes()
        decode(content, str(path))
        files[f"slice_{number:02d}{path.suffix.lower()}"] = content
    return files
