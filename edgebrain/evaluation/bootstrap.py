"""The interval of a mean over groups: studentized bootstrap and Student's t, whichever reaches farther at each end.

A group (a patient, or the copies of one picture) is what is independent, so whole groups are drawn; a group's value is
the mean of its slices' paired differences, so pairs stay together. Every group counts once, however many slices it has.

Why both: the studentized bootstrap (Efron and Tibshirani 1993, An Introduction to the Bootstrap, 12.5) follows the
skew of a few large losses among many small ones, where t covers too little. Where groups are few or tails are long on
both sides, the skew that it follows is chance, and t holds. Either alone covers 89 to 91 % somewhere, BCa (Efron 1987)
down to 86 %; the two together stay nearest to 95 %. Figures: docs/explanation/measuring.md, made by benchmarks/verdict.py.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.special import stdtrit

from edgebrain.errors import BadData

RESAMPLES = 10_000
# Weights held at once: 2 ** 22 float64 are 32 MiB.
CHUNK = 1 << 22


def mean_interval(
    values: np.ndarray, confidence: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper end of the interval of the mean: the farther of `studentized` and `student` at each end.

    Args, returns and raises: as `studentized`.
    """
    low, high = studentized(values, confidence, resamples, seed)
    t_low, t_high = student(values, confidence)
    return np.minimum(low, t_low), np.maximum(high, t_high)


def student(values: np.ndarray, confidence: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper end of Student's t interval of the mean. Args, returns and raises: as `studentized`."""
    table = np.asarray(values, dtype=np.float64)
    _check(table)
    mean = table.mean(axis=0)
    half = stdtrit(len(table) - 1, 0.5 + confidence / 2.0) * table.std(axis=0, ddof=1) / np.sqrt(len(table))
    return mean - half, mean + half


def studentized(
    values: np.ndarray, confidence: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper end of the interval of the mean.

    Args: values: (n,) or (n, k) float, one row a group; columns are treated alike and apart. confidence: in (0, 1).
    Returns: low, high, () or (k,) float64. A column without any spread gives its mean twice. An end is infinite where
    too many resamples had no spread to tell one, as with a handful of differences among zeros.
    Raises BadData: fewer than 2 groups, or a value that is not finite.
    """
    table = np.asarray(values, dtype=np.float64)
    _check(table)
    columns = table.reshape(len(table), -1)
    mean = columns.mean(axis=0)
    centred = columns - mean
    # The mean of equal values is off by rounding; what that leaves is no spread.
    centred[np.abs(centred) <= 1e-12 * np.abs(mean)] = 0.0
    statistics = _t_statistics(centred, resamples, seed)
    error = centred.std(axis=0, ddof=1) / np.sqrt(len(columns))
    below, above = _tails(statistics, (1.0 - confidence) / 2.0)
    # 0 * inf would be NaN, where there is no spread there is nothing to widen.
    with np.errstate(invalid="ignore"):
        low = np.where(error > 0, mean - above * error, mean)
        high = np.where(error > 0, mean - below * error, mean)
    return low.reshape(table.shape[1:]), high.reshape(table.shape[1:])


def weights(groups: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """How often each group was drawn, in pieces of some resamples. Yields: (b, groups) float64, rows sum to `groups`.

    The draws depend on the number of groups, the number of resamples and the seed alone.
    """
    rng = np.random.default_rng(seed)
    at_once = max(1, CHUNK // groups)
    for start in range(0, resamples, at_once):
        rows = min(at_once, resamples - start)
        drawn = rng.integers(0, groups, size=(rows, groups))
        drawn += groups * np.arange(rows)[:, np.newaxis]
        yield np.bincount(drawn.ravel(), minlength=rows * groups).reshape(rows, groups).astype(np.float64)


def _t_statistics(centred: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """(resample mean - mean) / its own standard error. centred: (n, k), means 0. Returns: (resamples, k)."""
    groups = len(centred)
    pieces = []
    for drawn in weights(groups, resamples, seed):
        mean = drawn @ centred / groups
        variance = np.maximum(drawn @ centred**2 / groups - mean**2, 0.0) / (groups - 1)
        # Rounding leaves some 1e-16 of the squares where a resample has no spread: one group drawn again and again.
        variance[variance <= 1e-12 * mean**2] = 0.0
        with np.errstate(divide="ignore", invalid="ignore"):
            pieces.append(np.where(mean == 0.0, 0.0, mean / np.sqrt(variance)))
    return np.concatenate(pieces)


def _tails(statistics: np.ndarray, tail: float) -> tuple[np.ndarray, np.ndarray]:
    """The statistics that a share `tail` lies below and above. Whole ranks: an infinite one cannot be interpolated."""
    count = len(statistics)
    rank = max(0, min(count - 1, round(tail * (count + 1)) - 1))
    ordered = np.partition(statistics, (rank, count - 1 - rank), axis=0)
    return ordered[rank], ordered[count - 1 - rank]


def _check(table: np.ndarray) -> None:
    if table.ndim not in (1, 2) or len(table) < 2:
        raise BadData(f"an interval of values of shape {table.shape}", "pass (n,) or (n, k), at least 2 groups")
    if not np.isfinite(table).all():
        raise BadData("an interval of values that are not all finite", "leave out groups without a score")
