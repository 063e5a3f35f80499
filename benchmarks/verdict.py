"""Does the verdict of `edgebrain bench` keep its word? Simulated benches whose true drop is known.

    python benchmarks/verdict.py [--benches 2000] [--resamples 10000] [--seed 0]

Each bench draws groups of slices with paired differences, makes the interval that the verdict makes, and judges it
against a margin that the true drop lies exactly on. Asked: how often the interval covers the true drop (promised: 93 to
97 %), how often a PASS is given that should not be (at most 5 %), and how often a bench of as many groups as an
INCONCLUSIVE one named is settled (four of five). Other intervals are told beside ours, to show why it is ours.

The differences resemble those of int8 networks of this project: a third of the slices not changed at all, a heavy
tail to both sides, slices of one group alike. Some scenarios are harder than that. Those marked "limit" show what no
interval made from the data alone can do: an event that the data do not hold is not in the interval of a mean; and where
two or three flips are all that can be expected, an interval that never lies too often must cover too often.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy import stats

HOME = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(HOME))

from edgebrain.evaluation.bootstrap import draw_counts, mean_interval, student, studentized  # noqa: E402
from edgebrain.evaluation.paired_proportions import score_interval  # noqa: E402
from edgebrain.evaluation.power import groups_for_mean, groups_for_proportion  # noqa: E402

MARGIN = 0.005
COVER, WRONG_PASS = (0.93, 0.97), 0.05
# Sizes of the copy groups of a public brain set.
COPIES = ((1, 0.69), (2, 0.23), (3, 0.04), (4, 0.03), (5, 0.01))
COLUMNS = 250

Ends = tuple[np.ndarray, np.ndarray]
# Means of the groups and their sizes, (groups, benches) each -> the ends, (benches,) each.
Method = Callable[[np.ndarray, np.ndarray], Ends]


@dataclass(frozen=True)
class Scenario:
    """Groups of slices, and how a slice's score changes.

    kind: of the groups: copies (1 to 5 slices), patients (8 to 24), or uneven (two of three have one slice, the others
    up to 19). drop: the true one. unchanged: share of slices that did not
    change. hit: share of slices that lose between `least` and `most`. lost, won: shares of slices that flip; where they
    are given the scenario is one of flips. alike: how much slices of a group flip together, in [0, 1). limit: not
    promised.
    """

    name: str
    groups: int
    kind: str = "copies"
    drop: float = MARGIN
    unchanged: float = 0.35
    hit: float = 0.0
    least: float = 0.1
    most: float = 0.8
    lost: float = 0.0
    won: float = 0.0
    alike: float = 0.3
    limit: bool = False

    @property
    def flips(self) -> bool:
        """Whether what is compared is a share of flips."""
        return self.lost > 0.0


DICE = (
    Scenario("Dice, 391 copy groups", 391),
    Scenario("Dice, 391 copy groups, 90 % of slices unchanged", 391, unchanged=0.9),
    Scenario("Dice, 391 copy groups, 3 % of slices lose 10 to 80 points", 391, hit=0.03),
    Scenario("Dice, 150 copy groups", 150),
    Scenario("Dice, 60 copy groups", 60),
    Scenario("Dice, 150 copy groups, 10 % of slices lose 5 to 30 points", 150, hit=0.1, least=0.05, most=0.3),
    Scenario("Dice, 10 copy groups", 10),
    Scenario("Dice, 203 uneven groups", 203, kind="uneven"),
    Scenario("Dice, 150 patients of 8 to 24 slices", 150, kind="patients"),
    Scenario("Dice, 40 patients of 8 to 24 slices", 40, kind="patients"),
    Scenario(
        "Dice, 391 copy groups, 0.6 % of slices lose 70 to 90 points", 391, hit=0.006, least=0.7, most=0.9, limit=True
    ),
    Scenario("Dice, 60 copy groups, 10 % of slices lose 5 to 30 points", 60, hit=0.1, least=0.05, most=0.3, limit=True),
    Scenario("Dice, 60 copy groups, 3 % of slices lose 10 to 80 points", 60, hit=0.03, limit=True),
)
FLIPS = (
    Scenario("flips, 483 copy groups, 2 % lost and 1.5 % won", 483, lost=0.02, won=0.015),
    Scenario("flips, 483 copy groups, 1 % lost and 0.5 % won", 483, lost=0.01, won=0.005),
    Scenario("flips, 1500 copy groups, 0.5 % lost", 1500, lost=0.005),
    Scenario("flips, 203 uneven groups, 2 % lost and 1.5 % won", 203, kind="uneven", lost=0.02, won=0.015),
    Scenario("flips, 60 copy groups, 5 % lost and 4.5 % won", 60, lost=0.05, won=0.045),
    Scenario("flips, 60 patients, 3 % lost and 2.5 % won", 60, kind="patients", lost=0.03, won=0.025, alike=0.1),
    Scenario("flips, 200 patients, 1 % lost and 0.5 % won", 200, kind="patients", lost=0.01, won=0.005, alike=0.1),
    Scenario("flips, 483 copy groups, 0.5 % lost", 483, lost=0.005, limit=True),
    Scenario("flips, 203 uneven groups, 0.5 % lost", 203, kind="uneven", lost=0.005, alike=0.05, limit=True),
)


@dataclass(frozen=True)
class Figures:
    """Shares of the benches. half: median half width of the interval."""

    covered: float
    wrong_pass: float
    wrong_fail: float
    half: float

    @property
    def kept(self) -> bool:
        """Whether the promises hold."""
        return COVER[0] <= self.covered <= COVER[1] and self.wrong_pass <= WRONG_PASS


def draw(scenario: Scenario, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The groups' mean losses of one bench (their expectation is the drop) and the groups' sizes, (groups,) each."""
    sizes = _sizes(scenario, rng)
    group = np.repeat(np.arange(scenario.groups), sizes)
    losses = _flips(scenario, group, rng) if scenario.flips else _differences(scenario, group, rng)
    return np.bincount(group, losses) / sizes, sizes


