"""Sample size for inconclusive verdicts: how many groups would decide whether a drop is within its margin.

A group is what is independent: a patient, or the copies of one picture. The power is 0.8: with that many groups, four
of five benches would be conclusive, provided that the observed drop and spread are the true ones. It is estimated after
the fact, from the very data that were too few, so it is rough.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist

import numpy as np

from edgebrain.evaluation.paired_proportions import Discordant, count_discordant, discordant_interval

POWER = 0.8
# Above this the drop practically equals the margin, and no number of groups would do.
MAX_GROUPS = 1_000_000


def groups_for_mean(values: np.ndarray, low: float, high: float, margin: float, confidence: float) -> int | None:
    """Total number of groups that would decide on which side of a margin a mean drop lies.

    The half-width of the interval on the margin's side shrinks as 1 / sqrt(n). It is multiplied by
    1 + z(POWER) / z(confidence), so that the interval stays clear of the margin in that share of repetitions.

    Args:
        values: (n,) float, the mean drop of each group, positive where the bundle is worse; in the unit of `margin`.
        low: Lower end of the interval that these groups gave; may be infinite.
        high: Upper end.
        margin: The largest drop that is accepted.
        confidence: Confidence level of the interval, in (0, 1).

    Returns:
        The total, not how many more; None if the drop practically equals the margin, or the interval has no end.

    Example:
        >>> groups_for_mean(np.array([0.0, 0.01, 0.02, 0.01]), low=-0.01, high=0.03, margin=0.02, confidence=0.95)
        33
    """
    drop = float(np.mean(values))
    gap = abs(margin - drop)
    half = high - drop if drop < margin else drop - low
    if not math.isfinite(half) or gap == 0.0:
        return None
    normal = NormalDist()
    power_factor = 1.0 + normal.inv_cdf(POWER) / normal.inv_cdf(0.5 + confidence / 2.0)
    groups = len(values) * (half * power_factor / gap) ** 2
    return math.ceil(groups) if groups <= MAX_GROUPS else None


def groups_for_proportion(
    values: np.ndarray, margin: float, confidence: float, sizes: np.ndarray | None = None
) -> int | None:
    """Total number of groups that would decide on which side of a margin a difference of proportions lies.

    The observed counts are scaled to n groups and shifted towards the margin by z(POWER) standard errors; then the
    interval is computed again. Without a discordant pair the standard error is 0, and the answer is the n at which the
    bound for zero events, z^2 / (n + z^2), falls below the margin.

    Args:
        values: (n,) float in [-1, 1], of each group the share of slices that were right before and are wrong now, minus
            the share of those that were wrong and are right now.
        margin: The largest drop that is accepted, as a fraction of 1.
        confidence: Confidence level of the interval, in (0, 1).
        sizes: (n,) int, slices of each group; one slice each when left out.

    Returns:
        The total, not how many more; None if the drop practically equals the margin.

    Example:
        >>> groups_for_proportion(np.zeros(50), margin=0.02, confidence=0.95)
        189
    """
    observed = count_discordant(values, sizes)
    below = float(np.mean(values)) < margin
    spread = float(np.std(values)) / observed.size * NormalDist().inv_cdf(POWER)

    def is_conclusive(groups: int) -> bool:
        ratio, shift = groups / observed.groups, spread * math.sqrt(groups)
        lost, won = observed.lost * ratio, observed.won * ratio
        lost, won = (lost + shift, won) if below else (lost, won + shift)
        low, high = discordant_interval(Discordant(lost, won, groups, observed.size), confidence)
        return high < margin if below else low > margin

    return _smallest(is_conclusive)


def _smallest(is_conclusive: Callable[[int], bool]) -> int | None:
    """The smallest number that is conclusive, by doubling and bisection; more groups are never less conclusive."""
    high = 1
    while not is_conclusive(high):
        high *= 2
        if high > MAX_GROUPS:
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_conclusive(middle) else (middle, high)
    return high
