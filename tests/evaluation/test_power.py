from __future__ import annotations

import numpy as np
import pytest

from edgebrain.evaluation.bootstrap import student
from edgebrain.evaluation.paired_proportions import score_interval
from edgebrain.evaluation.power import groups_for_mean, groups_for_proportion


def test_without_a_flip_the_number_is_where_the_rule_of_three_meets_the_margin() -> None:
    enough = groups_for_proportion(np.zeros(50), 0.005, 0.95)
    assert enough == 765
    assert score_interval(np.zeros(enough))[1] < 0.005 <= score_interval(np.zeros(enough - 1))[1]


@pytest.mark.parametrize("drop", [0.001, 0.012])
def test_so_many_groups_settle_a_mean_in_four_of_five_benches(drop: float) -> None:
    rng = np.random.default_rng(0)
    few = rng.normal(0, 0.03, 60)
    few += drop - few.mean()
    low, high = student(few)
    enough = groups_for_mean(few, float(low), float(high), 0.005, 0.95)
    assert enough is not None and enough > 60
    benches = rng.normal(drop, few.std(ddof=1), (enough, 2000))
    low, high = student(benches)
    settled = np.mean((high < 0.005) | (low > 0.005))
    assert 0.75 <= settled <= 0.88


@pytest.mark.parametrize(("lost", "won"), [(2, 1), (9, 2)])
def test_so_many_groups_settle_flips_in_four_of_five_benches(lost: int, won: int) -> None:
    few = np.repeat([1.0, -1.0, 0.0], [lost, won, 300 - lost - won])
    enough = groups_for_proportion(few, 0.01, 0.95)
    assert enough is not None and enough > 300
    rng = np.random.default_rng(0)
    shares = [lost / 300, won / 300, 1 - (lost + won) / 300]
    benches = [rng.choice([1.0, -1.0, 0.0], p=shares, size=enough) for _ in range(300)]
    ends = [score_interval(bench) for bench in benches]
    settled = np.mean([high < 0.01 or low > 0.01 for low, high in ends])
    assert 0.7 <= settled <= 0.92


def test_a_drop_on_the_margin_is_settled_by_no_number() -> None:
    values = np.array([0.0, 0.01] * 20)
    assert groups_for_mean(values, 0.003, 0.007, 0.005, 0.95) is None
    assert groups_for_mean(values, 0.003, float("inf"), 0.006, 0.95) is None
    assert groups_for_proportion(np.repeat([1.0, 0.0], [1, 99]), 0.01, 0.95) is None
