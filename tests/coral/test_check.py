"""Every public log line whose operator, version and type are recorded gets its recorded status."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import flatbuffers
import pytest
from ai_edge_litert import schema_py_generated as schema

from edgebrain.bundle import Bundle, write_bundle
from edgebrain.coral.check import FALLS_BACK, LIMITS, MAPPED, UNKNOWN, by_version, check_bundle, judge, rules
from edgebrain.coral.compiler import MAPPED as SAID_MAPPED
from edgebrain.coral.compiler import STATUSES
from edgebrain.errors import BadBundle
from edgebrain.graph.tflite_detail import Detail, details
from tests.runtime.tiny import tiny_bundle

LOGS = Path(__file__).parent / "logs"
LINES = list(csv.DictReader((LOGS / "lines.csv").read_text().splitlines()))
# Version of an operator whose tensors are int8, by TensorFlow's table: tensorflow/lite/tools/versioning/op_version.cc.
INT8_VERSIONS = {
    "CONV_2D": 3,
    "DEPTHWISE_CONV_2D": 3,
    "FULLY_CONNECTED": 4,
    "MAX_POOL_2D": 2,
    "CONCATENATION": 2,
    "LOGISTIC": 2,
    "SOFTMAX": 2,
    "RESHAPE": 1,
    "QUANTIZE": 1,
    "ADD": 2,
    "PAD": 2,
    "RESIZE_NEAREST_NEIGHBOR": 2,
    "RESIZE_BILINEAR": 2,
    "TRANSPOSE": 2,
}
WITH_VERSION = [line for line in LINES if line["version"]]
MAPPED_INT8 = [
    line
    for line in LINES
    if line["status"] == SAID_MAPPED
    and line["type"] == "int8"
    and line["operator"] in INT8_VERSIONS
    and line["compiler"]
]


@pytest.mark.parametrize("line", WITH_VERSION, ids=lambda line: f"{line['operator']} v{line['version']}")
def test_a_version_that_a_compiler_is_on_record_refusing_is_refused(line: dict[str, str]) -> None:
    found = by_version(line["operator"], int(line["version"]), float(line["compiler"]))
    assert (found.status, found.refused) == (FALLS_BACK, True)
    assert line["status"] in found.why and line["source"].split("#")[1] in found.source


@pytest.mark.parametrize("line", MAPPED_INT8, ids=lambda line: f"{line['operator']} {line['compiler']}")
def test_an_int8_operator_that_a_log_shows_mapped_is_mapped(line: dict[str, str]) -> None:
    found = by_version(line["operator"], INT8_VERSIONS[line["operator"]], float(line["compiler"]))
    assert found.status == MAPPED and found.source


# What a log says of the operator itself; the other statuses are owed to operators before it, or give no cause.
NOT_MAPPED = (
    "Operation not supported",
    "Operation version not supported",
    "Operation is working on an unsupported data type",
)
# Lines on a usual runtime of which the version is known, or does not matter because the tensors are float.
DECIDED = [
    line
    for line in LINES
    if not line["runtime"] and (line["version"] or line["operator"] in INT8_VERSIONS or line["type"] == "float32")
]
ON_TPU = [line for line in DECIDED if line["status"] == SAID_MAPPED]
ON_CPU = [line for line in DECIDED if line["status"].startswith((*NOT_MAPPED, "Didn't find op"))]


def contradicting(lines: list[dict[str, str]], status: str, detail: Detail) -> list[dict[str, str]]:
    """The lines whose operator gets this status, for the compiler of the log, or for any where the log names none."""
    compilers = {float(line["compiler"]) for line in LINES if line["compiler"]}
    found = []
    for line in lines:
        version = int(line["version"] or INT8_VERSIONS.get(line["operator"], 1))
        # Shapes and constants within every documented limit: only version and type are asked about.
        within = {"shapes": ((1, 8), (1, 8)), "constants": 0}
        one = other(detail, line["operator"], version, types=(line["type"] or "int8", "int8"), **within)
        asked = {float(line["compiler"])} if line["compiler"] else compilers
        if status in {judge(one, compiler).status for compiler in asked}:
            found.append(line)
    return found


def test_no_rule_contradicts_a_line_of_a_log(detail: Detail) -> None:
    """An operator that a log shows on the Edge TPU is never said to stay on the CPU, and the other way round."""
    assert contradicting(ON_TPU, FALLS_BACK, detail) == []
    assert contradicting(ON_CPU, MAPPED, detail) == []


def test_a_rule_that_contradicts_the_logs_is_found_on_every_line(
    detail: Detail, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planted: everything is said to be mapped, then everything to stay on the CPU."""
    from edgebrain.coral import check

    known, every = rules(), [*INT8_VERSIONS, "TRANSPOSE_CONV"]
    for status, lines in ((MAPPED, ON_CPU), (FALLS_BACK, ON_TPU)):
        planted = [{"operator": kind, "versions": range(9), "status": status, "source": "planted"} for kind in every]
        monkeypatch.setattr(check, "rules", lambda planted=planted: {**known, "version": planted})
        # A float tensor keeps an operator on the CPU whatever is said of its version.
        by_type = [line for line in lines if line["type"] == "float32"]
        missed = [line for line in lines if line not in contradicting(lines, status, detail)]
        assert missed == by_type and len(lines) - len(by_type) >= 7


