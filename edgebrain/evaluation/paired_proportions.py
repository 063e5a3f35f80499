"""The confidence interval of a difference of two proportions on the same groups: how many slices became wrong or right.

A slice on which the two models differ is discordant: it was lost (right before, wrong after) or won. Discordant slices
are rare and often there is none; a bootstrap then has nothing to draw and gives an interval of no width. The score
interval of Tango (1998, Statistics in Medicine 17:891) asks instead which true differences would not have made the
observation surprising. Without any discordant pair among n groups its ends are -+ z^2 / (n + z^2): the rule of three
(3.8 / n at 95 %).

Groups: a group's value is the mean over its slices, so that one lost slice of four is a quarter of a lost group. Such
fractions vary less than whole groups. They are counted as whole pairs of a smaller size, and Tango's interval for these
is scaled back; with one slice a group this is Tango's own. The size is the one that has the second moment of the
observation, but not smaller than that of single slices which are lost anywhere (the mean of 1 / slices over all
groups), because one lost slice in a large group says nothing of the many small groups in which none was lost yet.
Without any discordant pair the size is a whole group, since the copies of one picture are lost together.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from edgebrain.errors import BadData


@dataclass(frozen=True)
class Discordant:
    """Pairs on which two models differ, among `groups` groups.

    Attributes:
        lost: How many were right before and wrong after; need not be whole.
        won: How many were wrong before and right after.
        groups: Number of groups.
        size: The share of a group that one such pair is, in (0, 1].
    """

    lost: float
    won: float
    groups: int
    size: float = 1.0


def score_interval(
    values: np.ndarray, sizes: np.ndarray | None = None, confidence: float = 0.95
) -> tuple[float, float]:
    """Tango's score interval for the mean of paired differences.

    Args:
        values: (n,) float in [-1, 1], one a group: the share of its slices that was lost minus the share that was won.
        sizes: (n,) int, slices of each group; one slice each where left out.
        confidence: In (0, 1).

    Returns:
        Lower and upper end, in [-1, 1].

    Raises:
        BadData: There is no group, or a value is outside [-1, 1].

    Example:
        >>> low, high = score_interval(np.zeros(100))
        >>> round(high, 3), round(low, 3)
        (0.037, -0.037)
    """
    return discordant_interval(count_discordant(values, sizes), confidence)


def count_discordant(values: np.ndarray, sizes: np.ndarray | None = None) -> Discordant:
    """Express differences of groups as pairs of one size that were lost or won.

    Args:
        values: (n,) float in [-1, 1], as of `score_interval`.
        sizes: (n,) int, slices of each group; one slice each where left out.

    Returns:
        The pairs; their size times their number is the sum of the values.

    Raises:
        BadData: There is no group, or a value is outside [-1, 1].

    Example:
        >>> count_discordant(np.array([1.0, 0.0, -1.0, 1.0]))
        Discordant(lost=2.0, won=1.0, groups=4, size=1.0)
    """
    groups = np.asarray(values, dtype=np.float64)
    if groups.ndim != 1 or not len(groups) or not (np.abs(groups) <= 1.0).all():
        raise BadData(
            f"{groups.shape} values have no score interval", "pass (n,) values in [-1, 1] of at least one group"
        )
    mass = float(np.abs(groups).sum())
    of_single_slices = 1.0 if sizes is None else float(np.mean(1.0 / np.asarray(sizes)))
    size = max(of_single_slices, float((groups**2).sum()) / mass) if mass > 0.0 else 1.0
    lost, won = float(groups[groups > 0.0].sum()), -float(groups[groups < 0.0].sum())
    return Discordant(lost / size, won / size, len(groups), size)


def discordant_interval(pairs: Discordant, confidence: float = 0.95) -> tuple[float, float]:
    """The differences at which the score statistic reaches its quantile.

    Args:
        pairs: What was observed.
        confidence: In (0, 1).

    Returns:
        Lower and upper end of the difference, as a share of the groups.
    """
    z = NormalDist().inv_cdf(0.5 + confidence / 2.0)
    low = -_upper(pairs.won, pairs.lost, pairs.groups, z)
    return pairs.size * low, pairs.size * _upper(pairs.lost, pairs.won, pairs.groups, z)


def score_statistic(lost: float, won: float, groups: int, difference: float) -> float:
    """How surprising an observation is under an assumed true difference, in standard errors.

    The variance is that of the most likely shares of lost and won pairs with this difference (Tango 1998).

    Args:
        lost: Pairs lost; need not be whole.
        won: Pairs won.
        groups: Number of groups.
        difference: The assumed share lost minus share won, in (-1, 1).

    Returns:
        Positive where more was lost than assumed; infinite where the assumption leaves no variance.
    """
    b = (2.0 * groups - lost + won) * difference - lost - won
    c = won * difference * (1.0 - difference)
    share_won = (np.sqrt(max(b * b + 8.0 * groups * c, 0.0)) - b) / (4.0 * groups)
    share_won = max(share_won, 0.0, -difference)
    variance = groups * (2.0 * share_won + difference * (1.0 - difference))
    surplus = lost - won - groups * difference
    return surplus / float(np.sqrt(variance)) if variance > 0.0 else float(np.copysign(np.inf, surplus))


def _upper(lost: float, won: float, groups: int, z: float) -> float:
    """The largest difference within z standard errors of the observation, by bisection."""
    low, high = (lost - won) / groups, 1.0
    for _ in range(50):
        middle = (low + high) / 2.0
        if score_statistic(lost, won, groups, middle) > -z:
            low = middle
        else:
            high = middle
    return high
