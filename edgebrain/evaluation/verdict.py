"""PASS, FAIL or INCONCLUSIVE: the loss of a bundle against its float root, with an interval, against a margin.

PASS: the interval lies within the margin (its upper end is not larger). FAIL: it lies beyond the margin (its lower end
is larger). INCONCLUSIVE: the margin lies in the interval; the number of groups that would settle it is given. This is
the non-inferiority test with a margin fixed beforehand (FDA 2016, Non-Inferiority Clinical Trials; ICH E9).

Several comparisons: a bundle passes only if it passes all of them, which by itself keeps a wrong PASS as rare as one
comparison alone does (Berger 1982, intersection-union). There are many strata, and one of them would soon look bad by
chance, so their intervals are widened to 1 - 5 % / (number of strata) (Bonferroni): all of them hold together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any

import numpy as np

from edgebrain.evaluation.bootstrap import RESAMPLES, mean_interval
from edgebrain.evaluation.paired_proportions import score_interval
from edgebrain.evaluation.power import groups_for_mean, groups_for_proportion
from edgebrain.evaluation.scores import ImageScore
from edgebrain.evaluation.strata import PairedScore, pair_up, strata, worst_groups
from edgebrain.settings import Meta

PASS, FAIL, INCONCLUSIVE = "PASS", "FAIL", "INCONCLUSIVE"
# With fewer groups an interval depends on the shape of a distribution that so few values do not show.
FEWEST_GROUPS = 10


@dataclass(frozen=True)
class Margins:
    """The largest losses that are accepted, as fractions of 1 (0.005 is half a point).

    Attributes:
        dice: Loss of mean Dice over tumours.
        accuracy: Loss of the share of slices whose class is right.
        missed_tumours: Increase of the share of tumours of which no pixel is found.
        stratum: Loss of mean Dice in any stratum.
        class_accuracy: Loss of accuracy in any class.
        healthy_marked: Increase of the share of healthy slices with any lesion pixel.
    """

    dice: float = 0.005
    accuracy: float = 0.005
    missed_tumours: float = 0.005
    stratum: float = 0.02
    class_accuracy: float = 0.02
    healthy_marked: float = 0.02


@dataclass(frozen=True)
class Sampling:
    """How intervals are computed.

    Attributes:
        confidence: Of the intervals, in (0, 1).
        resamples: Of the bootstrap.
        seed: Of the bootstrap.
    """

    confidence: float = 0.95
    resamples: int = RESAMPLES
    seed: int = 0


@dataclass(frozen=True)
class Measure:
    """What is lost on one slice.

    Attributes:
        applies: Whether a slice can answer the question.
        loss: Of one slice, positive where the bundle is worse.
        binary: Whether a slice's loss is -1, 0 or 1, so that the interval is one of proportions.
    """

    applies: Callable[[PairedScore], bool]
    loss: Callable[[PairedScore], float]
    binary: bool


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
# Reported with their intervals, without a margin: no accepted loss is established for them.
UNJUDGED = ("healthy_area", "hd95_px", "surface_dice")


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
    """The outcome of all comparisons.

    Attributes:
        outcome: The worst one of those with a margin: FAIL, else INCONCLUSIVE, else PASS.
        comparisons: Every question and its answer.
    """

    outcome: str
    comparisons: tuple[Comparison, ...]

    def as_json(self) -> dict[str, Any]:
        """The verdict as JSON object."""
        return {"outcome": self.outcome, "comparisons": [one.as_json() for one in self.comparisons]}


def judge_bundle(
    before: Sequence[ImageScore], after: Sequence[ImageScore], margins: Margins, sampling: Sampling
) -> Verdict:
    """Compare a bundle with the float model that it comes from.

    Args:
        before: The float model's scores.
        after: The bundle's scores, of the same slices in the same order.
        margins: The accepted losses.
        sampling: How intervals are computed.

    Raises:
        BadData: The slices are not the same.
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
    unjudged = [_compare(measure, "", pairs, None, sampling) for measure in UNJUDGED]
    found = (*whole, *_by_strata(pairs, margins, sampling), *unjudged)
    comparisons = tuple(one for one in found if one is not None)
    return Verdict(worst_of(one.outcome for one in comparisons), comparisons)


def worst_of(outcomes: Iterable[str | None]) -> str:
    """The worst outcome: FAIL, else INCONCLUSIVE, else PASS; INCONCLUSIVE without any.

    Example:
        >>> worst_of(["PASS", None, "FAIL"]), worst_of([None])
        ('FAIL', 'INCONCLUSIVE')
    """
    known = {outcome for outcome in outcomes if outcome is not None}
    return next((outcome for outcome in (FAIL, INCONCLUSIVE) if outcome in known), PASS if known else INCONCLUSIVE)


