"""The bundle: a folder with a manifest that says what a model file is, what it expects and where it came from.

Opening verifies every hash first and hands out the verified bytes; nothing is loaded from the disk again.
Nothing in a bundle is executed and nothing needs pickle. Outputs are found by role, never by order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgebrain.errors import BadBundle
from edgebrain.files import canonical_json, read_json, sha256_bytes, write_files

SCHEMA = 1
MANIFEST = "manifest.json"
FORMATS = ("keras", "tflite", "openvino", "onnx")
PRECISIONS = ("float32", "float16", "int8", "mixed")
ROLES = ("mask", "class")
CLASSES = ("glioma", "meningioma", "pituitary", "no_tumor")


@dataclass(frozen=True)
class Port:
    """One tensor at the border of a model.

    tensor: its name in the model file. shape: fixed, batch first. dtype: NumPy name.
    scale, zero_point: real = (stored - zero_point) * scale; 1.0 and 0 for float tensors.
    """

    tensor: str
    shape: tuple[int, ...]
    dtype: str
    scale: float = 1.0
    zero_point: int = 0

    def as_json(self) -> dict[str, Any]:
        """The port as manifest entry."""
        return {
            "tensor": self.tensor,
            "shape": list(self.shape),
            "dtype": self.dtype,
            "scale": self.scale,
            "zero_point": self.zero_point,
        }

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Port:
        """The port of a manifest entry. Raises KeyError or TypeError where the entry is malformed."""
        return cls(
            entry["tensor"],
            tuple(int(side) for side in entry["shape"]),
            str(entry["dtype"]),
            float(entry["scale"]),
            int(entry["zero_point"]),
        )


@dataclass(frozen=True)
class Bundle:
    """An opened bundle: the manifest and the verified bytes of its files."""

    path: Path
    manifest: Mapping[str, Any]
    contents: Mapping[str, bytes]
    manifest_sha256: str

    @property
    def name(self) -> str:
        """The bundle's name, as its maker gave it."""
        return str(self.manifest["name"])

    @property
    def format(self) -> str:
        """One of FORMATS."""
        return str(self.manifest["format"])

    @property
    def precision(self) -> str:
        """One of PRECISIONS."""
        return str(self.manifest["precision"])

    @property
    def input(self) -> Port:
        """The input tensor, (1, height, width, 1); stored = value / 255 / scale + zero_point of a uint8 pixel."""
        return Port.from_json(self.manifest["input"])

    def output(self, role: str) -> Port:
        """The output tensor that plays a role: `mask` (1, height, width, 1) or `class` (1, classes)."""
        return Port.from_json(self.manifest["outputs"][role])

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, in the order of the class output."""
        return tuple(self.manifest["postprocess"]["classes"])

    @property
    def threshold(self) -> float:
        """A pixel is lesion where its probability is at least this."""
        return float(self.manifest["postprocess"]["threshold"])

    @property
    def lineage(self) -> Mapping[str, Any]:
        """Where the bundle came from: parent, recipe, data, split and calibration hashes, seeds, versions."""
        return dict(self.manifest["lineage"])

    @property
    def model_bytes(self) -> int:
        """Size of the model's own files in bytes, without manifest, calibration list and scores."""
        return sum(len(content) for name, content in self.contents.items() if name.startswith("model."))


def open_bundle(path: Path) -> Bundle:
    """Read and verify a bundle.

    Raises BadBundle: not a bundle, a newer schema, a missing or changed file, or a manifest that lacks a part.
    """
    source = path / MANIFEST
    if not source.is_file():
        raise BadBundle(
            f"{path}: is not a bundle (no {MANIFEST})",
            "pass a folder made by `edgebrain train` or `edgebrain quantize`",
        )
    manifest = read_json(source, BadBundle, "write the bundle again with `edgebrain quantize`")
    _check_schema(source, manifest)
    contents = {entry["name"]: _verified(path, entry) for entry in manifest["files"]}
    bundle = Bundle(path, manifest, contents, sha256_bytes(source.read_bytes()))
    _check_parts(source, bundle)
    return bundle


def make_bundle(path: Path, manifest: Mapping[str, Any], contents: Mapping[str, bytes]) -> Bundle:
    """A bundle in memory, checked but not written; schema and file list are added to the manifest here.

    path: where it would lie. Raises BadBundle: the manifest lacks a part.
    """
    files = [
        {"name": name, "bytes": len(content), "sha256": sha256_bytes(content)}
        for name, content in sorted(contents.items())
    ]
    full = {**manifest, "schema": SCHEMA, "files": files}
    bundle = Bundle(path, full, dict(contents), sha256_bytes(canonical_json(full).encode()))
    _check_parts(path / MANIFEST, bundle)
    return bundle


def write_bundle(path: Path, manifest: Mapping[str, Any], contents: Mapping[str, bytes], force: bool = False) -> Bundle:
    """Write a bundle whole or not at all, and open it again.

    Raises CannotWrite: the folder exists and `force` is not given, or the disk refuses.
    """
    bundle = make_bundle(path, manifest, contents)
    write_files(path, {**contents, MANIFEST: canonical_json(bundle.manifest).encode()}, force)
    return open_bundle(path)


def find_bundles(root: Path) -> list[Path]:
    """Every bundle folder at or below a folder, sorted by path; unfinished ones (hidden names) are left out."""
    found = [manifest.parent for manifest in root.rglob(MANIFEST)]
    return sorted(p for p in found if not any(part.startswith(".") for part in p.relative_to(root).parts))


def _check_schema(source: Path, manifest: Any) -> None:
    if not isinstance(manifest, dict) or not isinstance(manifest.get("schema"), int):
        raise BadBundle(f"{source}: has no schema number", "write the bundle again with `edgebrain quantize`")
    if manifest["schema"] > SCHEMA:
        raise BadBundle(
            f"{source}: schema {manifest['schema']} is newer than {SCHEMA}, the newest this edgebrain reads",
            "pip install --upgrade edgebrain",
        )
    if not isinstance(manifest.get("files"), list):
        raise BadBundle(f"{source}: lists no files", "write the bundle again with `edgebrain quantize`")


def _verified(folder: Path, entry: Mapping[str, Any]) -> bytes:
    name = str(entry.get("name", ""))
    # A name with a separator could read any file of the machine.
    if name != Path(name).name or not name:
        raise BadBundle(
            f"{folder / MANIFEST}: names the file {name!r}", "only plain file names may stand in a manifest"
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


def _check_parts(source: Path, bundle: Bundle) -> None:
    again = "write the bundle again with `edgebrain quantize`"
    try:
        known = bundle.format in FORMATS and bundle.precision in PRECISIONS
        ports = [bundle.input, *(bundle.output(role) for role in ROLES)]
        complete = (
            bool(bundle.classes) and 0.0 < bundle.threshold < 1.0 and bool(bundle.name) and bundle.lineage is not None
        )
    except (KeyError, TypeError, ValueError) as problem:
        raise BadBundle(f"{source}: lacks or garbles {problem}", again) from problem
    if not known:
        raise BadBundle(f"{source}: format {bundle.format}, precision {bundle.precision} is not known", again)
    if not complete or any(port.scale <= 0 or any(side < 1 for side in port.shape) for port in ports):
        raise BadBundle(f"{source}: holds an impossible shape, scale or threshold", again)
