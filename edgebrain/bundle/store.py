"""Bundles on the disk: opened and verified, written whole or not at all, found, sealed.

Opening verifies every hash first and hands out the verified bytes; nothing is loaded from the disk again.
Nothing in a bundle is executed and nothing needs pickle. Outputs are found by role, never by order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from edgebrain.bundle.manifest import (
    MANIFEST,
    SCHEMA,
    Manifest,
    Port,
    check_manifest,
    check_own_hash,
    check_schema,
    own_hash,
    parse_manifest,
)
from edgebrain.errors import BadBundle
from edgebrain.files import canonical_json, read_json, sha256_bytes, write_bytes, write_files

CALIBRATION = "calibration.csv"
SIGNATURE = "signature"


@dataclass(frozen=True)
class Bundle:
    """An opened bundle: the manifest and the verified bytes of its files.

    Attributes:
        path: Its folder.
        manifest: The content of manifest.json, with keys that this version does not know.
        contents: Name -> verified bytes of each file that the manifest lists.
        manifest_sha256: Of manifest.json as it lies on the disk.
    """

    path: Path
    manifest: Mapping[str, Any]
    contents: Mapping[str, bytes]
    manifest_sha256: str

    @cached_property
    def typed(self) -> Manifest:
        """The keys of the manifest that every reader needs."""
        return parse_manifest(self.path / MANIFEST, self.manifest)

    @property
    def name(self) -> str:
        """The bundle's name, as its maker gave it."""
        return self.typed.name

    @property
    def format(self) -> str:
        """Name of the model file's format, see `edgebrain.formats`."""
        return self.typed.format

    @property
    def precision(self) -> str:
        """float32, float16, int8 or mixed."""
        return self.typed.precision

    @property
    def input(self) -> Port:
        """The input tensor, (1, height, width, 1); stored = value / 255 / scale + zero_point of a uint8 pixel."""
        return self.typed.input

    def output(self, role: str) -> Port:
        """The output tensor that plays a role: `mask` (1, height, width, 1) or `class` (1, classes)."""
        return self.typed.outputs[role]

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, in the order of the class output."""
        return self.typed.postprocess.classes

    @property
    def threshold(self) -> float:
        """A pixel is lesion where its probability is at least this."""
        return self.typed.postprocess.threshold

    @property
    def lineage(self) -> Mapping[str, Any]:
        """Where the bundle came from: parent, recipe, data, split and calibration hashes, seeds, versions."""
        return self.typed.lineage

    @property
    def model_bytes(self) -> int:
        """Size of the model's own files in bytes, without manifest, calibration list and scores."""
        return sum(len(content) for name, content in self.contents.items() if name.startswith("model."))


def open_bundle(path: Path) -> Bundle:
    """Read and verify a bundle.

    Args:
        path: Its folder.

    Raises:
        BadBundle: It is no bundle, of a newer schema, a file is missing or was changed, or the manifest lacks a key,
            means something impossible, was edited, or does not hold its own hash.
    """
    bundle = _read(path)
    check_own_hash(path / MANIFEST, bundle.manifest)
    return bundle


def make_bundle(path: Path, manifest: Mapping[str, Any], contents: Mapping[str, bytes]) -> Bundle:
    """A bundle in memory, checked but not written; schema, file list and the manifest's own hash are added here.

    Args:
        path: Where it would lie.
        manifest: The other keys of the manifest.
        contents: Name -> bytes of each file.

    Raises:
        BadBundle: The manifest lacks a key, or means something impossible.
    """
    files = [
        {"name": name, "bytes": len(content), "sha256": sha256_bytes(content)}
        for name, content in sorted(contents.items())
    ]
    full = {**manifest, "schema": SCHEMA, "files": files}
    full["sha256"] = own_hash(full)
    bundle = Bundle(path, full, dict(contents), sha256_bytes(canonical_json(full).encode()))
    _check(bundle)
    return bundle


