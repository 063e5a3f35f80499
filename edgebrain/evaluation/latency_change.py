"""Is one run slower than another? From blocks of durations, with the noise that the runs themselves show.

The level of a block is the logarithm of its lower decile: other work on the machine makes some queries slower and none
faster, so the fast end moves least. Where a partner was timed in the same rounds, its levels are subtracted block by
block: whatever made the machine slow for a minute, or an evening, cancels out. Rounds are interleaved for that.

A difference counts only if it is larger than each of three quantities. The largest of them is called the noise:
  - its confidence interval: Welch's t on the means of BATCHES consecutive blocks, because consecutive blocks are too
    alike to count as independent (batch means: Law and Kelton, Simulation Modeling and Analysis, 9.5);
  - the spread of single blocks: twice their standard deviation with a partner and 3.25 times without. A whole run can
    be off by as much as the blocks of one run differ: its process lies elsewhere in memory, other guests of a virtual
    machine come and go. No number of queries averages that out;
  - MATERIAL, half of the 5 % that must be found.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from edgebrain.errors import BadData

BATCHES = 6
FEWEST_BLOCKS = 6
MATERIAL = 0.025
WITH_PARTNER, ALONE = 2.0, 3.25


@dataclass(frozen=True)
class LatencyChange:
    """How much slower a second run is than the first; all figures are fractions, 0.05 is 5 % slower.

    Attributes:
        change: Relative change of the level, negative where the second run is faster.
        low: Lower end of its confidence interval.
        high: Upper end.
        noise: A change up to this size does not count.
    """

    change: float
    low: float
    high: float
    noise: float

    @property
    def found(self) -> bool:
        """Whether there is a difference beyond the noise."""
        return abs(self.change) > self.noise and (self.low > 0.0 or self.high < 0.0)


def block_levels(blocks: Sequence[Sequence[float]] | np.ndarray) -> np.ndarray:
    """Summarise each block of durations by one robust figure.

    Args:
        blocks: One sequence of durations a block, each > 0, in any one unit.

    Returns:
        (blocks,) float64, natural logarithm of each block's lower decile.

    Raises:
        BadData: A block is empty, or holds a duration that is not above 0.

    Example:
        >>> block_levels([[1.0, 1.0, 5.0]])
        array([0.])
    """
    if len(blocks) == 0 or any(len(block) == 0 or min(block) <= 0 for block in blocks):
        raise BadData("a block of queries is empty, or holds a duration that is not above 0", "measure again")
    return np.array([math.log(float(np.quantile(block, 0.1))) for block in blocks])


def latency_change(before: np.ndarray, after: np.ndarray, has_partner: bool, confidence: float = 0.95) -> LatencyChange:
    """Compare two runs.

    Args:
        before: (blocks,) float, levels of the first run, minus its partner's where `has_partner`.
        after: (blocks,) float, levels of the second run; the number of blocks may differ.
        has_partner: Whether a partner's levels were subtracted, so that less noise is left.
        confidence: Of the interval, in (0, 1).

    Returns:
        How much slower `after` is.

    Raises:
        BadData: One of the runs has fewer than FEWEST_BLOCKS blocks.

    Example:
        >>> latency_change(np.zeros(6), np.full(6, np.log(1.1)), has_partner=True).found
        True
    """
    if min(len(before), len(after)) < FEWEST_BLOCKS:
        raise BadData(
            f"{min(len(before), len(after))} blocks of queries; a difference needs {FEWEST_BLOCKS}",
            "measure both with the usual number of --queries",
        )
    means = [np.array([part.mean() for part in np.array_split(run, BATCHES)]) for run in (before, after)]
    variances = np.array([batch.var(ddof=1) / BATCHES for batch in means])
    change = float(means[1].mean() - means[0].mean())
    half = _welch_t(variances, confidence) * float(np.sqrt(variances.sum()))
    spread = math.sqrt((before.var(ddof=1) + after.var(ddof=1)) / 2.0)
    noise = max(half, (WITH_PARTNER if has_partner else ALONE) * spread, math.log1p(MATERIAL))
    return LatencyChange(math.expm1(change), math.expm1(change - half), math.expm1(change + half), math.expm1(noise))


def _welch_t(variances: np.ndarray, confidence: float) -> float:
    """The quantile of Student's t with the degrees of freedom of Welch and Satterthwaite."""
    total = float(variances.sum())
    if total == 0.0:
        return 0.0
    freedom = total**2 / float((variances**2 / (BATCHES - 1)).sum())
    return float(stdtrit(freedom, 0.5 + confidence / 2.0))
