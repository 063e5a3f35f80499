"""What a bundle's manifest holds, typed, and what of it makes no sense."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from edgebrain.errors import BadBundle
from edgebrain.files import sha256_json
from edgebrain.formats import find_format
from edgebrain.settings import Meta, as_builtins, from_builtins

SCHEMA = 1
MANIFEST = "manifest.json"
PRECISIONS = ("float32", "float16", "int8", "mixed")
ROLES = ("mask", "class")
CLASSES = ("glioma", "meningioma", "pituitary", "no_tumor")
# The class of a slice without lesion.
HEALTHY = "no_tumor"
SOFTMAX = "softmax"
AGAIN = "write the bundle again with `edgebrain quantize`"
# Of the 256 grey values, or of as many probabilities, an 8-bit tensor with a sound scale keeps all or nearly all apart.
FEWEST_LEVELS = 64

Positive = Annotated[int, Meta(ge=1)]
Text = Annotated[str, Meta(min_length=1)]


@dataclass(frozen=True)
class Port:
    """An input or output tensor of a model.

    Attributes:
        tensor: Its name in the model file.
        shape: Fixed; batch first, channels last.
        dtype: NumPy's name of the type.
        scale: real = (stored - zero_point) * scale; 1.0 for float tensors.
        zero_point: See scale; 0 for float tensors.
        activation: What the runtime has still to apply to the real numbers: softmax, or nothing.
    """

    tensor: str
    shape: tuple[Positive, ...]
    dtype: str
    scale: Annotated[float, Meta(gt=0.0)] = 1.0
    zero_point: int = 0
    activation: str = ""

    def as_json(self) -> dict[str, Any]:
        """The port as manifest entry; an activation is written where there is one."""
        entry: dict[str, Any] = as_builtins(self)
        return entry if self.activation else {key: value for key, value in entry.items() if key != "activation"}

    @property
    def levels(self) -> int | None:
        """How many of its stored values lie in [0, 1], where grey values and probabilities lie; None for float."""
        if self.dtype.startswith("float"):
            return None
        low, high = (0, 255) if self.dtype == "uint8" else (-128, 127)
        first = max(low, self.zero_point)
        last = min(high, self.zero_point + int(1.0 / self.scale + 1e-6))
        return max(0, last - first + 1)


@dataclass(frozen=True)
class Postprocess:
    """How outputs become mask and class.

    Attributes:
        threshold: A pixel is lesion where its probability is at least this.
        classes: Class names, in the order of the class output.
    """

    threshold: float
    classes: Annotated[tuple[str, ...], Meta(min_length=1)]


@dataclass(frozen=True)
class FileEntry:
    """A file of the bundle.

    Attributes:
        name: A plain file name, without a folder.
        bytes: Its size.
        sha256: Of its content.
    """

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """The keys of manifest.json that every reader needs; others are kept in `Bundle.manifest`.

    Attributes:
        name: The bundle's name, as its maker gave it.
        format: Name of the model file's format, see `edgebrain.formats`.
        precision: One of PRECISIONS.
        input: The input tensor, (1, height, width, 1); stored = value / 255 / scale + zero_point of a uint8 pixel.
        outputs: Role -> output tensor: mask (1, height, width, 1), class (1, classes).
        postprocess: How outputs become mask and class.
        lineage: Parent, recipe, data, split and calibration by hash, seeds, versions.
        files: Every other file of the bundle, with its hash.
        parameters: Numbers stored, batch normalisation included.
        macs: Multiply-adds of one slice.
        int8_mac_share: Share of the multiply-adds that are int8, in [0, 1]; None where the file cannot be counted.
    """

    name: Text
    format: str
    precision: Literal["float32", "float16", "int8", "mixed"]
    input: Port
    outputs: dict[str, Port]
    postprocess: Postprocess
    lineage: dict[str, Any]
    files: tuple[FileEntry, ...] = field(default=())
    parameters: int = 0
    macs: int = 0
    int8_mac_share: float | None = None


def parse_manifest(source: Path, raw: Mapping[str, Any]) -> Manifest:
    """The typed manifest.

    Args:
        source: Path of the file, as errors name it.
        raw: Its content.

    Raises:
        BadBundle: A key is missing, or of another type.
    """
    manifest = from_builtins(dict(raw), Manifest, str(source), BadBundle, AGAIN, extra=True)
    for role in ROLES:
        if role not in manifest.outputs:
            raise BadBundle(f"{source}: key 'outputs.{role}' is missing", AGAIN)
    return manifest


def check_manifest(source: Path, manifest: Manifest) -> None:
    """Check that what a manifest says makes sense.

    Raises:
        BadBundle: A format or an activation that is not known, an impossible threshold or shape, or scales that
            leave too few values for grey values and probabilities.
    """
    known = {"class": ("", SOFTMAX)}
    if any(port.activation not in known.get(role, ("",)) for role, port in manifest.outputs.items()):
        raise BadBundle(f"{source}: asks for an activation that is not known there", "pip install --upgrade edgebrain")
    if find_format(manifest.format) is None:
        raise BadBundle(
            f"{source}: format {manifest.format!r} is not known",
            "pip install --upgrade edgebrain, or the package that adds this format",
        )
    _check_threshold(source, manifest)
    _check_shapes(source, manifest)
    _check_scales(source, manifest)


def check_schema(source: Path, raw: Any) -> None:
    """Raises BadBundle: the manifest has no schema number, a newer one, or lists no files."""
    if not isinstance(raw, dict) or not isinstance(raw.get("schema"), int):
        raise BadBundle(f"{source}: has no schema number", AGAIN)
    if raw["schema"] > SCHEMA:
        raise BadBundle(
            f"{source}: schema {raw['schema']} is newer than {SCHEMA}, the newest this edgebrain reads",
            "pip install --upgrade edgebrain",
        )
    if not isinstance(raw.get("files"), list):
        raise BadBundle(f"{source}: lists no files", AGAIN)


def own_hash(raw: Mapping[str, Any]) -> str:
    """SHA-256 of the manifest without its own `sha256`."""
    return sha256_json({key: value for key, value in raw.items() if key != "sha256"})


def check_own_hash(source: Path, raw: Mapping[str, Any]) -> None:
    """Raises BadBundle: the manifest does not hold its own hash, or another one.

    The hash finds damage and edits by hand. A forger would write it anew: only a signature stands against that.
    """
    seal = f"edgebrain bundle seal {source.parent}"
    if "sha256" not in raw:
        raise BadBundle(f"{source}: lacks its own hash (key 'sha256')", f"if that edit is yours: {seal}")
    if raw["sha256"] != own_hash(raw):
        raise BadBundle(
            f"{source}: was edited: it does not match its own hash",
            f"copy the bundle again from its source; if the edit is yours: {seal}",
        )


def _check_threshold(source: Path, manifest: Manifest) -> None:
    """Probabilities have 255 steps: at a threshold within the first one, whatever is not 0 would be lesion."""
    if not 1.0 / 255.0 < manifest.postprocess.threshold < 1.0:
        raise BadBundle(
            f"{source}: the mask's threshold is {manifest.postprocess.threshold:g}: "
            + (
                "nothing would be lesion"
                if manifest.postprocess.threshold >= 1.0
                else "every pixel above 0 would be lesion"
            ),
            "a probability is cut at 0.5: set postprocess.threshold where the bundle is written",
        )


def _check_shapes(source: Path, manifest: Manifest) -> None:
    mask, label = (manifest.outputs[role].shape for role in ROLES)
    count = (1, len(manifest.postprocess.classes))
    if mask == count and len(label) == 4:
        raise BadBundle(f"{source}: the outputs are swapped: 'mask' has shape {mask}, 'class' {label}", AGAIN)
    if len(mask) != 4 or mask[0] != 1 or mask[3] != 1 or label != count:
        raise BadBundle(
            f"{source}: the outputs have shapes {mask} and {label}, "
            f"not (1, height, width, 1) for 'mask' and {count} for 'class'",
            AGAIN,
        )


def _check_scales(source: Path, manifest: Manifest) -> None:
    """8-bit tensors hold grey values and probabilities, from 0 to 1, in steps fine enough to tell them apart."""
    levels = manifest.input.levels
    if levels is not None and levels < FEWEST_LEVELS:
        raise BadBundle(
            f"{source}: the input's scale is {manifest.input.scale:g}: grey values come as 0 to 1, and only {levels} "
            "of 256 would be told apart",
            "calibrate and export with grey values divided by 255, as `runtime.transform` gives them",
        )
    for role in ROLES:
        port = manifest.outputs[role]
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
