from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
import pytest

from edgebrain.benchmarking.compare import ReportChange, compare_reports
from edgebrain.benchmarking.report import parse_report
from edgebrain.errors import BadData, UnlikeReports
from edgebrain.reporting.compare import compare_text
from tests.benchmarking.factories import block, report, row
from tests.benchmarking.factories import verdict as factories_verdict


def blocks_of(level_ms: float, seed: int, rounds: int = 22, drift: Any = 0.0) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    levels = level_ms * 1e6 * np.exp(rng.normal(0, 0.003, rounds) + drift)
    return [block((level * rng.uniform(1, 1.05, 32)).astype(int).tolist()) for level in levels]


def measured(seed: int, slower: float = 1.0, drift: float = 0.0, **changes: Any) -> dict[str, Any]:
    """A report of a root, a float32 sibling and an int8 bundle. slower: of the int8 bundle. drift: of the machine, from
    the first round to the last."""
    slope = np.linspace(0, drift, 22)
    verdict = factories_verdict("INCONCLUSIVE", None)
    rows = [
        row(bundle="root", path="r", format="keras", precision="float32", blocks=blocks_of(90, seed, drift=slope)),
        row(
            bundle="f32",
            path="f",
            format="tflite",
            precision="float32",
            verdict=verdict,
            blocks=blocks_of(7, seed + 1000, drift=slope),
        ),
        row(
            bundle="int8",
            path="i",
            format="tflite",
            precision="int8",
            verdict=verdict,
            blocks=blocks_of(2 * slower, seed + 2000, drift=slope),
        ),
    ]
    for one in rows:
        one.update(target="cpu", manifest_sha256=one["bundle"], **changes)
    return report(*rows)


def compared(first: dict[str, Any], second: dict[str, Any], *names: tuple[str, str]) -> ReportChange:
    return compare_reports(parse_report(first), parse_report(second), *names)


def findings(first: dict[str, Any], second: dict[str, Any]) -> dict[str, str]:
    return {one.bundle: one.finding for one in compared(first, second).rows}


def test_reruns_are_no_difference() -> None:
    for seed in range(30):
        assert set(findings(measured(seed), measured(seed + 100)).values()) == {"no difference"}


def test_a_slow_down_of_five_percent_is_found_in_its_row_and_no_other() -> None:
    for seed in range(30):
        found = findings(measured(seed), measured(seed + 100, slower=1.05))
        assert found == {"root": "no difference", "f32": "no difference", "int8": "slower"}
        assert findings(measured(seed, slower=1.05), measured(seed + 100))["int8"] == "faster"


def test_a_machine_that_slows_down_for_all_makes_no_bundle_slower() -> None:
    found = compared(measured(0), measured(1, drift=0.3))
    assert {one.finding for one in found.rows} == {"no difference"}
    partners = {one.bundle: one.partner for one in found.rows}
    assert partners == {"root": None, "f32": "root", "int8": "f32"}


def test_a_partner_is_one_and_the_same_bundle_in_both_reports() -> None:
    other = measured(1)
    other["results"][1]["manifest_sha256"] = "rebuilt"
    partners = {one.bundle: one.partner for one in compared(measured(0), other).rows}
    assert partners["int8"] == "root"


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [
        ("environment", "cpu", "another processor"),
        ("environment", "cores_usable", 99),
        ("environment", "governor", "powersave"),
        ("environment", "flags", {"avx2": True, "avx9": True}),
        ("protocol", "queries", 65),
        ("protocol", "rounds", 3),
        ("data", "names_sha256", "1" * 64),
        ("data", "split", "train"),
    ],
)
def test_unlike_conditions_are_refused_and_named(part: str, key: str, value: Any) -> None:
    other = deepcopy(measured(1))
    (other["environments"]["cpu"] if part == "environment" else other[part])[key] = value
    with pytest.raises(UnlikeReports, match=rf"A and B were measured under unlike conditions: .*{part}\.{key} \("):
        compared(measured(0), other)


def test_every_unlike_condition_is_named_at_once() -> None:
    other = deepcopy(measured(1))
    other["environments"]["cpu"]["cpu"], other["protocol"]["settle"] = "another", 9
    with pytest.raises(UnlikeReports) as caught:
        compared(measured(0), other, ("old.json", "new.json"))
    for words in ("old.json and new.json", "environment.cpu", "another", "protocol.settle (2 | 9)"):
        assert words in caught.value.message


def test_other_thread_counts_or_bundles_have_no_row_in_common() -> None:
    with pytest.raises(UnlikeReports, match=r"no row in common: .*int8 on cpu at 1.* \| .*int8 on cpu at 4"):
        compared(measured(0), measured(1, threads=4))


def test_a_bundle_that_was_built_again_under_another_name_is_found_by_its_kind() -> None:
    other = measured(1, slower=1.2)
    other["results"][2].update(bundle="run-2-int8", manifest_sha256="new")
    found = compared(measured(0), other).rows[2]
    assert (found.bundle, found.finding, found.same_bundle) == ("int8", "slower", False)


def test_rows_of_one_report_only_are_told() -> None:
    other = measured(1)
    del other["results"][1]
    found = compared(measured(0), other)
    assert found.only_in_first == ("f32 on cpu at 1",) and found.only_in_second == ()
    assert "only in A: f32 on cpu at 1" in compare_text(found)


def test_another_version_is_told_and_not_refused() -> None:
    other = deepcopy(measured(1))
    other["environments"]["cpu"]["versions"]["openvino"] = "9.9"
    found = compared(measured(0), other)
    assert list(found.changed) == ["openvino"]
    assert "-> 9.9" in compare_text(found)


def test_too_few_rounds_are_refused_with_the_row() -> None:
    short = [deepcopy(measured(seed)) for seed in (0, 1)]
    for one in short:
        for each in one["results"]:
            del each["blocks"][3:]
    with pytest.raises(BadData, match="root on cpu at 1: 3 blocks of queries; a difference needs 6"):
        compared(*short)


def test_the_sentence_begins_with_the_finding_and_tells_the_noise() -> None:
    text = compare_text(compared(measured(0), measured(1, slower=1.05)))
    line = next(line for line in text.splitlines() if "int8" in line)
    assert line.startswith("slower: int8 on cpu, 1 threads: +") and "noise 2.5 %" in line and "relative to f32" in line
    assert "would not be seen" not in text


def test_in_a_loud_machine_it_is_said_that_little_can_be_seen() -> None:
    loud = [measured(seed) for seed in (0, 1)]
    rng = np.random.default_rng(0)
    for one in loud:
        for timed in one["results"][2]["blocks"]:
            timed["predict_ns"] = [int(value * rng.choice([1, 1.5])) for value in timed["predict_ns"]]
            scale = float(rng.uniform(1, 1.5))
            timed["predict_ns"] = [int(value * scale) for value in timed["predict_ns"]]
    assert "a difference of 5 % would not be seen in a noise of" in compare_text(compared(*loud))
