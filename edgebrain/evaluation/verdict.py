"""PASS, FAIL or INCONCLUSIVE: how much a bundle loses against its float root, with an interval, held against a margin.

PASS: the interval lies inside the margin (its upper end is no larger). FAIL: outside (its lower end is larger).
INCONCLUSIVE: the margin lies in it, so the data cannot tell; the number of groups that could is given. This is the
non-inferiority test with a margin fixed beforehand (FDA 2016, Non-Inferiority Clinical Trials; ICH E9).

More than one question: a bundle passes only if it passes every one, which by itself keeps a wrong PASS as rare as one
question alone would (Berger 1982, intersection-union). The strata are many, so that one of them would soon look bad by
chance; their intervals are widened to 1 - 5 % / (number of strata) (Bonferroni): all of them hold together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import numpy as np

from edgebrain.evaluation.bootstrap import RESAMPLES, mean_interval
from edgebrain.evaluation.paired_proportions import score_interval
from edgebrain.evaluation.power import groups_for_flips, groups_for_mean
from edgebrain.evaluation.scores import ImageScore
from edgebrain.evaluation.strata import Pair, pair_up, strata, worst_groups
from edgebrain.settings import Meta

PASS, FAIL, INCONCLUSIVE = "PASS", "FAIL", "INCONCLUSIVE"
# With fewer groups no interval is worth its name.
FEWEST_GROUPS = 10


@dataclass(frozen=True)
class Margins:
    """The largest losses that are accepted, as fractions of 1 (0.005 is half a point).

    dice: mean Dice over tumours. accuracy: share of slices whose class is right. missed_tumours: share of tumours of
    which nothing is found, more than before. stratum: Dice in any stratum. class_accuracy: accuracy in any class.
    healthy_marked: share of healthy slices that are marked, more than before.
    """

    dice: float = 0.005
    accuracy: float = 0.005
    missed_tumours: float = 0.005
    stratum: float = 0.02
    class_accuracy: float = 0.02
    healthy_marked: float = 0.02


@dataclass(frozen=True)
class Sampling:
    """confidence: of the intervals. resamples, seed: of the bootstrap."""

    confidence: float = 0.95
    resamples: int = RESAMPLES
    seed: int = 0


@dataclass(frozen=True)
class Measure:
    """What is lost on one slice. on: which slices. loss: of a pair, positive where the bundle is worse. flips: the loss
    is -1, 0 or 1, and rare."""

    on: Callable[[Pair], bool]
    loss: Callable[[Pair], float]
    flips: bool


MEASURES = {
    "dice": Measure(lambda p: p.before.is_drawn_tumour, lambda p: p.before.dice - p.after.dice, False),
    "accuracy": Measure(lambda p: True, lambda p: float(p.before.is_right) - float(p.after.is_right), True),
    "missed_tumours": Measure(
        lambda p: p.before.is_tumour, lambda p: float(p.after.is_missed) - float(p.before.is_missed), True
    ),
    "healthy_marked": Measure(
        lambda p: not p.before.is_tumour, lambda p: float(p.after.is_marked) - float(p.before.is_marked), True
    ),
    "healthy_area": Measure(
        lambda p: not p.before.is_tumour, lambda p: p.after.marked_share - p.before.marked_share, False
    ),
    "hd95_px": Measure(lambda p: p.before.is_drawn_tumour, lambda p: p.after.hd95_px - p.before.hd95_px, False),
    "surface_dice": Measure(
        lambda p: p.before.is_drawn_tumour, lambda p: p.before.surface_dice - p.after.surface_dice, False
    ),
}
TOLD = ("healthy_area", "hd95_px", "surface_dice")


@dataclass(frozen=True)
class Comparison:
    """One question and its answer, also in reports."""

    measure: Annotated[str, Meta(description=f"one of {', '.join(MEASURES)}")]
    stratum: Annotated[
        str, Meta(description="class, plane or size of the lesion, worst 5 % of the groups; empty for all slices")
    ]
    slices: Annotated[int, Meta(description="slices that answer it")]
    groups: Annotated[int, Meta(description="their groups")]
    drop: Annotated[
        float,
        Meta(description="mean over groups of what the bundle loses, positive where it is worse; hd95_px in px"),
    ]
    low: Annotated[
        float | None,
        Meta(description=f"lower end of its interval; null with fewer than {FEWEST_GROUPS} groups or without an end"),
    ]
    high: Annotated[float | None, Meta(description="upper end")]
    confidence: Annotated[float, Meta(description="of the interval; for strata 1 - 5 % / (number of strata questions)")]
    margin: Annotated[
        float | None, Meta(description="largest accepted drop; null where the figure is given and not judged")
    ]
    outcome: Annotated[
        str | None,
        Meta(description="PASS: high <= margin; FAIL: low > margin; else INCONCLUSIVE; null without a margin"),
    ]
    groups_enough: Annotated[
        int | None,
        Meta(description="INCONCLUSIVE: groups that would settle it in four of five such benches; null where none do"),
    ] = None

    def as_json(self) -> dict[str, Any]:
        """The comparison as JSON object."""
        return asdict(self)


@dataclass(frozen=True)
class Verdict:
    """outcome: the worst of the comparisons that are judged: FAIL, else INCONCLUSIVE, else PASS."""

    outcome: str
    comparisons: tuple[Comparison, ...]

    def as_json(self) -> dict[str, Any]:
        """The verdict as JSON object."""
        return {"outcome": self.outcome, "comparisons": [one.as_json() for one in self.comparisons]}


def judge_bundle(
    before: Sequence[ImageScore], after: Sequence[ImageScore], margins: Margins, sampling: Sampling
) -> Verdict:
    """The verdict on a bundle. before: the float root's scores; after: the bundle's, of the same slices in order.

    Raises BadData: the slices are not the same.
    """
    pairs = pair_up(before, after)
    whole = [
        _compare(measure, "", pairs, margin, sampling)
        for measure, margin in (
            ("dice", margins.dice),
            ("accuracy", margins.accuracy),
            ("missed_tumours", margins.missed_tumours),
        )
    ]
    told = [_compare(measure, "", pairs, None, sampling) for measure in TOLD]
    found = (*whole, *_by_strata(pairs, margins, sampling), *told)
    comparisons = tuple(one for one in found if one is not None)
    return Verdict(worst_of(one.outcome for one in comparisons), comparisons)


def worst_of(outcomes: Iterable[str | None]) -> str:
    """FAIL if there is one, else INCONCLUSIVE if there is one or nothing was judged, else PASS."""
    known = {outcome for outcome in outcomes if outcome is not None}
    return next((outcome for outcome in (FAIL, INCONCLUSIVE) if outcome in known), PASS if known else INCONCLUSIVE)


def outcome_of(low: float | None, high: float | None, margin: float) -> str:
    """On which side of the margin an interval lies."""
    if high is not None and high <= margin:
        return PASS
    if low is not None and low > margin:
        return FAIL
    return INCONCLUSIVE


def group_means_of(pairs: Sequence[Pair], measure: Measure) -> tuple[np.ndarray, np.ndarray]:
    """What is lost, a mean for each group, (groups,) float64, by the groups' names; what is not known is left out.

    Returns: the means, and how many slices each is of, (groups,) int64.
    """
    chosen = [(pair.before.group, measure.loss(pair)) for pair in pairs if measure.on(pair)]
    known = [(group, loss) for group, loss in chosen if not np.isnan(loss)]
    if not known:
        return np.empty(0), np.empty(0, dtype=np.int64)
    names, losses = zip(*known, strict=True)
    _, place = np.unique(names, return_inverse=True)
    sizes = np.bincount(place)
    return np.bincount(place, weights=losses) / sizes, sizes


def _by_strata(pairs: Sequence[Pair], margins: Margins, sampling: Sampling) -> list[Comparison | None]:
    """Dice in each stratum and in the worst groups, accuracy in each class, healthy slices marked."""
    questions = [("dice", name, members, margins.stratum) for name, members in strata(pairs).items()]
    questions += [("dice", "worst 5 %", worst_groups(pairs), margins.stratum)]
    labels = sorted({pair.before.label for pair in pairs})
    for label in labels:
        members = [pair for pair in pairs if pair.before.label == label]
        questions += [("accuracy", f"class {label}", members, margins.class_accuracy)]
    questions += [("healthy_marked", "healthy", list(pairs), margins.healthy_marked)]
    asked = [(name, stratum, members, margin) for name, stratum, members, margin in questions if _on(name, members)]
    together = Sampling(1.0 - (1.0 - sampling.confidence) / max(1, len(asked)), sampling.resamples, sampling.seed)
    return [_compare(name, stratum, members, margin, together) for name, stratum, members, margin in asked]


def _on(name: str, pairs: Sequence[Pair]) -> bool:
    return any(MEASURES[name].on(pair) for pair in pairs)


def _compare(
    name: str, stratum: str, pairs: Sequence[Pair], margin: float | None, sampling: Sampling
) -> Comparison | None:
    """The answer to one question; None where no slice can answer it."""
    measure = MEASURES[name]
    values, sizes = group_means_of(pairs, measure)
    if not len(values):
        return None
    low, high = _interval(values, sizes, measure.flips, sampling)
    outcome = None if margin is None else outcome_of(low, high, margin)
    return Comparison(
        measure=name,
        stratum=stratum,
        slices=int(sizes.sum()),
        groups=len(values),
        drop=float(np.mean(values)),
        low=low,
        high=high,
        confidence=sampling.confidence,
        margin=margin,
        outcome=outcome,
        groups_enough=_enough(values, sizes, measure.flips, (low, high), margin, sampling)
        if margin is not None and outcome == INCONCLUSIVE
        else None,
    )


def _interval(
    values: np.ndarray, sizes: np.ndarray, flips: bool, sampling: Sampling
) -> tuple[float | None, float | None]:
    if len(values) < FEWEST_GROUPS:
        return None, None
    if flips:
        return score_interval(values, sizes, sampling.confidence)
    low, high = mean_interval(values, sampling.confidence, sampling.resamples, sampling.seed)
    return (float(low) if np.isfinite(low) else None), (float(high) if np.isfinite(high) else None)


def _enough(
    values: np.ndarray,
    sizes: np.ndarray,
    flips: bool,
    interval: tuple[float | None, float | None],
    margin: float,
    sampling: Sampling,
) -> int | None:
    """Groups that would settle what these could not."""
    if len(values) < FEWEST_GROUPS:
        return FEWEST_GROUPS
    if flips:
        return groups_for_flips(values, margin, sampling.confidence, sizes)
    low, high = (open_end if end is None else end for end, open_end in zip(interval, (-np.inf, np.inf), strict=True))
    return groups_for_mean(values, low, high, margin, sampling.confidence)
