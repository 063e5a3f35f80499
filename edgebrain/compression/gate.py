"""The gate: a compressed model must not have collapsed against its parent. Both run through the one session.

It catches wrecks before they are written; whether a small drop is acceptable is the bench's question.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from edgebrain.compression.diagnosis import Repair, repaired, repairs
from edgebrain.data.sample import Sample
from edgebrain.errors import BadBundle, GateRefused
from edgebrain.evaluation.score import score_answer
from edgebrain.evaluation.scores import ImageScore, summarise
from edgebrain.runtime.session import Session

CONSTANT_SPREAD = 1.0 / 255.0
SATURATED_SHARE = 0.9
# Where the parent marks more of the healthy slices than this, a child that marks all need not have collapsed.
HEALTHY_MARKED = 0.5
# A refused child is asked again on so many slices, once a repair.
DIAGNOSED = 32


@dataclass(frozen=True)
class Answers:
    """What a model said of the gate's slices. probabilities:
    (N, classes). areas: (N,) marked share of each slice. spread: range of the slices' mean mask probability."""

    scores: tuple[ImageScore, ...]
    probabilities: np.ndarray
    areas: np.ndarray
    spread: float

    def at(self, places: Sequence[int]) -> Answers:
        """The answers at some places; their spread is that of all."""
        chosen = list(places)
        scores = tuple(self.scores[place] for place in chosen)
        return Answers(scores, self.probabilities[chosen], self.areas[chosen], self.spread)


@dataclass(frozen=True)
class Verdict:
    """The gate's figures; `reasons` is empty when the child passes."""

    parent_dice: float | None
    dice: float | None
    agreement: float
    reasons: tuple[str, ...]


def answer(
    session: Session, samples: Sequence[Sample], progress: Callable[[int, int], None] = lambda done, total: None
) -> Answers:
    """Run a session over the gate's slices. Raises BadBundle: an output holds NaN."""
    scores, probabilities, areas, means = [], [], [], []
    for done, sample in enumerate(samples, start=1):
        said = session.predict(sample.image)
        scores.append(score_answer(sample, said, said.classes))
        probabilities.append(said.class_probabilities)
        areas.append(said.mask.mean())
        means.append(said.probability.mean() / 255.0)
        progress(done, len(samples))
    return Answers(tuple(scores), np.array(probabilities), np.array(areas), float(np.ptp(means)))


def judge(parent: Answers, child: Answers, max_dice_drop: float, min_agreement: float) -> Verdict:
    """Compare a child's answers with its parent's on the same slices."""
    before, after = summarise(parent.scores)["dice"], summarise(child.scores)["dice"]
    agreement = float((parent.probabilities.argmax(axis=1) == child.probabilities.argmax(axis=1)).mean())
    reasons = [*_collapsed(parent, child)]
    if before is not None and (after is None or before - after > max_dice_drop):
        reasons.append(f"Dice fell from {before:.4f} to {after or 0.0:.4f}, more than {max_dice_drop}")
    if agreement < min_agreement:
        reasons.append(f"class agreement is {agreement:.3f}, below {min_agreement}")
    return Verdict(before, after, agreement, tuple(reasons))


def pass_or_refuse(name: str, verdict: Verdict, slices: int, found: Repair | None = None) -> None:
    """Raises GateRefused with the figures when the verdict has reasons. found: what a diagnosis says of them."""
    if verdict.reasons:
        mistake = f"; {found.mistake} (so read, it answers as its parent does)" if found else ""
        way_out = found.advice if found else "more calibration slices, --qat, or a longer fine-tuning may help"
        raise GateRefused(
            f"{name}: refused on {slices} validation slices: {'; '.join(verdict.reasons)}{mistake}",
            f"nothing was written; {way_out}",
        )


def admit(
    name: str,
    parent: Answers,
    session: Session,
    samples: Sequence[Sample],
    max_dice_drop: float,
    min_agreement: float,
) -> tuple[Answers, Verdict]:
    """A child's answers and figures.

    Raises GateRefused: it has collapsed, or answers no numbers; the mistake is named where it can be told.
    """
    try:
        says = answer(session, samples)
    except BadBundle as problem:
        raise GateRefused(f"{name}: refused: {problem.message}", problem.hint) from problem
    verdict = judge(parent, says, max_dice_drop, min_agreement)
    found = diagnose(parent, session, samples, max_dice_drop, min_agreement) if verdict.reasons else None
    pass_or_refuse(name, verdict, len(samples), found)
    return says, verdict


def diagnose(
    parent: Answers, session: Session, samples: Sequence[Sample], max_dice_drop: float, min_agreement: float
) -> Repair | None:
    """The first repair with which a refused child passes, on a part of the slices; None where none helps."""
    places = range(0, len(samples), -(-len(samples) // DIAGNOSED))
    some, before = [samples[place] for place in places], parent.at(places)
    for repair in repairs(session.classes):
        try:
            says = answer(repaired(session, repair), some)
        except BadBundle:
            # So asked, it answers no probabilities: that is no repair.
            continue
        if not judge(before, says, max_dice_drop, min_agreement).reasons:
            return repair
    return None


def _collapsed(parent: Answers, child: Answers) -> list[str]:
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
