"""The interval of a difference of two shares on the same groups: slices that flipped from right to wrong and back.

Flips are rare, often there is none, and then a bootstrap has nothing to draw: it would give an interval of no width.
The score interval of Tango (1998, Statistics in Medicine 17:891) asks instead which true differences would not have
made what was seen surprising. With no flip at all among n groups its ends are -+ z^2 / (n + z^2): the rule of three
(3.8 / n at 95 %).

Groups: a group counts as the mean of its slices, so that a group of four with one flip is a quarter of a flip. Such
parts of flips vary less than whole ones; what is seen is written as whole flips of a smaller size, and Tango's interval
for these is scaled back. With groups of one slice it is Tango's own. The size is the one that has the second moment of
what was seen, but no smaller than that of single slices that flip anywhere (the mean of 1 / slices over all groups):
one flip in a large group says nothing of the many small groups in which none has been seen yet. With no flip at all it
is a whole group, for the copies of one picture flip together.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from edgebrain.errors import BadData


@dataclass(frozen=True)
class Flips:
    """lost, won: flips of either kind among `groups`, need not be whole. size: how much of a group one flip is."""

    lost: float
    won: float
    groups: int
    size: float = 1.0


def score_interval(
    values: np.ndarray, sizes: np.ndarray | None = None, confidence: float = 0.95
) -> tuple[float, float]:
    """Lower and upper end for the mean of differences.

    Args: values: (n,) in [-1, 1], one a group: share of slices lost minus share won. sizes: (n,) slices of each group;
    None for one each. confidence: in (0, 1).
    Returns: low, high in [-1, 1]. Raises BadData: no group, or a value outside [-1, 1].
    """
    return flips_interval(count_flips(values, sizes), confidence)


def count_flips(values: np.ndarray, sizes: np.ndarray | None = None) -> Flips:
    """What was seen, as flips of one size. Args: as `score_interval`. Raises BadData."""
    groups = np.asarray(values, dtype=np.float64)
    if groups.ndim != 1 or not len(groups) or not (np.abs(groups) <= 1.0).all():
        raise BadData(f"a score interval of {groups.shape} values", "pass (n,) in [-1, 1], at least one group")
    mass = float(np.abs(groups).sum())
    of_single_slices = 1.0 if sizes is None else float(np.mean(1.0 / np.asarray(sizes)))
    size = max(of_single_slices, float((groups**2).sum()) / mass) if mass > 0.0 else 1.0
    lost, won = float(groups[groups > 0.0].sum()), -float(groups[groups < 0.0].sum())
    return Flips(lost / size, won / size, len(groups), size)


def flips_interval(flips: Flips, confidence: float = 0.95) -> tuple[float, float]:
    """Lower and upper end of the difference, as a share of the groups: where the score statistic is -+ z."""
    z = NormalDist().inv_cdf(0.5 + confidence / 2.0)
    low = -_upper(flips.won, flips.lost, flips.groups, z)
    return flips.size * low, flips.size * _upper(flips.lost, flips.won, flips.groups, z)


def score_statistic(lost: float, won: float, groups: int, difference: float) -> float:
    """How surprising is what was seen, if the true difference (lost - won) were `difference`; in standard errors.

    Args: lost, won: flips of either kind among `groups`, need not be whole. difference: in (-1, 1).
    The variance is that of the likeliest shares of flips that have this difference (Tango 1998).
    """
    b = (2.0 * groups - lost + won) * difference - lost - won
    c = won * difference * (1.0 - difference)
    share_won = (np.sqrt(max(b * b + 8.0 * groups * c, 0.0)) - b) / (4.0 * groups)
    share_won = max(share_won, 0.0, -difference)
    variance = groups * (2.0 * share_won + difference * (1.0 - difference))
    surplus = lost - won - groups * difference
    return surplus / float(np.sqrt(variance)) if variance > 0.0 else float(np.copysign(np.inf, surplus))


def _upper(lost: float, won: float, groups: int, z: float) -> float:
    """The largest difference that lies within z standard errors of what was seen, by halving."""
    low, high = (lost - won) / groups, 1.0
    for _ in range(50):
        middle = (low + high) / 2.0
        if score_statistic(lost, won, groups, middle) > -z:
            low = middle
        else:
            high = middle
    return high