def _sizes(scenario: Scenario, rng: np.random.Generator) -> np.ndarray:
    if scenario.kind == "patients":
        return rng.integers(8, 25, scenario.groups)
    if scenario.kind == "uneven":
        return np.where(rng.random(scenario.groups) < 0.63, 1, rng.integers(2, 20, scenario.groups))
    return rng.choice([size for size, _ in COPIES], p=[share for _, share in COPIES], size=scenario.groups)


def _differences(scenario: Scenario, group: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Many small differences to both sides, heavy-tailed, some none at all, perhaps some large losses."""
    count = len(group)
    small = rng.normal(0.0, 0.01, scenario.groups)[group]
    small += (rng.gamma(0.5, 0.03, count) - 0.015) * rng.choice([1.0, 1.0, -1.0], count)
    large = rng.uniform(scenario.least, scenario.most, count)
    losses = np.where(rng.random(count) < scenario.hit, large, small)
    shift = scenario.drop / (1.0 - scenario.unchanged) - scenario.hit * (scenario.least + scenario.most) / 2.0
    return np.where(rng.random(count) < scenario.unchanged, 0.0, losses + shift)


def _flips(scenario: Scenario, group: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """-1, 0 or 1 a slice; each group has flip rates of its own, from a beta distribution."""

    def rates(share: float) -> np.ndarray:
        spread = (1.0 - scenario.alike) / scenario.alike
        return (
            rng.beta(share * spread, (1.0 - share) * spread, scenario.groups)[group] if share else np.zeros(len(group))
        )

    chance, lost, won = rng.random(len(group)), rates(scenario.lost), rates(scenario.won)
    total = np.maximum(lost + won, 1.0)
    return np.where(chance < lost / total, 1.0, np.where(chance < (lost + won) / total, -1.0, 0.0))


def draw_benches(scenario: Scenario, benches: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """What many benches saw, and the sizes of their groups, (groups, benches) each."""
    rng = np.random.default_rng(seed)
    seen, sizes = zip(*(draw(scenario, rng) for _ in range(benches)), strict=True)
    return np.stack(seen, axis=1), np.stack(sizes, axis=1)


def methods(scenario: Scenario, resamples: int) -> dict[str, Method]:
    """The verdict's own interval first, then the others."""
    ours: Method = _score if scenario.flips else lambda seen, sizes: mean_interval(seen, resamples=resamples)
    return {
        "ours": ours,
        "studentized": lambda seen, sizes: studentized(seen, resamples=resamples),
        "Student's t": lambda seen, sizes: student(seen),
        "BCa": lambda seen, sizes: bca(seen, resamples),
    }


def study(scenario: Scenario, seen: np.ndarray, sizes: np.ndarray, method: Method) -> Figures:
    """How a method's intervals do. seen, sizes: (groups, benches)."""
    starts = range(0, seen.shape[1], COLUMNS)
    parts = [method(seen[:, start : start + COLUMNS], sizes[:, start : start + COLUMNS]) for start in starts]
    low, high = (np.concatenate(ends) for ends in zip(*parts, strict=True))
    true = scenario.lost - scenario.won if scenario.flips else scenario.drop
    covered = (low <= true) & (true <= high)
    half = float(np.median(high - low)) / 2.0
    return Figures(float(covered.mean()), float((high <= true).mean()), float((low > true).mean()), half)


def bca(seen: np.ndarray, resamples: int, confidence: float = 0.95) -> Ends:
    """Bias-corrected and accelerated interval of the mean (Efron 1987), for comparison. seen: (groups, benches)."""
    centred = seen - seen.mean(axis=0)
    means = np.sort(
        np.concatenate([drawn @ centred / len(seen) for drawn in draw_counts(len(seen), resamples, 0)]), axis=0
    )
    with np.errstate(all="ignore"):
        bias = stats.norm.ppf(((means < 0).mean(axis=0) + (means <= 0).mean(axis=0)) / 2.0)
        skew = (centred**3).sum(axis=0) / (6.0 * (centred**2).sum(axis=0) ** 1.5)
    ends = []
    for tail in ((1.0 - confidence) / 2.0, (1.0 + confidence) / 2.0):
        z = bias + stats.norm.ppf(tail)
        rank = np.nan_to_num(stats.norm.cdf(bias + z / (1.0 - skew * z)), nan=0.5) * resamples
        place = np.clip(rank.astype(int), 0, resamples - 1)
        ends.append(seen.mean(axis=0) + means[place, np.arange(seen.shape[1])])
    return ends[0], ends[1]


def settled(scenario: Scenario, benches: int, seed: int) -> tuple[float, float]:
    """Of benches that were INCONCLUSIVE: how many groups they named (median), and how many of so many were settled."""
    seen, sizes = draw_benches(scenario, benches, seed)
    low, high = _ends(scenario, seen, sizes)
    asked = []
    for place in np.flatnonzero((low <= MARGIN) & (high > MARGIN)):
        values = seen[:, place]
        if scenario.flips:
            asked.append(groups_for_proportion(values, MARGIN, 0.95, sizes[:, place]))
        else:
            asked.append(groups_for_mean(values, low[place], high[place], MARGIN, 0.95))
    named = float(np.median([value if value is not None else np.inf for value in asked]))
    if not np.isfinite(named):
        return named, float("nan")
    # What the median bench named, with the true drop: a forecast from one bench is as uncertain as its own drop.
    low, high = _ends(scenario, *draw_benches(replace(scenario, groups=int(named)), benches, seed + 1))
    return named, float(((high <= MARGIN) | (low > MARGIN)).mean())


def _ends(scenario: Scenario, seen: np.ndarray, sizes: np.ndarray) -> Ends:
    return _score(seen, sizes) if scenario.flips else mean_interval(seen, resamples=2000)


def _score(seen: np.ndarray, sizes: np.ndarray) -> Ends:
    ends = np.array([score_interval(values, counts) for values, counts in zip(seen.T, sizes.T, strict=True)])
    return ends[:, 0], ends[:, 1]


def report(scenarios: tuple[Scenario, ...], benches: int, resamples: int, seed: int) -> bool:
    """Print a line for each scenario and method. Returns: whether ours keeps every promise."""
    kept = True
    print(f"{'':<60} {'covers':>7} {'wrong PASS':>11} {'wrong FAIL':>11} {'half width':>11}")
    for scenario in scenarios:
        seen, sizes = draw_benches(scenario, benches, seed)
        print(f"{scenario.name}{' (limit)' if scenario.limit else ''}")
        for name, method in methods(scenario, resamples).items():
            found = study(scenario, seen, sizes, method)
            half = f"{100 * found.half:8.2f} pt" if np.isfinite(found.half) else "no end"
            word = "" if name != "ours" or scenario.limit else "kept" if found.kept else "MISSED"
            shares = f"{100 * found.covered:6.1f}% {100 * found.wrong_pass:10.1f}% {100 * found.wrong_fail:10.1f}%"
            print(f"    {name:<56} {shares} {half:>11} {word}", flush=True)
            kept &= word != "MISSED"
    return kept


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--benches", type=int, default=2000)
    parser.add_argument("--resamples", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(f"$ python {shlex.join(sys.argv)}")
    kept = report(DICE + FLIPS, options.benches, options.resamples, options.seed)
    for scenario in (
        Scenario("Dice, 60 copy groups, true drop 0.1 points", 60, drop=0.001),
        Scenario("flips, 483 copy groups, 0.2 % lost and 0.1 % won", 483, lost=0.002, won=0.001),
    ):
        named, share = settled(scenario, min(options.benches, 400), options.seed)
        print(f"{scenario.name}: INCONCLUSIVE benches name {named:.0f} groups; {100 * share:.0f} % of such are settled")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
