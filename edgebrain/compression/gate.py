"""The gate: a compressed model must not have collapsed against its parent. Both run through the same session.

It refuses broken models before they are written; whether a small drop is acceptable is the bench's question.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgebrain.compression.diagnosis import Repair, repaired, repairs
from edgebrain.data.sample import Sample
from edgebrain.errors import BadBundle, GateRefused
from edgebrain.evaluation.score import score_answer
from edgebrain.evaluation.scores import ImageScore, summarise
from edgebrain.progress import Progress, no_progress
from edgebrain.runtime.session import Session

CONSTANT_SPREAD = 1.0 / 255.0
SATURATED_SHARE = 0.9
# Where the parent marks more of the healthy slices than this, a child that marks all need not have collapsed.
HEALTHY_MARKED = 0.5
# A refused child is run again on so many slices, once a repair.
DIAGNOSED_SLICES = 32


@dataclass(frozen=True)
class Answers:
    """A model's answers on the gate's slices.

    Attributes:
        scores: One a slice.
        probabilities: (N, classes) float64 in [0, 1].
        areas: (N,) float64, marked share of each slice in [0, 1].
        spread: Range of the slices' mean mask probability, in [0, 1].
    """

    scores: tuple[ImageScore, ...]
    probabilities: np.ndarray
    areas: np.ndarray
    spread: float

    def at(self, indices: Sequence[int]) -> Answers:
        """The answers on some of the slices; their spread is that of all."""
        chosen = list(indices)
        scores = tuple(self.scores[index] for index in chosen)
        return Answers(scores, self.probabilities[chosen], self.areas[chosen], self.spread)


@dataclass(frozen=True)
class GateResult:
    """The gate's figures.

    Attributes:
        parent_dice: Mean Dice of the parent in [0, 1]; None without a tumour slice.
        dice: The same of the child.
        agreement: Share of slices with the parent's class, in [0, 1].
        reasons: Why the child is refused; empty when it passes.
    """

    parent_dice: float | None
    dice: float | None
    agreement: float
    reasons: tuple[str, ...]


def answer(
    session: Session, samples: Sequence[Sample], progress: Progress = no_progress, what: str = "scoring"
) -> Answers:
    """Run a session over slices.

    Args:
        session: The model.
        samples: The slices, with their masks and classes.
        progress: Called after each slice.
        what: What the progress callback is told.

    Raises:
        BadBundle: An output holds NaN or no probabilities.
    """
    scores, probabilities, areas, means = [], [], [], []
    for done, sample in enumerate(samples, start=1):
        prediction = session.predict(sample.image)
        scores.append(score_answer(sample, prediction, session.classes))
        probabilities.append(prediction.class_probabilities)
        areas.append(prediction.mask.mean())
        means.append(prediction.probability.mean() / 255.0)
        progress(what, done, len(samples))
    return Answers(tuple(scores), np.array(probabilities), np.array(areas), float(np.ptp(means)))


def judge(parent: Answers, child: Answers, max_dice_drop: float, min_agreement: float) -> GateResult:
    """Compare a child's answers with its parent's on the same slices.

    Args:
        parent: The parent's answers.
        child: The child's answers.
        max_dice_drop: Largest drop of the mean Dice, of 1.
        min_agreement: Smallest share of slices with the parent's class, of 1.
    """
    before, after = summarise(parent.scores)["dice"], summarise(child.scores)["dice"]
    agreement = float((parent.probabilities.argmax(axis=1) == child.probabilities.argmax(axis=1)).mean())
    reasons = _signs_of_collapse(parent, child)
    if before is not None and (after is None or before - after > max_dice_drop):
        reasons.append(f"Dice fell from {before:.4f} to {after or 0.0:.4f}, more than {max_dice_drop}")
    if agreement < min_agreement:
        reasons.append(f"class agreement is {agreement:.3f}, below {min_agreement}")
    return GateResult(before, after, agreement, tuple(reasons))


def pass_or_refuse(name: str, result: GateResult, slices: int, repair: Repair | None = None) -> None:
    """Let a result without reasons pass.

    Args:
        name: The bundle, for the message.
        result: The gate's figures.
        slices: How many slices they are of.
        repair: The repair with which the child would pass, where there is one.

    Raises:
        GateRefused: The result has reasons; the message holds the figures and, with a repair, the mistake.
    """
    if result.reasons:
        mistake = f"; {repair.mistake} (so read, it answers as its parent does)" if repair else ""
        way_out = repair.advice if repair else "more calibration slices, --qat, or a longer fine-tuning may help"
        raise GateRefused(
            f"{name}: refused on {slices} validation slices: {'; '.join(result.reasons)}{mistake}",
            f"nothing was written; {way_out}",
        )


def admit(
    name: str,
    parent: Answers,
    session: Session,
    samples: Sequence[Sample],
    max_dice_drop: float,
    min_agreement: float,
) -> tuple[Answers, GateResult]:
    """Run a child on the gate's slices and refuse it where it has collapsed.

    Args:
        name: The bundle, for the message.
        parent: The parent's answers on the same slices.
        session: The child.
        samples: The slices.
        max_dice_drop: As in `judge`.
        min_agreement: As in `judge`.

    Returns:
        The child's answers and figures.

    Raises:
        GateRefused: It has collapsed, or its outputs are not numbers; the mistake is named where one can be found.
    """
    try:
        answers = answer(session, samples)
    except BadBundle as problem:
        raise GateRefused(f"{name}: refused: {problem.message}", problem.hint) from problem
    result = judge(parent, answers, max_dice_drop, min_agreement)
    repair = diagnose(parent, session, samples, max_dice_drop, min_agreement) if result.reasons else None
    pass_or_refuse(name, result, len(samples), repair)
    return answers, result


def diagnose(
    parent: Answers, session: Session, samples: Sequence[Sample], max_dice_drop: float, min_agreement: float
) -> Repair | None:
    """The first repair with which a refused child passes on a part of the slices; None where none helps."""
    indices = range(0, len(samples), -(-len(samples) // DIAGNOSED_SLICES))
    some, before = [samples[index] for index in indices], parent.at(indices)
    for repair in repairs(session.classes):
        try:
            answers = answer(repaired(session, repair), some)
        except BadBundle:
            # With this repair it gives no probabilities, so this is not the mistake.
            continue
        if not judge(before, answers, max_dice_drop, min_agreement).reasons:
            return repair
    return None


def _signs_of_collapse(parent: Answers, child: Answers) -> list[str]:
    reasons = []
    tumour = np.array([bool(score.true_area) for score in child.scores])
    if not child.areas.any() and parent.areas[tumour].any():
        reasons.append(f"all background: no lesion pixel on {int(tumour.sum())} tumour slices")
    if child.areas.size and child.areas.min() > SATURATED_SHARE:
        reasons.append(f"saturated mask: at least {child.areas.min():.0%} of every slice is marked")
    if child.spread < CONSTANT_SPREAD <= parent.spread:
        reasons.append("constant mask: the mean probability does not change from slice to slice")
    if np.ptp(child.probabilities, axis=0).max() < CONSTANT_SPREAD:
        reasons.append("constant class: the same probabilities for every slice")
    healthy = np.array([not score.is_tumour for score in child.scores])
    if healthy.any() and child.areas[healthy].all() and np.mean(parent.areas[healthy] > 0) <= HEALTHY_MARKED:
        before = int((parent.areas[healthy] > 0).sum())
        reasons.append(f"every healthy slice is marked: {healthy.sum()} of {healthy.sum()}, by its parent {before}")
    return reasons
