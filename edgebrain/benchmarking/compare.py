"""Two reports compared: refused where they were measured under unlike conditions; else what became slower.

Only durations are compared. What became worse is the verdict's question, which a single bench answers.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgebrain.benchmarking.report import Report
from edgebrain.benchmarking.report_environment import Environment
from edgebrain.benchmarking.report_row import REFERENCE, Row
from edgebrain.errors import BadData, UnlikeReports
from edgebrain.evaluation.latency_change import block_levels, latency_change

SCHEMA = 1
# What must be alike: durations under other conditions say nothing about the bundles. Versions are not among these: a
# newer library is a thing that one compares, and what differs is listed.
ENVIRONMENT = ("machine", "cpu", "board", "cores_usable", "flags", "virtualised", "governor")
PROTOCOL = ("queries", "rounds", "block", "warm_up", "settle", "timed_slices", "batch")
DATA = ("split", "slices", "names_sha256")
SAME, SLOWER, FASTER = "no difference", "slower", "faster"

Pair = tuple[Row, Row]


@dataclass(frozen=True)
class RowChange:
    """What changed from a row of the first report to its partner in the second.

    Attributes:
        bundle: Name in the first report.
        target: Where both ran.
        threads: Thread count of both.
        same_bundle: Whether both are the same bundle, by its manifest.
        runs: What really ran in each.
        p50_ms: Median latency in each.
        partner: Name of the interleaved row whose own change was taken off; None where there is none.
        change: Fraction; positive where the second is slower.
        low: Lower end of its interval.
        high: Upper end.
        noise: The largest change that would be no finding, as a fraction.
        finding: SAME, SLOWER or FASTER.
    """

    bundle: str
    target: str
    threads: int
    same_bundle: bool
    runs: tuple[dict[str, Any], dict[str, Any]]
    p50_ms: tuple[float | None, float | None]
    partner: str | None
    change: float
    low: float
    high: float
    noise: float
    finding: str


@dataclass(frozen=True)
class ReportChange:
    """What changed from one report to another.

    Attributes:
        reports: Names of the two.
        changed: Versions and the like that differ -> both values.
        rows: One a pair of rows.
        only_in_first: Names of rows without a partner.
        only_in_second: The same of the second report.
        schema: Version of this structure.
    """

    reports: tuple[str, str]
    changed: dict[str, tuple[str | None, str | None]]
    rows: tuple[RowChange, ...]
    only_in_first: tuple[str, ...]
    only_in_second: tuple[str, ...]
    schema: int = SCHEMA


def compare_reports(first: Report, second: Report, names: tuple[str, str] = ("A", "B")) -> ReportChange:
    """Find what changed from the first report to the second.

    Args:
        first: The earlier report.
        second: The later one.
        names: How messages call them.

    Raises:
        UnlikeReports: Conditions differ, each named; a row is invalid; or no row is in both.
        BadData: A row has too few rounds.
    """
    _refuse_unlike(first, second, names)
    _refuse_invalid(first, second, names)
    pairs = _pairs(first.results, second.results)
    if not pairs:
        listed = (" and ".join(sorted({_row_name(row) for row in one.results})) for one in (first, second))
        raise UnlikeReports(
            f"{names[0]} and {names[1]} have no row in common: {' | '.join(listed)}",
            "measure the same bundles on the same target at the same thread counts",
        )
    paired = [{id(row) for row in side} for side in zip(*pairs, strict=True)]
    return ReportChange(
        names,
        _changed(first, second),
        tuple(_compare_rows(one, other, pairs) for one, other in pairs),
        tuple(_row_name(row) for row in first.results if id(row) not in paired[0]),
        tuple(_row_name(row) for row in second.results if id(row) not in paired[1]),
    )


def _refuse_unlike(first: Report, second: Report, names: tuple[str, str]) -> None:
    compared: list[tuple[str, tuple[str, ...], Any, Any]] = [
        *((name, ENVIRONMENT, left, right) for name, left, right in _machines(first, second)),
        ("protocol.", PROTOCOL, first.protocol, second.protocol),
        ("data.", DATA, first.data, second.data),
    ]
    unlike = []
    for name, keys, left, right in compared:
        for key in keys:
            one, other = getattr(left, key), getattr(right, key)
            if one != other:
                unlike.append(f"{name}{key} ({_text(one, other)} | {_text(other, one)})")
    if unlike:
        raise UnlikeReports(
            f"{names[0]} and {names[1]} were measured under unlike conditions: {', '.join(unlike)}",
            "measure both on one machine, with the same options and slices",
        )


def _machines(first: Report, second: Report) -> list[tuple[str, Environment, Environment]]:
    """The machines of targets that are in both; named where there are several."""
    left, right = first.environments, second.environments
    both = [target for target in left if target in right]
    return [(f"{target}." if len(both) > 1 else "environment.", left[target], right[target]) for target in both]


def _refuse_invalid(first: Report, second: Report, names: tuple[str, str]) -> None:
    for name, report in zip(names, (first, second), strict=True):
        for row in report.results:
            if row.invalid:
                raise UnlikeReports(
                    f"{name}: {_row_name(row)} is invalid: {row.invalid}", "mend what is named, then measure again"
                )


def _text(value: Any, other: Any) -> str:
    """A value, or of a table only what is not the same in the other."""
    if isinstance(value, dict) and isinstance(other, dict):
        differing = [key for key in sorted({*value, *other}) if value.get(key) != other.get(key)]
        return ", ".join(f"{key} {value.get(key)}" for key in differing)
    return str(value)


def _pairs(first: Sequence[Row], second: Sequence[Row]) -> list[Pair]:
    """Rows of the same name, target and threads; then those that are the only ones of their kind on both sides."""
    pairs: list[Pair] = []
    keys: tuple[Callable[[Row], Hashable], ...] = (_named, _kind)
    for key in keys:
        left = [row for row in first if all(row is not one for one, _ in pairs)]
        right = [row for row in second if all(row is not other for _, other in pairs)]
        for row in left:
            if len(_alike(row, left, key)) == len(_alike(row, right, key)) == 1:
                pairs.append((row, _alike(row, right, key)[0]))
    return [pair for row in first for pair in pairs if pair[0] is row]


def _alike(row: Row, rows: Iterable[Row], key: Callable[[Row], Hashable]) -> list[Row]:
    return [one for one in rows if key(one) == key(row)]


def _named(row: Row) -> Hashable:
    return row.bundle, row.format, row.precision, row.target, row.threads


def _kind(row: Row) -> Hashable:
    return row.format, row.precision, row.target, row.threads


def _compare_rows(one: Row, other: Row, pairs: Sequence[Pair]) -> RowChange:
    partner = _partner(one, pairs)
    before, after = _levels(one), _levels(other)
    if partner is not None:
        before, after = before - _levels(partner[0]), after - _levels(partner[1])
    try:
        found = latency_change(before, after, partner is not None)
    except BadData as problem:
        raise BadData(f"{_row_name(one)}: {problem.message}", problem.hint) from problem
    return RowChange(
        bundle=one.bundle,
        target=one.target,
        threads=one.threads,
        same_bundle=one.manifest_sha256 == other.manifest_sha256,
        runs=(one.runs, other.runs),
        p50_ms=(one.latency_ms.p50, other.latency_ms.p50),
        partner=None if partner is None else partner[0].bundle,
        change=found.change,
        low=found.low,
        high=found.high,
        noise=found.noise,
        finding=SAME if not found.found else SLOWER if found.change > 0 else FASTER,
    )


def _levels(row: Row) -> np.ndarray:
    """The logarithm of each block's level, (blocks,) float64."""
    return block_levels([block.predict_ns for block in row.blocks])


