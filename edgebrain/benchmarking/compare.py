"""Two reports side by side: refused where they were measured under unlike conditions; else what became slower.

Only durations are compared. What became worse is the verdict's question, which a single bench answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgebrain.benchmarking.schema import machines
from edgebrain.errors import BadData, UnlikeReports
from edgebrain.evaluation.latency_change import block_levels, latency_change

# What must be alike: durations under other conditions say nothing about the bundles. Versions are not among these: a
# newer library is a thing that one compares; what differs there is told.
ENVIRONMENT = ("machine", "cpu", "board", "cores_usable", "flags", "virtualised", "governor")
PROTOCOL = ("queries", "rounds", "block", "warm_up", "settle", "timed_slices", "batch")
DATA = ("split", "slices", "names_sha256")
SAME, SLOWER, FASTER = "no difference", "slower", "faster"

Row = Mapping[str, Any]


def compare_reports(
    first: Mapping[str, Any], second: Mapping[str, Any], names: tuple[str, str] = ("A", "B")
) -> dict[str, Any]:
    """What changed from the first report to the second.

    Returns: changed (versions and the like: name -> [first, second]), rows (one a pair of rows, see `_compare_rows`),
    only_in_first, only_in_second (names of rows without a partner).
    Raises UnlikeReports: conditions differ, each named; a row is invalid; or no row is in both. BadData: too few
    rounds.
    """
    _refuse_unlike(first, second, names)
    _refuse_invalid(first, second, names)
    pairs = _pairs(first["results"], second["results"])
    if not pairs:
        there = (" and ".join(sorted({_who(row) for row in one["results"]})) for one in (first, second))
        raise UnlikeReports(
            f"{names[0]} and {names[1]} have no row in common: {' | '.join(there)}",
            "measure the same bundles on the same target at the same thread counts",
        )
    taken = [{id(row) for row in side} for side in zip(*pairs, strict=True)]
    return {
        "schema": 1,
        "reports": list(names),
        "changed": _changed(first, second),
        "rows": [_compare_rows(one, other, pairs) for one, other in pairs],
        "only_in_first": [_who(row) for row in first["results"] if id(row) not in taken[0]],
        "only_in_second": [_who(row) for row in second["results"] if id(row) not in taken[1]],
    }


def _refuse_unlike(first: Mapping[str, Any], second: Mapping[str, Any], names: tuple[str, str]) -> None:
    parts = [(f"{part}.", keys, first[part], second[part]) for part, keys in (("protocol", PROTOCOL), ("data", DATA))]
    unlike = []
    for name, keys, left, right in [*_machines(first, second), *parts]:
        for key in keys:
            one, other = left.get(key), right.get(key)
            if one != other:
                unlike.append(f"{name}{key} ({_text(one, other)} | {_text(other, one)})")
    if unlike:
        raise UnlikeReports(
            f"{names[0]} and {names[1]} were measured under unlike conditions: {', '.join(unlike)}",
            "measure both on one machine, with the same options and slices",
        )


def _machines(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[tuple[str, tuple[str, ...], Any, Any]]:
    """The machines of targets that are in both; named where there are several."""
    left, right = machines(first), machines(second)
    both = [target for target in left if target in right]
    return [
        (f"{target}." if len(both) > 1 else "environment.", ENVIRONMENT, left[target], right[target]) for target in both
    ]


def _refuse_invalid(first: Mapping[str, Any], second: Mapping[str, Any], names: tuple[str, str]) -> None:
    for name, report in zip(names, (first, second), strict=True):
        for row in report["results"]:
            if row.get("invalid"):
                raise UnlikeReports(
                    f"{name}: {_who(row)} is invalid: {row['invalid']}", "mend what is named, then measure again"
                )


def _text(value: Any, other: Any) -> str:
    """A value, or of a table only what is not the same in the other."""
    if isinstance(value, dict) and isinstance(other, dict):
        return ", ".join(
            f"{key} {value.get(key)}" for key in sorted({*value, *other}) if value.get(key) != other.get(key)
        )
    return str(value)


def _pairs(first: Sequence[Row], second: Sequence[Row]) -> list[tuple[Row, Row]]:
    """Rows of the same name, target and threads; then those that are the only ones of their kind on both sides."""
    pairs: list[tuple[Row, Row]] = []
    for key in (_named, _kind):
        left = [row for row in first if all(row is not one for one, _ in pairs)]
        right = [row for row in second if all(row is not other for _, other in pairs)]
        for row in left:
            if len(_alike(row, left, key)) == len(_alike(row, right, key)) == 1:
                pairs.append((row, _alike(row, right, key)[0]))
    return [pair for row in first for pair in pairs if pair[0] is row]


def _alike(row: Row, rows: Sequence[Row], key: Any) -> list[Row]:
    return [one for one in rows if key(one) == key(row)]


def _named(row: Row) -> tuple[Any, ...]:
    return row["bundle"], row["format"], row["precision"], row["target"], row["threads"]


def _kind(row: Row) -> tuple[Any, ...]:
    return row["format"], row["precision"], row["target"], row["threads"]


def _compare_rows(one: Row, other: Row, pairs: Sequence[tuple[Row, Row]]) -> dict[str, Any]:
    """bundle, target, threads; p50_ms of both; partner (name or None); change, low, high, noise (fractions, positive
    where the second is slower); finding (no difference, slower, faster); same_bundle (by manifest)."""
    partner = _partner(one, other, pairs)
    before, after = _levels(one), _levels(other)
    if partner is not None:
        before, after = before - _levels(partner[0]), after - _levels(partner[1])
    try:
        found = latency_change(before, after, partner is not None)
    except BadData as problem:
        raise BadData(f"{_who(one)}: {problem.message}", problem.hint) from problem
    return {
        "bundle": one["bundle"],
        "target": one["target"],
        "threads": one["threads"],
        "same_bundle": one["manifest_sha256"] == other["manifest_sha256"],
        "runs": [one["runs"], other["runs"]],
        "p50_ms": [one["latency_ms"]["p50"], other["latency_ms"]["p50"]],
        "partner": None if partner is None else partner[0]["bundle"],
        "change": found.change,
        "low": found.low,
        "high": found.high,
        "noise": found.noise,
        "finding": SAME if not found.found else SLOWER if found.change > 0 else FASTER,
    }


def _levels(row: Row) -> np.ndarray:
    return block_levels([block["predict_ns"] for block in row["blocks"]])


def _partner(one: Row, other: Row, pairs: Sequence[tuple[Row, Row]]) -> tuple[Row, Row] | None:
    """A pair of rows of one and the same bundle that was measured in turn with these: the float32 row of the same
    format, else the float root; none for the float root itself."""
    same = [
        pair
        for pair in pairs
        if pair[0] is not one
        and pair[0]["manifest_sha256"] == pair[1]["manifest_sha256"]
        and pair[0]["threads"] == one["threads"]
        and pair[0]["target"] == one["target"]
        and pair[0]["float_parent"] == one["float_parent"]
    ]
    floats = [pair for pair in same if pair[0]["format"] == one["format"] and pair[0]["precision"] == "float32"]
    roots = [pair for pair in same if pair[0]["verdict"]["outcome"] == "REFERENCE"]
    is_float = one["precision"] == "float32"
    candidates = [*([] if is_float else floats), *roots]
    return candidates[0] if candidates and one["verdict"]["outcome"] != "REFERENCE" else None


def _changed(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, list[Any]]:
    """What is told of the targets in both: versions, Python, kernel; name -> [first, second]."""
    changed = {}
    for name, _, left, right in _machines(first, second):
        flat = [{**one["versions"], "python": one["python"], "kernel": one["kernel"]} for one in (left, right)]
        for key in sorted({*flat[0], *flat[1]}):
            if flat[0].get(key) != flat[1].get(key):
                changed[f"{name.removeprefix('environment.')}{key}"] = [flat[0].get(key), flat[1].get(key)]
    return changed


def _who(row: Row) -> str:
    return f"{row['bundle']} on {row['target']} at {row['threads']}"