def outcome_of(low: float | None, high: float | None, margin: float) -> str:
    """On which side of a margin an interval lies.

    Args:
        low: Lower end; None where it is unknown.
        high: Upper end; None where it is unknown.
        margin: The largest accepted loss, in the same unit.

    Example:
        >>> outcome_of(-0.01, 0.004, margin=0.005), outcome_of(0.0, 0.01, margin=0.005)
        ('PASS', 'INCONCLUSIVE')
    """
    if high is not None and high <= margin:
        return PASS
    if low is not None and low > margin:
        return FAIL
    return INCONCLUSIVE


def group_means_of(pairs: Sequence[PairedScore], measure: Measure) -> tuple[np.ndarray, np.ndarray]:
    """Average the loss within each group.

    Args:
        pairs: The slices; those that cannot answer, and those whose loss is NaN, are left out.
        measure: The question.

    Returns:
        (groups,) float64 mean losses in the measure's unit, ordered by the groups' names, and (groups,) int64 slices
        that each is the mean of. Both are empty where no slice can answer.
    """
    chosen = [(pair.before.group, measure.loss(pair)) for pair in pairs if measure.applies(pair)]
    known = [(group, loss) for group, loss in chosen if not np.isnan(loss)]
    if not known:
        return np.empty(0), np.empty(0, dtype=np.int64)
    names, losses = zip(*known, strict=True)
    _, group_index = np.unique(names, return_inverse=True)
    sizes = np.bincount(group_index)
    return np.bincount(group_index, weights=losses) / sizes, sizes


def _by_strata(pairs: Sequence[PairedScore], margins: Margins, sampling: Sampling) -> list[Comparison | None]:
    """Dice in each stratum and in the worst groups, accuracy in each class, and healthy slices that are marked."""
    questions = [("dice", name, members, margins.stratum) for name, members in strata(pairs).items()]
    questions += [("dice", "worst 5 %", worst_groups(pairs), margins.stratum)]
    labels = sorted({pair.before.label for pair in pairs})
    for label in labels:
        members = [pair for pair in pairs if pair.before.label == label]
        questions += [("accuracy", f"class {label}", members, margins.class_accuracy)]
    questions += [("healthy_marked", "healthy", list(pairs), margins.healthy_marked)]
    answered = [question for question in questions if any(map(MEASURES[question[0]].applies, question[2]))]
    # Bonferroni, over the questions that any slice can answer.
    widened = replace(sampling, confidence=1.0 - (1.0 - sampling.confidence) / max(1, len(answered)))
    return [_compare(name, stratum, members, margin, widened) for name, stratum, members, margin in answered]


def _compare(
    name: str, stratum: str, pairs: Sequence[PairedScore], margin: float | None, sampling: Sampling
) -> Comparison | None:
    """The answer to one question; None where no slice can answer it. margin: None where it is only reported."""
    measure = MEASURES[name]
    values, sizes = group_means_of(pairs, measure)
    if not len(values):
        return None
    low, high = _interval(values, sizes, measure.binary, sampling)
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
        groups_enough=_groups_enough(values, sizes, measure.binary, (low, high), margin, sampling)
        if margin is not None and outcome == INCONCLUSIVE
        else None,
    )


def _interval(
    values: np.ndarray, sizes: np.ndarray, binary: bool, sampling: Sampling
) -> tuple[float | None, float | None]:
    if len(values) < FEWEST_GROUPS:
        return None, None
    if binary:
        return score_interval(values, sizes, sampling.confidence)
    low, high = mean_interval(values, sampling.confidence, sampling.resamples, sampling.seed)
    return (float(low) if np.isfinite(low) else None), (float(high) if np.isfinite(high) else None)


def _groups_enough(
    values: np.ndarray,
    sizes: np.ndarray,
    binary: bool,
    interval: tuple[float | None, float | None],
    margin: float,
    sampling: Sampling,
) -> int | None:
    """Number of groups that would settle what these could not; None where no number would."""
    if len(values) < FEWEST_GROUPS:
        return FEWEST_GROUPS
    if binary:
        return groups_for_proportion(values, margin, sampling.confidence, sizes)
    low, high = (open_end if end is None else end for end, open_end in zip(interval, (-np.inf, np.inf), strict=True))
    return groups_for_mean(values, low, high, margin, sampling.confidence)