def _partner(one: Row, pairs: Sequence[Pair]) -> Pair | None:
    """A pair of rows of one and the same bundle that was measured in turn with a row.

    That is the float32 row of the same format, else the float root; none for the float root itself.
    """
    if one.verdict.outcome == REFERENCE:
        return None
    same = [
        (left, right)
        for left, right in pairs
        if left is not one
        and left.manifest_sha256 == right.manifest_sha256
        and (left.threads, left.target, left.float_parent) == (one.threads, one.target, one.float_parent)
    ]
    floats = [pair for pair in same if pair[0].format == one.format and pair[0].precision == "float32"]
    roots = [pair for pair in same if pair[0].verdict.outcome == REFERENCE]
    return next(iter([*([] if one.precision == "float32" else floats), *roots]), None)


def _changed(first: Report, second: Report) -> dict[str, tuple[str | None, str | None]]:
    """Versions, Python and kernel of the targets in both that differ."""
    changed = {}
    for name, left, right in _machines(first, second):
        flat = [{**one.versions, "python": one.python, "kernel": one.kernel} for one in (left, right)]
        for key in sorted({*flat[0], *flat[1]}):
            if flat[0].get(key) != flat[1].get(key):
                changed[f"{name.removeprefix('environment.')}{key}"] = (flat[0].get(key), flat[1].get(key))
    return changed


def _row_name(row: Row) -> str:
    return f"{row.bundle} on {row.target} at {row.threads}"
