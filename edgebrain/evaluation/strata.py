"""Parts of the slices in which a loss could hide behind the mean: class, plane, lesion size, and the worst groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgebrain.errors import BadData
from edgebrain.evaluation.scores import ImageScore

# Upper ends of the sizes, as shares of the slice's area.
SIZES = ((0.01, "under 1 %"), (0.03, "1 to 3 %"), (1.0, "over 3 %"))
WORST_SHARE = 0.05


@dataclass(frozen=True)
class PairedScore:
    """One slice as two models scored it.

    Attributes:
        before: By the float model that the bundle comes from.
        after: By the bundle.
    """

    before: ImageScore
    after: ImageScore


def pair_up(before: Sequence[ImageScore], after: Sequence[ImageScore]) -> list[PairedScore]:
    """Join the scores of two models on the same slices.

    Args:
        before: Scores of the float model.
        after: Scores of the bundle, of the same slices in the same order.

    Raises:
        BadData: They are not the same slices.
    """
    if [score.name for score in before] != [score.name for score in after]:
        raise BadData("the bundle and its float root were scored on different slices", "score both in one bench")
    return [PairedScore(one, other) for one, other in zip(before, after, strict=True)]


def size_of(score: ImageScore) -> str | None:
    """The name in SIZES of a lesion's size; None where no lesion is drawn."""
    if not score.true_area:
        return None
    share = score.true_area / score.pixels
    return next(name for limit, name in SIZES if share < limit or limit == 1.0)


def strata(pairs: Sequence[PairedScore]) -> dict[str, list[PairedScore]]:
    """Divide the tumour slices with a mask by class, by plane and by lesion size.

    Returns:
        Name of the stratum, such as `plane axial`, -> its slices; in a fixed order, without empty strata.
    """
    drawn = [pair for pair in pairs if pair.before.is_drawn_tumour]
    found: dict[str, list[PairedScore]] = {}
    for by, key in (("class", "label"), ("plane", "plane")):
        for value in sorted({str(getattr(pair.before, key)) for pair in drawn}):
            found[f"{by} {value}"] = [pair for pair in drawn if getattr(pair.before, key) == value]
    for _, name in SIZES:
        found[f"size {name}"] = [pair for pair in drawn if size_of(pair.before) == name]
    return {name: members for name, members in found.items() if members}


def worst_groups(pairs: Sequence[PairedScore], share: float = WORST_SHARE) -> list[PairedScore]:
    """The tumour slices with a mask in the groups with the lowest Dice.

    Groups are ranked by the mean of both models. Ranked by one model alone, its bad luck would be part of the choice,
    and the other model would look better (or worse) for no reason.

    Args:
        pairs: All slices.
        share: Of the groups, in (0, 1); at least one group is taken.
    """
    drawn = [pair for pair in pairs if pair.before.is_drawn_tumour]
    names, group_index = np.unique([pair.before.group for pair in drawn], return_inverse=True)
    if not len(names):
        return []
    both = np.array([(pair.before.dice + pair.after.dice) / 2.0 for pair in drawn])
    means = np.bincount(group_index, weights=both) / np.bincount(group_index)
    count = max(1, round(share * len(names)))
    chosen = set(names[np.argsort(means, kind="stable")[:count]].tolist())
    return [pair for pair in drawn if pair.before.group in chosen]