def test_the_logs_hold_lines_of_both_kinds() -> None:
    assert len(ON_TPU) >= 20 and {line["operator"] for line in ON_CPU} == {
        "TRANSPOSE", "RESIZE_NEAREST_NEIGHBOR", "RESIZE_BILINEAR", "DEQUANTIZE", "TRANSPOSE_CONV", "CONV_2D",
    }  # fmt: skip


def test_every_recorded_status_is_known() -> None:
    assert {line["status"] for line in LINES if not line["status"].startswith("Didn't find op")} == set(STATUSES)


def test_float_borders_stay_on_the_cpu_as_recorded(tmp_path: Path) -> None:
    (first, *_) = details(tiny_bundle(tmp_path / "a", precision="int8").contents["model.tflite"])
    for line in LINES:
        if line["type"] == "float32":
            operator = replace(first.operator, kind=line["operator"], version=1)
            found = judge(replace(first, operator=operator, types=("float32", "int8")), float(line["compiler"]))
            assert found.status == FALLS_BACK and "float32, an unsupported data type" in found.why


def test_what_no_record_decides_is_unknown_and_says_why() -> None:
    assert by_version("TRANSPOSE_CONV", 2, 16.0).status == UNKNOWN
    assert by_version("TRANSPOSE_CONV", 3, 16.0).why == "no public record of version 3 with compiler 16.0"
    assert by_version("EXP", 1, 16.0).why == "no public record of this operator"
    assert by_version("CONV_2D", 3, 13.0).status == UNKNOWN


def test_every_rule_has_a_source_and_every_limit_a_test() -> None:
    known = rules()
    assert all(rule["source"] for rule in (*known["version"], *known["limit"]))
    assert all(rule.get("why") for rule in known["version"] if rule["status"] != MAPPED)
    assert {rule["limit"] for rule in known["limit"]} == set(LIMITS)


@pytest.fixture
def detail(tmp_path: Path) -> Detail:
    """A sound int8 convolution."""
    return details(tiny_bundle(tmp_path / "any", precision="int8").contents["model.tflite"])[0]


def other(detail: Detail, kind: str, version: int, **changes: Any) -> Detail:
    return replace(detail, operator=replace(detail.operator, kind=kind, version=version), **changes)


BROKEN: list[tuple[str, int, dict[str, Any], str]] = [
    ("CONV_2D", 3, {"dilation": (2, 1)}, "dilation differs"),
    ("MAX_POOL_2D", 2, {"activation": "RELU"}, "fused activation"),
    ("CONCATENATION", 2, {"activation": "RELU"}, "fused activation"),
    ("CONCATENATION", 2, {"shapes": ((1, 4, 4, 2),) * 3, "constants": 1}, "joins a constant"),
    ("MEAN", 2, {"axes": (0, 1)}, "reduces over the batch"),
    ("MEAN", 2, {"axes": (3,), "shapes": ((1, 4, 4, 6), (1, 4, 4))}, "no multiple of 4"),
    ("FULLY_CONNECTED", 4, {"shapes": ((1, 8), (3, 4))}, "more than one dimension"),
    ("CONV_2D", 3, {"dynamic": True}, "dynamic shape"),
    ("CONV_2D", 3, {"shapes": ((2, 4, 4, 2),) * 2}, "more than three dimensions"),
    ("CONV_2D", 3, {"types": ("int8", "int16")}, "int16, an unsupported data type"),
]


