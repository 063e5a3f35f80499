"""The confidence interval of a mean over groups: studentized bootstrap and Student's t, the wider one at each end.

Groups (a patient, or the copies of one picture) are independent of each other and slices are not, so whole groups are
resampled. A group's value is the mean of its slices' paired differences. Every group counts once, whatever its size.

Why both methods: the studentized bootstrap (Efron and Tibshirani 1993, An Introduction to the Bootstrap, 12.5) follows
the skew of a few large losses among many small ones, where t covers too little. With few groups or long tails on both
sides that skew is chance, and t covers better. Either alone covers only 89 to 91 % in some cases, and BCa (Efron 1987)
down to 86 %; the two together stay nearest to 95 %. Figures: docs/explanation/measuring.md, by benchmarks/verdict.py.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.special import stdtrit

from edgebrain.errors import BadData

RESAMPLES = 10_000
# Weights in memory at a time: 2 ** 22 float64 are 32 MiB, which also fits small machines.
CHUNK = 1 << 22


def mean_interval(
    values: np.ndarray, confidence: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Confidence interval of the mean: at each end the farther one of `studentized` and `student`.

    Args:
        values: (n,) or (n, k) float in any unit, one row a group. Each column is treated by itself.
        confidence: Probability in (0, 1) that the interval holds the mean.
        resamples: How often the groups are resampled.
        seed: Of the resampling; equal seeds give equal intervals.

    Returns:
        Lower and upper end, each () or (k,) float64 in the unit of `values`. A column without any spread gives its mean
        twice. An end is infinite where too many resamples have no spread, as with few differences among zeros.

    Raises:
        BadData: There are fewer than 2 groups, or a value is not finite.

    Example:
        >>> low, high = mean_interval(np.array([0.01, 0.02, 0.03, 0.02, 0.01, 0.03]))
        >>> bool(low < 0.02 < high)
        True
    """
    low, high = studentized(values, confidence, resamples, seed)
    t_low, t_high = student(values, confidence)
    return np.minimum(low, t_low), np.maximum(high, t_high)


def student(values: np.ndarray, confidence: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Student's t interval of the mean.

    Args:
        values: (n,) or (n, k) float, one row a group.
        confidence: In (0, 1).

    Returns:
        Lower and upper end, each () or (k,) float64 in the unit of `values`.

    Raises:
        BadData: There are fewer than 2 groups, or a value is not finite.

    Example:
        >>> [round(float(end), 2) for end in student(np.array([1.0, 2.0, 3.0]))]
        [-0.48, 4.48]
    """
    table = np.asarray(values, dtype=np.float64)
    _check(table)
    mean = table.mean(axis=0)
    half = stdtrit(len(table) - 1, 0.5 + confidence / 2.0) * table.std(axis=0, ddof=1) / np.sqrt(len(table))
    return mean - half, mean + half


def studentized(
    values: np.ndarray, confidence: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Studentized bootstrap interval of the mean.

    Args:
        values: (n,) or (n, k) float, one row a group.
        confidence: In (0, 1).
        resamples: How often the groups are resampled.
        seed: Of the resampling.

    Returns:
        Lower and upper end as of `mean_interval`, each () or (k,) float64.

    Raises:
        BadData: There are fewer than 2 groups, or a value is not finite.

    Example:
        >>> [float(end) for end in studentized(np.array([0.5, 0.5, 0.5]))]
        [0.5, 0.5]
    """
    table = np.asarray(values, dtype=np.float64)
    _check(table)
    columns = table.reshape(len(table), -1)
    mean = columns.mean(axis=0)
    centred = columns - mean
    # The mean of equal values is off by rounding, which must not look like spread.
    centred[np.abs(centred) <= 1e-12 * np.abs(mean)] = 0.0
    statistics = _t_statistics(centred, resamples, seed)
    error = centred.std(axis=0, ddof=1) / np.sqrt(len(columns))
    below, above = _tails(statistics, (1.0 - confidence) / 2.0)
    # Without spread there is nothing to widen, and 0 * inf would be NaN.
    with np.errstate(invalid="ignore"):
        low = np.where(error > 0, mean - above * error, mean)
        high = np.where(error > 0, mean - below * error, mean)
    return low.reshape(table.shape[1:]), high.reshape(table.shape[1:])


def draw_counts(groups: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Resample groups with replacement, some resamples at a time so that memory stays bounded.

    Args:
        groups: Number of groups.
        resamples: Number of resamples in all.
        seed: Of the draws, which depend on these three numbers alone.

    Yields:
        (b, groups) float64: how often each group was drawn in each of b resamples. Rows sum to `groups`.

    Example:
        >>> [part.shape for part in draw_counts(4, 10, seed=0)], float(next(draw_counts(4, 10, seed=0))[0].sum())
        ([(10, 4)], 4.0)
    """
    rng = np.random.default_rng(seed)
    at_once = max(1, CHUNK // groups)
    for start in range(0, resamples, at_once):
        rows = min(at_once, resamples - start)
        drawn = rng.integers(0, groups, size=(rows, groups))
        drawn += groups * np.arange(rows)[:, np.newaxis]
        yield np.bincount(drawn.ravel(), minlength=rows * groups).reshape(rows, groups).astype(np.float64)


def _t_statistics(centred: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """(resample mean - mean) / its standard error: (n, k) with column means 0 to (resamples, k)."""
    groups = len(centred)
    pieces = []
    for drawn in draw_counts(groups, resamples, seed):
        mean = drawn @ centred / groups
        variance = np.maximum(drawn @ centred**2 / groups - mean**2, 0.0) / (groups - 1)
        # A resample of one group again and again has no spread, but rounding leaves about 1e-16 of the squares.
        variance[variance <= 1e-12 * mean**2] = 0.0
        with np.errstate(divide="ignore", invalid="ignore"):
            pieces.append(np.where(mean == 0.0, 0.0, mean / np.sqrt(variance)))
    return np.concatenate(pieces)


def _tails(statistics: np.ndarray, tail: float) -> tuple[np.ndarray, np.ndarray]:
    """The quantiles `tail` and 1 - tail of each column. Not interpolated, because a statistic may be infinite."""
    count = len(statistics)
    rank = max(0, min(count - 1, round(tail * (count + 1)) - 1))
    ordered = np.partition(statistics, (rank, count - 1 - rank), axis=0)
    return ordered[rank], ordered[count - 1 - rank]


def _check(table: np.ndarray) -> None:
    if table.ndim not in (1, 2) or len(table) < 2:
        raise BadData(f"values of shape {table.shape} have no interval", "pass (n,) or (n, k) with at least 2 groups")
    if not np.isfinite(table).all():
        raise BadData("values that are not all finite have no interval", "leave out groups without a score")
