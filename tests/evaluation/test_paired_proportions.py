from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from edgebrain.errors import BadData
from edgebrain.evaluation.paired_proportions import count_discordant, score_interval, score_statistic


def flips(lost: int, won: int, groups: int) -> np.ndarray:
    return np.array([1.0] * lost + [-1.0] * won + [0.0] * (groups - lost - won))


@pytest.mark.parametrize(("lost", "won", "groups"), [(12, 2, 50), (1, 0, 400), (0, 3, 90), (5, 5, 60)])
def test_the_ends_are_where_the_statistic_is_just_surprising(lost: int, won: int, groups: int) -> None:
    low, high = score_interval(flips(lost, won, groups))
    z = stats.norm.ppf(0.975)
    assert score_statistic(lost, won, groups, high) == pytest.approx(-z, rel=1e-6)
    assert score_statistic(lost, won, groups, low) == pytest.approx(z, rel=1e-6)


@pytest.mark.parametrize("groups", [10, 391, 1000])
def test_without_a_flip_the_ends_are_the_rule_of_three(groups: int) -> None:
    z2 = stats.norm.ppf(0.975) ** 2
    assert score_interval(np.zeros(groups)) == pytest.approx((-z2 / (groups + z2), z2 / (groups + z2)))
    # Beside the exact bound of no event among n (Clopper and Pearson 1934).
    exact = stats.binomtest(0, groups).proportion_ci().high
    assert score_interval(np.zeros(groups))[1] == pytest.approx(exact, rel=0.12)


@pytest.mark.parametrize(
    ("lost", "won", "groups", "difference"), [(12, 2, 50, 0.1), (3, 0, 80, 0.01), (4, 9, 60, 0.02), (0, 5, 40, -0.05)]
)
def test_the_statistic_is_that_of_the_likeliest_shares_with_the_difference(
    lost: int, won: int, groups: int, difference: float
) -> None:
    def surprise(share_won: float) -> float:
        share_lost, rest = share_won + difference, 1 - 2 * share_won - difference
        return -(
            lost * np.log(max(share_lost, 1e-300))
            + won * np.log(max(share_won, 1e-300))
            + (groups - lost - won) * np.log(max(rest, 1e-300))
        )

    bounds = (max(0.0, -difference), (1 - difference) / 2)
    share = optimize.minimize_scalar(surprise, bounds=bounds, method="bounded", options={"xatol": 1e-12}).x
    variance = groups * (2 * share + difference - difference**2)
    expected = (lost - won - groups * difference) / np.sqrt(variance)
    assert score_statistic(lost, won, groups, difference) == pytest.approx(expected, rel=1e-4)


@given(st.integers(0, 8), st.integers(0, 8), st.integers(20, 400))
def test_what_is_won_is_the_mirror_of_what_is_lost(lost: int, won: int, groups: int) -> None:
    low, high = score_interval(flips(lost, won, groups))
    assert score_interval(flips(won, lost, groups)) == pytest.approx((-high, -low))
    assert -1 <= low <= (lost - won) / groups <= high <= 1
    assert low < high


def test_groups_that_flip_by_parts_vary_less_than_whole_flips() -> None:
    whole = flips(10, 6, 200)
    halves = np.repeat([0.5, -0.5, 0.0], [20, 12, 168])
    assert whole.mean() == halves.mean()
    ends = (score_interval(whole), score_interval(halves, np.full(200, 2)))
    widths = [high - low for low, high in ends]
    assert widths[1] == pytest.approx(widths[0] / np.sqrt(2), rel=0.08)
    seen = count_discordant(halves, np.full(200, 2))
    assert (seen.size, seen.lost, seen.won) == (0.5, 20, 12)


def test_one_flip_in_a_large_group_is_not_taken_for_the_size_of_all_flips() -> None:
    values, sizes = np.zeros(201), np.ones(201, dtype=int)
    values[0], sizes[0] = 1 / 30, 30
    assert count_discordant(values, sizes).size == pytest.approx(200 / 201, rel=1e-3)
    assert score_interval(values, sizes)[1] > score_interval(np.zeros(201))[1]


@pytest.mark.parametrize("values", [np.array([]), np.array([1.5]), np.zeros((2, 2)), np.array([np.nan])])
def test_what_are_no_shares_is_refused(values: np.ndarray) -> None:
    with pytest.raises(BadData):
        score_interval(values)
