"""The manifest of a compressed bundle: what its file holds, as counted in the file, and where it came from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from edgebrain.bundle import Bundle
from edgebrain.compression.calibration import Calibration
from edgebrain.compression.formats import Exported
from edgebrain.errors import GateRefused
from edgebrain.formats import all_formats
from edgebrain.graph import Operator, int8_mac_share
from edgebrain.graph.layers import layer_operators
from edgebrain.model.families import spec_from_json
from edgebrain.recipe import QuantizeRecipe
from edgebrain.training.precision import versions


def compressed_manifest(
    name: str,
    format_name: str,
    exported: Exported,
    precision: str,
    parent: Bundle,
    recipe: QuantizeRecipe,
    calibration: Calibration | None,
) -> dict[str, Any]:
    """The manifest of a compressed bundle, without what `write_bundle` adds.

    Args:
        name: What the bundle is called.
        format_name: Its format.
        exported: The written model.
        precision: What was asked for; int8 becomes mixed where a part of the file computes in float.
        parent: The float bundle that it comes from.
        recipe: How it was compressed.
        calibration: The images that its observers read; None where there were none.
    """
    share = int8_mac_share(exported.operators)
    quantized = precision == "int8"
    lineage = {
        **parent.lineage,
        "parent": parent.manifest_sha256,
        "recipe": {"name": recipe.name, "sha256": recipe.sha256},
        "calibration_sha256": calibration.sha256 if calibration else None,
        "calibration_slices": len(calibration.images) if calibration else 0,
        "calibration_seen": calibration.seen if calibration else 0,
        "versions": {**versions(), **_converter_versions()},
    }
    return {
        **{key: parent.manifest[key] for key in ("model", "postprocess", "parameters", "macs")},
        "name": name,
        "format": format_name,
        "precision": "mixed" if quantized and share < 1.0 else precision,
        "input": {**exported.input.as_json(), "slice": parent.manifest["input"]["slice"]},
        "outputs": {role: port.as_json() for role, port in exported.outputs.items()},
        "int8_mac_share": share,
        "kept_float": _layers_in_float(exported.operators, parent) if quantized else [],
        "operators": _operator_counts(exported.operators),
        "lineage": lineage,
    }


def refuse_float_file(name: str, operators: Sequence[Operator]) -> None:
    """Raises GateRefused: a file that was to be int8 multiplies in float throughout."""
    if int8_mac_share(operators):
        return
    weighted = [operator for operator in operators if operator.macs]
    weights = {operator.weight for operator in weighted}
    activations = {dtype for operator in weighted for dtype in operator.inputs}
    raise GateRefused(
        f"{name}: refused: not one multiply-add of the written file is int8 (weights {', '.join(sorted(weights))}, "
        f"activations {', '.join(sorted(activations))})",
        "nothing was written; give the converter calibration images and ask for integer operators only",
    )


def _layers_in_float(operators: Sequence[Operator], parent: Bundle) -> list[str]:
    """Layers, by the network's names, that multiply in float."""
    indices = layer_operators(operators, spec_from_json(parent.manifest["model"]))
    return [layer for layer, index in indices.items() if not operators[index].int8]


def _operator_counts(operators: Sequence[Operator]) -> dict[str, int]:
    """Operator and version -> how many the file holds."""
    names = [f"{one.kind} v{one.version}" if one.version else one.kind for one in operators]
    return dict(sorted(Counter(names).items()))


def _converter_versions() -> dict[str, str]:
    found = {}
    for name in dict.fromkeys(package for row in all_formats().values() for package in row.packages):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
