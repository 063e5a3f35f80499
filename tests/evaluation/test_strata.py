from __future__ import annotations

import numpy as np
import pytest

from edgebrain.errors import BadData
from edgebrain.evaluation.strata import PairedScore, pair_up, size_of, strata, worst_groups
from tests.evaluation.factories import healthy, made, tumours


def pairs(before: np.ndarray, after: np.ndarray, group_size: int = 1) -> list[PairedScore]:
    return pair_up(tumours(before, group_size), tumours(after, group_size))


def test_scores_of_other_slices_are_no_pairs() -> None:
    scores = tumours(np.ones(3))
    for other in (scores[:2], scores[::-1]):
        with pytest.raises(BadData, match="different slices"):
            pair_up(scores, other)


@pytest.mark.parametrize(
    ("area", "size"),
    [
        (0, None),
        (1, "under 1 %"),
        (99, "under 1 %"),
        (100, "1 to 3 %"),
        (299, "1 to 3 %"),
        (300, "over 3 %"),
        (10_000, "over 3 %"),
    ],
)
def test_sizes_are_shares_of_the_slice(area: int, size: str | None) -> None:
    assert size_of(made("a", "g", area=area)) == size


def test_every_drawn_tumour_is_in_one_class_one_plane_and_one_size_and_healthy_slices_in_none() -> None:
    found = pair_up(*[tumours(np.full(54, 0.8)) + healthy(5)] * 2)
    parts = strata(found)
    assert list(parts) == [
        *(f"class {name}" for name in ("glioma", "meningioma", "pituitary")),
        *(f"plane {name}" for name in ("axial", "coronal", "sagittal")),
        *(f"size {name}" for name in ("under 1 %", "1 to 3 %", "over 3 %")),
    ]
    for by in ("class", "plane", "size"):
        names = [pair.before.name for name, members in parts.items() if name.startswith(by) for pair in members]
        assert sorted(names) == sorted(pair.before.name for pair in found if pair.before.is_tumour)


def test_a_stratum_without_slices_is_left_out() -> None:
    parts = strata(pair_up(*[[made("a", "g"), made("b", "h")]] * 2))
    assert list(parts) == ["class glioma", "plane axial", "size over 3 %"]


def test_the_worst_are_whole_groups_by_the_mean_of_both_models() -> None:
    before, after = np.full(80, 0.9), np.full(80, 0.9)
    # Group 3 is poor in one slice of two and one model, group 7 in all; group 9 in all of the other model.
    before[6], before[14:16], after[14:16], after[18:20] = 0.1, 0.2, 0.2, 0.1
    worst = worst_groups(pairs(before, after, group_size=2))
    assert {pair.before.group for pair in worst} == {"g00007", "g00009"} and len(worst) == 4


def test_choosing_the_worst_of_two_equal_models_favours_neither() -> None:
    rng = np.random.default_rng(0)
    differences = []
    for _ in range(200):
        level = rng.uniform(0.3, 0.9, 200)
        before, after = (np.clip(level + rng.normal(0, 0.1, 200), 0, 1) for _ in range(2))
        worst = worst_groups(pairs(before, after))
        differences.append(np.mean([pair.before.dice - pair.after.dice for pair in worst]))
    assert abs(np.mean(differences)) < 3 * np.std(differences) / np.sqrt(200)


def test_without_a_tumour_there_is_no_worst() -> None:
    assert worst_groups(pair_up(healthy(3), healthy(3))) == []
