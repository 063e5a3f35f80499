"""How many groups would have been enough: for a bench that could not tell on which side of a margin a drop lies.

The number is such that four of five benches like it would be settled, if the drop and its spread are as they were
seen. It is a forecast from the very data that were too few, and no promise.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist

import numpy as np

from edgebrain.evaluation.paired_proportions import Flips, count_flips, flips_interval

POWER = 0.8
# Above this the drop lies so close to the margin that no number of groups is worth naming.
MOST_GROUPS = 1_000_000


def groups_for_mean(values: np.ndarray, low: float, high: float, margin: float, confidence: float) -> int | None:
    """Groups that would settle a mean. values: (n,) one a group. low, high: the interval that n groups gave.

    Its half towards the margin shrinks as 1 / sqrt(n); it is lengthened by the share that POWER asks for.
    Returns: None where the drop is as good as on the margin, or the interval has no end.
    """
    drop = float(np.mean(values))
    gap = abs(margin - drop)
    half = high - drop if drop < margin else drop - low
    if not math.isfinite(half) or gap == 0.0:
        return None
    normal = NormalDist()
    longer = 1.0 + normal.inv_cdf(POWER) / normal.inv_cdf(0.5 + confidence / 2.0)
    return _limited(len(values) * (half * longer / gap) ** 2)


def groups_for_flips(
    values: np.ndarray, margin: float, confidence: float, sizes: np.ndarray | None = None
) -> int | None:
    """Groups that would settle a difference of shares. values, sizes: as of `flips.score_interval`.

    The flips are scaled to more groups, an unlucky POWER's worth of chance is added, and the interval is asked again:
    without a single flip there is no chance to add, and the answer is the rule of three.
    Returns: None where the drop is as good as on the margin.
    """
    seen = count_flips(values, sizes)
    below = float(np.mean(values)) < margin
    spread = float(np.std(values)) / seen.size * NormalDist().inv_cdf(POWER)

    def settled(groups: int) -> bool:
        ratio, chance = groups / seen.groups, spread * math.sqrt(groups)
        lost, won = seen.lost * ratio, seen.won * ratio
        worse = Flips(lost + chance, won, groups, seen.size) if below else Flips(lost, won + chance, groups, seen.size)
        low, high = flips_interval(worse, confidence)
        return high < margin if below else low > margin

    return _smallest(settled)


def _smallest(settled: Callable[[int], bool]) -> int | None:
    """The smallest number that settles, by doubling and halving."""
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


def _limited(groups: float) -> int | None:
    return math.ceil(groups) if groups <= MOST_GROUPS else None
