"""Which operators of an int8 TFLite bundle would run on a Coral Edge TPU, as far as the public record tells.

The compiler makes one partition: from the first operator that it does not map, everything stays on the CPU. The rules
and their sources are in rules.toml. Nothing is estimated here: a latency needs a device.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import takewhile
from math import prod
from pathlib import Path
from typing import Any

from edgebrain.bundle import Bundle
from edgebrain.errors import BadBundle
from edgebrain.graph.layers import layer_operators
from edgebrain.graph.operator import Operator
from edgebrain.graph.tflite_detail import Detail, details
from edgebrain.model.families import spec_from_json

MAPPED, FALLS_BACK, UNKNOWN = "mapped", "falls back", "unknown"
RULES = Path(__file__).with_name("rules.toml")
MIB = 2**20
# TFLite operator -> kind of the layers without weights that become one, see `Spec.unweighted_layers`.
UNWEIGHTED = {"MAX_POOL_2D": "pool", "RESIZE_NEAREST_NEIGHBOR": "double", "CONCATENATION": "concat", "MEAN": "mean"}


@dataclass(frozen=True)
class OperatorFinding:
    """What the public record holds on one operator.

    Attributes:
        status: MAPPED, FALLS_BACK or UNKNOWN.
        why: The reason where it is not mapped.
        source: Where that is on record.
        refused: Whether the compiler rejects the whole file for it.
    """

    status: str
    why: str = ""
    source: str = ""
    refused: bool = False


@dataclass(frozen=True)
class Row:
    """One operator of a bundle. layer: Keras name, or the tensor's. behind: one before it stays on the CPU, and so it
    does too."""

    layer: str
    detail: Detail
    finding: OperatorFinding
    behind: bool


@dataclass(frozen=True)
class Check:
    """A bundle's operators, judged. compiler: the version that they are judged for."""

    bundle: str
    compiler: float
    rows: tuple[Row, ...]

    @property
    def falls_back(self) -> bool:
        """Whether any operator stays on the CPU for certain."""
        return any(row.finding.status == FALLS_BACK for row in self.rows)

    @property
    def refused(self) -> bool:
        """Whether the compiler rejects the whole file."""
        return any(row.finding.refused for row in self.rows)

    @property
    def stored_bytes(self) -> int:
        """Weights, biases and other constants, in bytes."""
        return sum(row.detail.stored_bytes for row in self.rows)

    @property
    def largest_bytes(self) -> int:
        """The most that one operator's tensors take, inputs and outputs together, in bytes of 8-bit numbers."""
        return max(sum(prod(shape) for shape in row.detail.shapes) for row in self.rows)

    def share(self, status: str) -> float:
        """Share of the operators with a status, in [0, 1]."""
        return Counter(row.finding.status for row in self.rows)[status] / len(self.rows)

    def mac_share(self, status: str) -> float:
        """Share of the multiply-adds in operators with a status, in [0, 1]."""
        total = sum(row.detail.operator.macs for row in self.rows)
        known = sum(row.detail.operator.macs for row in self.rows if row.finding.status == status)
        return known / total if total else 0.0

    def before(self, *statuses: str) -> int:
        """How many operators precede the first with one of these statuses."""
        return len(list(takewhile(lambda row: row.finding.status not in statuses, self.rows)))


def check_bundle(bundle: Bundle, compiler: float | None = None) -> Check:
    """Judge a bundle's operators for a compiler version, the latest where none is named.

    Raises:
        BadBundle: No TFLite bundle, or a damaged one.
        MissingExtra: The reader of TFLite files is not installed.
    """
    if bundle.format != "tflite" or "model.tflite" not in bundle.contents:
        raise BadBundle(
            f"{bundle.path}: is {bundle.format}; the Edge TPU compiler reads int8 TFLite files",
            "pass a bundle made by `edgebrain quantize --int8`, such as RUN/bundles/tflite-int8",
        )
    version = float(rules()["compiler"]) if compiler is None else compiler
    found = details(bundle.contents["model.tflite"])
    if not found:
        raise BadBundle(f"{bundle.path}: its model holds no operator", "export it again with `edgebrain quantize`")
    findings = [judge(detail, version) for detail in found]
    names = _names(bundle, [detail.operator for detail in found])
    broken = next((index for index, one in enumerate(findings) if one.status == FALLS_BACK), len(findings))
    rows = (
        Row(name, detail, finding, behind=index > broken and finding.status != FALLS_BACK)
        for index, (name, detail, finding) in enumerate(zip(names, found, findings, strict=True))
    )
    return Check(bundle.name, version, tuple(rows))


