"""How many groups would have been enough, where a bench could not say on which side of a margin a drop lies.

With that number four of five such benches would be settled, if drop and spread are as they were observed. It is a
forecast from the very data that were too few, and no promise.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist

import numpy as np

from edgebrain.evaluation.paired_proportions import Discordant, count_discordant, discordant_interval

POWER = 0.8
# A larger number only means that the drop cannot be told from the margin by any measurement.
MOST_GROUPS = 1_000_000


def groups_for_mean(values: np.ndarray, low: float, high: float, margin: float, confidence: float) -> int | None:
    """Number of groups that would settle on which side of a margin a mean lies.

    The half of the interval that faces the margin shrinks as 1 / sqrt(n); it is lengthened by what POWER asks for.

    Args:
        values: (n,) float, one a group, in the unit of `margin`.
        low: Lower end of the interval that these groups gave; may be infinite.
        high: Upper end.
        margin: The largest drop that is accepted.
        confidence: Of the interval, in (0, 1).

    Returns:
        The number; None where the drop practically equals the margin, or the interval has no end.

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
    longer = 1.0 + normal.inv_cdf(POWER) / normal.inv_cdf(0.5 + confidence / 2.0)
    groups = len(values) * (half * longer / gap) ** 2
    return math.ceil(groups) if groups <= MOST_GROUPS else None


def groups_for_proportion(
    values: np.ndarray, margin: float, confidence: float, sizes: np.ndarray | None = None
) -> int | None:
    """Number of groups that would settle on which side of a margin a difference of proportions lies.

    The observed pairs are scaled up to more groups, as much bad luck is added as POWER asks for, and the interval is
    computed again. Without a discordant pair there is no luck to add, and the answer is the rule of three.

    Args:
        values: (n,) float in [-1, 1], one a group, as of `paired_proportions.score_interval`.
        margin: The largest drop that is accepted, as a share.
        confidence: Of the interval, in (0, 1).
        sizes: (n,) int, slices of each group; one slice each where left out.

    Returns:
        The number; None where the drop practically equals the margin.

    Example:
        >>> groups_for_proportion(np.zeros(50), margin=0.02, confidence=0.95)
        189
    """
    observed = count_discordant(values, sizes)
    below = float(np.mean(values)) < margin
    spread = float(np.std(values)) / observed.size * NormalDist().inv_cdf(POWER)

    def settled(groups: int) -> bool:
        ratio, bad_luck = groups / observed.groups, spread * math.sqrt(groups)
        lost, won = observed.lost * ratio, observed.won * ratio
        lost, won = (lost + bad_luck, won) if below else (lost, won + bad_luck)
        low, high = discordant_interval(Discordant(lost, won, groups, observed.size), confidence)
        return high < margin if below else low > margin

    return _smallest(settled)


def _smallest(settled: Callable[[int], bool]) -> int | None:
    """The smallest number that settles, by doubling and bisection."""
    high = 1
    while not settled(high):
        high *= 2
        if high > MOST_GROUPS:
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if settled(middle) else (middle, high)
    return high
