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
from edgebrain.files import canonical_json, read_json, sha256_bytes, sha256_json, write_files
from edgebrain.formats import find_format

SCHEMA = 1
MANIFEST = "manifest.json"
CALIBRATION = "calibration.csv"
PRECISIONS = ("float32", "float16", "int8", "mixed")
ROLES = ("mask", "class")
CLASSES = ("glioma", "meningioma", "pituitary", "no_tumor")
# The class of a slice without lesion.
HEALTHY = "no_tumor"
SOFTMAX = "softmax"
AGAIN = "write the bundle again with `edgebrain quantize`"
# Of the 256 grey values, or of as many probabilities, an 8-bit tensor with a sound scale keeps all or nearly all apart.
FEWEST_LEVELS = 64


@dataclass(frozen=True)
class Port:
    """One tensor at the border of a model.

    tensor: its name in the model file. shape: fixed, batch first. dtype: NumPy name.
    scale, zero_point: real = (stored - zero_point) * scale; 1.0 and 0 for float tensors. activation: what the runtime
    has still to do to the real numbers, `softmax` or nothing.
    """

    tensor: str
    shape: tuple[int, ...]
    dtype: str
    scale: float = 1.0
    zero_point: int = 0
    activation: str = ""

    def as_json(self) -> dict[str, Any]:
        """The port as manifest entry."""
        entry = {
            "tensor": self.tensor,
            "shape": list(self.shape),
            "dtype": self.dtype,
            "scale": self.scale,
            "zero_point": self.zero_point,
        }
        return {**entry, "activation": self.activation} if self.activation else entry

    @property
    def levels(self) -> int | None:
        """How many of its stored values lie in [0, 1], where grey values and probabilities lie; None for float."""
        if self.dtype.startswith("float"):
            return None
        low, high = (0, 255) if self.dtype == "uint8" else (-128, 127)
        first = max(low, self.zero_point)
        last = min(high, self.zero_point + int(1.0 / self.scale + 1e-6))
        return max(0, last - first + 1)

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Port:
        """The port of a manifest entry. Raises KeyError or TypeError where the entry is malformed."""
        return cls(
            entry["tensor"],
            tuple(int(side) for side in entry["shape"]),
            str(entry["dtype"]),
            float(entry["scale"]),
            int(entry["zero_point"]),
            str(entry.get("activation", "")),
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
        """Name of the model file's format, see `edgebrain.formats`."""
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

    Raises BadBundle: not a bundle, a newer schema, a missing or changed file, a manifest that lacks a part, means
    something impossible, or was edited.
    """
    source = path / MANIFEST
    if not source.is_file():
        raise BadBundle(
            f"{path}: is not a bundle (no {MANIFEST})",
            "pass a folder made by `edgebrain train` or `edgebrain quantize`",
        )
    manifest = read_json(source, BadBundle, AGAIN)
    _check_schema(source, manifest)
    contents = {entry["name"]: _verified(path, entry) for entry in manifest["files"]}
    bundle = Bundle(path, manifest, contents, sha256_bytes(source.read_bytes()))
    _check_parts(source, bundle)
    _check_seal(source, bundle)
    return bundle


def make_bundle(path: Path, manifest: Mapping[str, Any], contents: Mapping[str, bytes]) -> Bundle:
    """A bundle in memory, checked but not written; schema, file list and the manifest's own hash are added here.

    path: where it would lie. Raises BadBundle: the manifest lacks a part.
    """
    files = [
        {"name": name, "bytes": len(content), "sha256": sha256_bytes(content)}
        for name, content in sorted(contents.items())
    ]
    full = {**manifest, "schema": SCHEMA, "files": files}
    full["sha256"] = _seal(full)
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
        raise BadBundle(f"{source}: has no schema number", AGAIN)
    if manifest["schema"] > SCHEMA:
        raise BadBundle(
            f"{source}: schema {manifest['schema']} is newer than {SCHEMA}, the newest this edgebrain reads",
            "pip install --upgrade edgebrain",
        )
    if not isinstance(manifest.get("files"), list):
        raise BadBundle(f"{source}: lists no files", AGAIN)


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
    try:
        known = find_format(bundle.format) is not None and bundle.precision in PRECISIONS
        ports = [bundle.input, *(bundle.output(role) for role in ROLES)]
        complete = bool(bundle.classes) and bool(bundle.name) and bundle.lineage is not None
        _check_threshold(source, bundle)
    except (KeyError, TypeError, ValueError) as problem:
        raise BadBundle(f"{source}: lacks or garbles {problem}", AGAIN) from problem
    if not known:
        raise BadBundle(f"{source}: format {bundle.format}, precision {bundle.precision} is not known", AGAIN)
    if not complete or any(port.scale <= 0 or any(side < 1 for side in port.shape) for port in ports):
        raise BadBundle(f"{source}: holds an impossible shape or scale, or no class", AGAIN)
    if any(port.activation not in ("", SOFTMAX) for port in ports) or any(port.activation for port in ports[:-1]):
        raise BadBundle(f"{source}: asks for an activation that is not known there", "pip install --upgrade edgebrain")
    _check_roles(source, bundle)
    _check_scales(source, bundle)
    _check_calibration(source, bundle)


def _check_threshold(source: Path, bundle: Bundle) -> None:
    """Probabilities have 255 steps: at a threshold within the first one, whatever is not 0 would be lesion."""
    if not 1.0 / 255.0 < bundle.threshold < 1.0:
        raise BadBundle(
            f"{source}: the mask's threshold is {bundle.threshold:g}: "
            + ("nothing would be lesion" if bundle.threshold >= 1.0 else "every pixel above 0 would be lesion"),
            "a probability is cut at 0.5: set postprocess.threshold where the bundle is written",
        )


def _check_roles(source: Path, bundle: Bundle) -> None:
    mask, label = (bundle.output(role).shape for role in ROLES)
    count = (1, len(bundle.classes))
    if mask == count and len(label) == 4:
        raise BadBundle(f"{source}: the outputs are swapped: 'mask' has shape {mask}, 'class' {label}", AGAIN)
    if len(mask) != 4 or mask[0] != 1 or mask[3] != 1 or label != count:
        raise BadBundle(
            f"{source}: the outputs have shapes {mask} and {label}, "
            f"not (1, height, width, 1) for 'mask' and {count} for 'class'",
            AGAIN,
        )


def _check_scales(source: Path, bundle: Bundle) -> None:
    """8-bit tensors hold grey values and probabilities, from 0 to 1, in steps fine enough to tell them apart."""
    levels = bundle.input.levels
    if levels is not None and levels < FEWEST_LEVELS:
        raise BadBundle(
            f"{source}: the input's scale is {bundle.input.scale:g}: grey values come as 0 to 1, and only {levels} of "
            "256 would be told apart",
            "calibrate and export with grey values divided by 255, as `runtime.transform` gives them",
        )
    for role in ROLES:
        port = bundle.output(role)
        if port.levels is not None and port.levels < FEWEST_LEVELS and not port.activation:
            forgotten = port.scale == 1.0
            raise BadBundle(
                f"{source}: output {role!r} is {port.dtype} with scale {port.scale:g}: "
                + (
                    "its dequantization was forgotten"
                    if forgotten
                    else "it holds scores, not probabilities from 0 to 1"
                ),
                "write scale and zero point of the file's output into the manifest"
                if forgotten
                else "export the model with its sigmoid and softmax",
            )


def _check_calibration(source: Path, bundle: Bundle) -> None:
    stated, listed = bundle.lineage.get("calibration_sha256"), bundle.contents.get(CALIBRATION)
    if listed is not None and stated is not None and sha256_bytes(listed) != stated:
        raise BadBundle(
            f"{source.parent / CALIBRATION}: was changed after the calibration: its hash is not the lineage's",
            "copy the bundle again from its source, or quantize again",
        )


def _seal(manifest: Mapping[str, Any]) -> str:
    return sha256_json({key: value for key, value in manifest.items() if key != "sha256"})


def _check_seal(source: Path, bundle: Bundle) -> None:
    # Bundles of the first release have no such hash. It finds edits by hand, not a forger, who would write it anew.
    if bundle.manifest.get("sha256", _seal(bundle.manifest)) != _seal(bundle.manifest):
        raise BadBundle(
            f"{source}: was edited: it does not match its own hash", "copy the bundle again from its source"
        )
