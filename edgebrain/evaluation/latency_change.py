"""Is one run slower than another? From blocks of durations, with the noise that the runs themselves show.

A block's level is the logarithm of its lower decile: what else the machine does makes some queries slower and none
faster, so the fast end moves least. Where a partner answered in the same rounds its levels are taken off, block by
block (rounds are interleaved for that): a slow minute, or a slow evening, falls out.

A difference counts as one only if it is larger than each of three things, the largest of which is called the noise:
  - its interval: Welch's t on the means of BATCHES consecutive blocks, which follow each other too closely to count
    one by one (batch means: Law and Kelton, Simulation Modeling and Analysis, 9.5);
  - the disagreement of single blocks, twice their standard deviation with a partner and 3.25 times without. What the
    blocks of one run disagree about, another run as a whole can be off by: a process lies elsewhere in memory, the
    neighbours of a virtual machine come and go. No number of queries averages that away;
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
class Shift:
    """How much slower the second run is: 0.05 is 5 %. low, high: its 95 % interval. noise: what would not count."""

    change: float
    low: float
    high: float
    noise: float

    @property
    def found(self) -> bool:
        """Whether there is a difference beyond the noise."""
        return abs(self.change) > self.noise and (self.low > 0.0 or self.high < 0.0)


def levels(blocks: Sequence[Sequence[float]] | np.ndarray) -> np.ndarray:
    """The level of each block, (blocks,) float64. blocks: durations > 0 in any unit. Raises BadData."""
    if len(blocks) == 0 or any(len(block) == 0 or min(block) <= 0 for block in blocks):
        raise BadData("a block without durations, or one of no length", "measure again")
    return np.array([math.log(float(np.quantile(block, 0.1))) for block in blocks])


def shift(before: np.ndarray, after: np.ndarray, has_partner: bool, confidence: float = 0.95) -> Shift:
    """How much slower `after` is than `before`.

    Args: before, after: (blocks,) levels, a partner's taken off where `has_partner`.
    Raises BadData: fewer than FEWEST_BLOCKS blocks in either.
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
    return Shift(math.expm1(change), math.expm1(change - half), math.expm1(change + half), math.expm1(noise))


def _welch_t(variances: np.ndarray, confidence: float) -> float:
    """The quantile of Student's t with Welch and Satterthwaite's degrees of freedom."""
    total = float(variances.sum())
    if total == 0.0:
        return 0.0
    freedom = total**2 / float((variances**2 / (BATCHES - 1)).sum())
    return float(stdtrit(freedom, 0.5 + confidence / 2.0))
