"""`edgebrain deploy` for targets that get an offline kit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgebrain.bundle import Bundle
    from edgebrain.kit.build import Kit

SLICES = 20
# Phantoms among which those are chosen that the bundle answers differently.
CANDIDATES, SEED = 200, 20


def deploy_kit(
    bundle: Bundle,
    target: str,
    python: str | None,
    slices: Path | None,
    out: Path | None,
    check: bool,
    force: bool,
    show: bool,
) -> dict[str, Any]:
    """Make a kit, or only say what would be in it; print the table where `show`. Returns: the same as JSON object.

    Raises as `kit.build.build_kit`.
    """
    from edgebrain.kit.build import PYTHON, build_kit, check_kit

    place, wheels = check_kit(bundle, target, python or PYTHON)
    found: dict[str, Any] = {
        "schema": 1,
        "target": target,
        "bundle": bundle.name,
        "path": str(bundle.path),
        "manifest_sha256": bundle.manifest_sha256,
        "machine": place.machine,
        "python": place.python,
        "packages": {wheel.package: wheel.version for wheel in wheels},
    }
    if check:
        if show:
            bundle_row = ["bundle", f"{bundle.name}, {bundle.precision}"]
            _show(found, ("part", "version"), [bundle_row, *([wheel.package, wheel.version] for wheel in wheels)])
        return found
    place_of_kit = out or bundle.path.with_name(f"{bundle.path.name}-{target}.tar")
    kit = build_kit(bundle, _reference_slices(bundle, slices), place_of_kit, target, place.python, force)
    if show:
        rows = [[part.name, part.version, f"{part.size_bytes / 1e6:.2f}"] for part in kit.parts]
        _show(found, ("part", "version", "MB"), rows)
    found["deployed"] = {
        "kit": str(kit.path),
        "bytes": kit.size_bytes,
        "sha256": kit.sha256,
        "parts": [vars(part) for part in kit.parts],
        "lines": _lines(kit, target, slices),
    }
    return found


def _show(found: dict[str, Any], heads: tuple[str, ...], rows: list[list[str]]) -> None:
    from edgebrain.reporting.terminal import print_table

    print_table(f"{found['target']}: {found['machine']}, Python {found['python']}", heads, rows)


def _lines(kit: Kit, target: str, slices: Path | None) -> list[str]:
    """The sentences below the table; the two commands to run there last."""
    size = f"{kit.path}: {kit.size_bytes / 1e6:.1f} MB, sha256 {kit.sha256}"
    unlike = [f"the reference was made here with {one}: the self-test may fail for that alone" for one in kit.unlike]
    private = [] if slices is None else [f"the slices of {slices} travel in the kit: whoever has it can see them"]
    second = {"container": "podman build -t edgebrain edgebrain-kit"}.get(target, "edgebrain-kit/install.sh")
    there = "where the image is built" if target == "container" else f"on the {target}, with or without a network"
    return [size, *unlike, *private, f"{there}:", f"  tar xf {kit.path.name}", f"  {second}"]


def _reference_slices(bundle: Bundle, folder: Path | None) -> dict[str, bytes]:
    """Pictures for the self-test: phantoms, or the first of a folder. Names are replaced: they may name a person.

    Raises BadImage: a folder without pictures, or one that cannot be used.
    """
    from edgebrain.kit.build import telling_slices
    from edgebrain.phantom.generator import phantom_files
    from edgebrain.runtime.image import decode
    from edgebrain.runtime.predict import find_pictures

    if folder is None:
        return telling_slices(bundle, phantom_files(CANDIDATES, SEED), SLICES)
    files = {}
    for number, path in enumerate(find_pictures([folder])[:SLICES], start=1):
        content = path.read_bytes()
        decode(content, str(path))
        files[f"slice_{number:02d}{path.suffix.lower()}"] = content
    return files
