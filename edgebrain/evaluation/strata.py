"""Parts of the slices in which a loss could hide behind the mean: class, plane, lesion size, and the worst."""

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
class Pair:
    """One slice as the float root and as the bundle scored it."""

    before: ImageScore
    after: ImageScore


def pair_up(before: Sequence[ImageScore], after: Sequence[ImageScore]) -> list[Pair]:
    """The same slices of both, in order. Raises BadData: they are not the same slices."""
    if [score.name for score in before] != [score.name for score in after]:
        raise BadData("the bundle and its float root were scored on different slices", "score both in one bench")
    return [Pair(one, other) for one, other in zip(before, after, strict=True)]


def size_of(score: ImageScore) -> str | None:
    """Which of SIZES a lesion has; None where none was drawn."""
    if not score.true_area:
        return None
    share = score.true_area / score.pixels
    return next(name for limit, name in SIZES if share < limit or limit == 1.0)


def strata(pairs: Sequence[Pair]) -> dict[str, list[Pair]]:
    """The drawn tumours by class, plane and lesion size, in a fixed order; strata without a slice are left out."""
    drawn = [pair for pair in pairs if pair.before.is_drawn_tumour]
    found: dict[str, list[Pair]] = {}
    for by, key in (("class", "label"), ("plane", "plane")):
        for value in sorted({str(getattr(pair.before, key)) for pair in drawn}):
            found[f"{by} {value}"] = [pair for pair in drawn if getattr(pair.before, key) == value]
    for _, name in SIZES:
        found[f"size {name}"] = [pair for pair in drawn if size_of(pair.before) == name]
    return {name: members for name, members in found.items() if members}


def worst_groups(pairs: Sequence[Pair], share: float = WORST_SHARE) -> list[Pair]:
    """The drawn tumours of the groups with the lowest Dice, at least one group.

    Lowest by the mean of both models: chosen by one alone, its bad luck would be among the choice and the other would
    look better (or worse) for no reason.
    """
    drawn = [pair for pair in pairs if pair.before.is_drawn_tumour]
    names, place = np.unique([pair.before.group for pair in drawn], return_inverse=True)
    if not len(names):
        return []
    both = np.array([(pair.before.dice + pair.after.dice) / 2.0 for pair in drawn])
    means = np.bincount(place, weights=both) / np.bincount(place)
    count = max(1, round(share * len(names)))
    chosen = set(names[np.argsort(means, kind="stable")[:count]].tolist())
    return [pair for pair in drawn if pair.before.group in chosen]