def judge(detail: Detail, compiler: float) -> OperatorFinding:
    """What the record holds on one operator for one compiler version: tensors first, then limits, then its version."""
    return _tensors(detail) or _limits(detail) or by_version(detail.operator.kind, detail.operator.version, compiler)


def by_version(kind: str, version: int, compiler: float) -> OperatorFinding:
    """What the record holds on an 8-bit operator's version alone."""
    known = [rule for rule in rules()["version"] if rule["operator"] == kind]
    for rule in known:
        if version in rule["versions"] and _covers(rule, compiler):
            return OperatorFinding(rule["status"], rule.get("why", ""), rule["source"], bool(rule.get("refused")))
    if not known:
        return OperatorFinding(UNKNOWN, "no public record of this operator")
    return OperatorFinding(UNKNOWN, f"no public record of version {version} with compiler {compiler}")


@cache
def rules() -> Mapping[str, Any]:
    """The content of rules.toml."""
    return tomllib.loads(RULES.read_text(encoding="utf-8"))


def _covers(rule: Mapping[str, Any], compiler: float) -> bool:
    """Whether a rule holds for a compiler: later ones map what one mapped; what stayed on the CPU is known of one."""
    if "compilers" in rule:
        return compiler in rule["compilers"]
    return compiler >= float(rule.get("since", 0.0))


def _tensors(detail: Detail) -> OperatorFinding | None:
    if detail.dynamic:
        return OperatorFinding(FALLS_BACK, "has a dynamic shape", "coral.ai/docs/edgetpu/models-intro")
    other = [dtype for dtype in detail.types if dtype not in rules()["types"]]
    if other:
        return OperatorFinding(FALLS_BACK, f"works on {other[0]}, an unsupported data type", rules()["types_source"])
    if any(prod(shape[:-3]) > 1 for shape in detail.shapes):
        return OperatorFinding(
            FALLS_BACK, "has more than three dimensions above 1", "coral.ai/docs/edgetpu/models-intro"
        )
    return None


# Limit -> whether an operator keeps it.
LIMITS: dict[str, Callable[[Detail], bool]] = {
    "same dilation": lambda one: one.dilation[0] == one.dilation[1],
    "no fused activation": lambda one: one.activation == "NONE",
    "no constant beside two": lambda one: not one.constants or len(one.shapes) - 1 + one.constants <= 2,
    "no batch axis": lambda one: 0 not in one.axes,
    "depth of four": lambda one: len(one.shapes[0]) - 1 not in one.axes or one.shapes[0][-1] % 4 == 0,
    "flat output": lambda one: prod(one.shapes[-1][:-1]) == 1,
}


def _limits(detail: Detail) -> OperatorFinding | None:
    for rule in rules()["limit"]:
        if rule["operator"] == detail.operator.kind and not LIMITS[rule["limit"]](detail):
            return OperatorFinding(FALLS_BACK, rule["why"], rule["source"])
    return None


def _names(bundle: Bundle, operators: Sequence[Operator]) -> list[str]:
    """The Keras layer of each operator; the tensor's name where the manifest tells no network."""
    names = [operator.name for operator in operators]
    if not bundle.manifest["model"]:
        return names
    spec = spec_from_json(bundle.manifest["model"])
    for layer, index in layer_operators(operators, spec).items():
        names[index] = layer
    unweighted = spec.unweighted_layers()
    layers_by_kind = {kind: unweighted.get(layer_kind, []) for kind, layer_kind in UNWEIGHTED.items()}
    layers_by_kind |= {"LOGISTIC": ["mask sigmoid"], "SOFTMAX": ["class softmax"]}
    for kind, layers in layers_by_kind.items():
        indices = [index for index, operator in enumerate(operators) if operator.kind == kind]
        if len(indices) == len(layers):
            for layer, index in zip(layers, indices, strict=True):
                names[index] = layer
    return names