@pytest.mark.parametrize(("kind", "version", "changes", "why"), BROKEN)
def test_a_documented_limit_keeps_an_operator_on_the_cpu(
    detail: Detail, kind: str, version: int, changes: dict[str, Any], why: str
) -> None:
    found = judge(other(detail, kind, version, **changes), 16.0)
    assert found.status == FALLS_BACK and why in found.why and found.source and not found.refused


def test_within_its_limits_an_operator_is_mapped(detail: Detail) -> None:
    assert judge(detail, 16.0).status == MAPPED
    assert judge(other(detail, "CONCATENATION", 2, shapes=((1, 4, 4, 2),) * 2, constants=1), 16.0).status == MAPPED
    assert judge(other(detail, "MEAN", 2, axes=(1, 2)), 16.0).status == UNKNOWN


def test_the_tiny_int8_network_is_judged_from_its_file(tmp_path: Path) -> None:
    found = check_bundle(tiny_bundle(tmp_path / "a", precision="int8"))
    assert [(row.detail.operator.kind, row.finding.status) for row in found.rows] == [
        ("CONV_2D", MAPPED),
        ("CONV_2D", MAPPED),
        ("LOGISTIC", MAPPED),
        ("MEAN", UNKNOWN),
        ("FULLY_CONNECTED", MAPPED),
        ("SOFTMAX", MAPPED),
    ]
    assert found.share(UNKNOWN) == pytest.approx(1 / 6) and found.mac_share(UNKNOWN) == 0.0
    assert not found.falls_back and found.before(FALLS_BACK, UNKNOWN) == 3
    assert 0 < found.stored_bytes < 200 and found.largest_bytes == 2 * 16 * 16
    assert found.rows[3].detail.axes == (1, 2)


def test_float_falls_back_from_the_first_operator_on(tmp_path: Path) -> None:
    found = check_bundle(tiny_bundle(tmp_path / "a"))
    assert found.falls_back and found.before(FALLS_BACK) == 0 and found.share(FALLS_BACK) == 1.0


def with_version(bundle: Bundle, folder: Path, kind: str, version: int) -> Bundle:
    """The same file with another version in an operator code, as a newer converter would write it."""
    model = schema.ModelT.InitFromPackedBuf(bundle.contents["model.tflite"], 0)
    code = getattr(schema.BuiltinOperator, kind)
    for entry in model.operatorCodes:
        if entry.builtinCode == code:
            entry.version = version
    builder = flatbuffers.Builder(4096)
    builder.Finish(model.Pack(builder), b"TFL3")
    return write_bundle(folder, bundle.manifest, {"model.tflite": bytes(builder.Output())})


def test_versions_are_read_from_the_file_and_what_follows_a_break_is_told(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "a", precision="int8")
    found = check_bundle(with_version(bundle, tmp_path / "newer", "CONV_2D", 6))
    assert found.refused and [row.behind for row in found.rows] == [False, False, True, True, True, True]
    assert found.rows[0].finding.why.startswith("the compiler rejects the file")


def test_layers_have_their_keras_names(tmp_path: Path) -> None:
    """Where the manifest tells the network; a file of another one is refused."""
    from edgebrain.model.families.unet import UNetSpec

    bundle = tiny_bundle(tmp_path / "a", precision="int8")
    manifest = {**bundle.manifest, "model": UNetSpec.of_width(4, side=16).as_json()}
    with pytest.raises(BadBundle, match="not the network of its manifest"):
        check_bundle(write_bundle(tmp_path / "b", manifest, bundle.contents))
    assert check_bundle(bundle).rows[0].layer == "Conv2D1"


@pytest.mark.parametrize("fmt", ["onnx", "openvino"])
def test_other_formats_are_refused_with_what_to_pass(fmt: str, tmp_path: Path) -> None:
    with pytest.raises(BadBundle, match="reads int8 TFLite files") as caught:
        check_bundle(tiny_bundle(tmp_path / "a", fmt))
    assert "quantize --int8" in caught.value.hint


def test_the_room_for_weights_is_what_public_logs_add_up_to() -> None:
    models = csv.DictReader((LOGS / "models.csv").read_text().splitlines())
    room = [float(row["on_chip_used_mib"]) + float(row["on_chip_left_mib"]) for row in models]
    known = rules()
    assert known["on_chip_mib"] == max(room)
    # Nothing was mapped where both are 0.
    assert known["least_on_chip_mib"] == pytest.approx(min(total for total in room if total), abs=0.005)