def write_bundle(path: Path, manifest: Mapping[str, Any], contents: Mapping[str, bytes], force: bool = False) -> Bundle:
    """Write a bundle whole or not at all, and open it again.

    Args:
        path: Its folder.
        manifest: As in `make_bundle`.
        contents: As in `make_bundle`.
        force: Replace what is there.

    Raises:
        CannotWrite: The folder exists and `force` is not given, or the disk refuses.
        BadBundle: As in `make_bundle`.
    """
    bundle = make_bundle(path, manifest, contents)
    write_files(path, {**contents, MANIFEST: canonical_json(bundle.manifest).encode()}, force)
    return open_bundle(path)


def seal_bundle(path: Path) -> Bundle:
    """Write the manifest's own hash anew, after an edit by hand, and open the bundle.

    Everything else is verified first: a bundle with a changed model file is not sealed. Bundles that name the old
    manifest as their parent no longer find it, and a signature of the old manifest does not hold.

    Args:
        path: The bundle's folder.

    Raises:
        BadBundle: As in `open_bundle`, but for the manifest's own hash.
        CannotWrite: The disk refuses.
    """
    bundle = _read(path)
    sealed = {**bundle.manifest, "sha256": own_hash(bundle.manifest)}
    write_bytes(path / MANIFEST, canonical_json(sealed).encode())
    return open_bundle(path)


def find_bundles(root: Path) -> list[Path]:
    """Every bundle folder at or below a folder, sorted by path; unfinished ones (hidden names) are left out."""
    found = [manifest.parent for manifest in root.rglob(MANIFEST)]
    return sorted(p for p in found if not any(part.startswith(".") for part in p.relative_to(root).parts))


def _read(path: Path) -> Bundle:
    """The bundle, with everything verified but the manifest's own hash."""
    source = path / MANIFEST
    if not source.is_file():
        raise BadBundle(*_no_bundle(path))
    manifest = read_json(source, BadBundle, "copy the bundle again from its source")
    check_schema(source, manifest)
    contents = {str(entry.get("name", "")): _verified(path, entry) for entry in manifest["files"]}
    bundle = Bundle(path, manifest, contents, sha256_bytes(source.read_bytes()))
    _check(bundle)
    return bundle


def _no_bundle(path: Path) -> tuple[str, str]:
    """What a path is that is no bundle, and what to do about it."""
    from zipfile import is_zipfile

    usual = "pass a folder made by `edgebrain train` or `edgebrain quantize`"
    if not path.exists():
        return f"{path}: does not exist", usual
    if path.is_dir():
        return f"{path}: is not a bundle (no {MANIFEST})", usual
    if is_zipfile(path):
        return f"{path}: is a zip file, and a bundle is a folder", "unzip it, and pass the folder with manifest.json"
    return f"{path}: is a file, and a bundle is a folder", usual


def _verified(folder: Path, entry: Mapping[str, Any]) -> bytes:
    name = str(entry.get("name", ""))
    # A name with a separator could read any file of the machine.
    if name != Path(name).name or not name:
        raise BadBundle(
            f"{folder / MANIFEST}: names the file {name!r}", "only plain file names are allowed in a manifest"
        )
    try:
        content = (folder / name).read_bytes()
    except OSError as problem:
        raise BadBundle(
            f"{folder / name}: cannot be read ({problem.strerror})", "copy the whole bundle folder again"
        ) from problem
    if sha256_bytes(content) != entry.get("sha256"):
        raise BadBundle(
            f"{folder / name}: does not match its hash in {MANIFEST}",
            "the file was changed or cut short: copy the bundle again from its source",
        )
    return content


def _check(bundle: Bundle) -> None:
    """Raises BadBundle: the manifest lacks a key or means something impossible, or the calibration list was changed."""
    check_manifest(bundle.path / MANIFEST, bundle.typed)
    stated, listed = bundle.typed.lineage.get("calibration_sha256"), bundle.contents.get(CALIBRATION)
    if listed is not None and stated is not None and sha256_bytes(listed) != stated:
        raise BadBundle(
            f"{bundle.path / CALIBRATION}: was changed after the calibration: its hash is not the lineage's",
            "copy the bundle again from its source, or quantize again",
        )
