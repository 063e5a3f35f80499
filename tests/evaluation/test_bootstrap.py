from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from edgebrain.errors import BadData
from edgebrain.evaluation.bootstrap import draw_counts, mean_interval, student, studentized

SKEWED = np.random.default_rng(3).exponential(size=120)


def test_the_ends_are_those_of_scipys_bootstrap_of_the_t_statistic() -> None:
    mean, error = SKEWED.mean(), SKEWED.std(ddof=1) / np.sqrt(len(SKEWED))

    def statistic(sample: np.ndarray, axis: int) -> np.ndarray:
        spread = sample.std(axis=axis, ddof=1) / np.sqrt(sample.shape[axis])
        return (sample.mean(axis=axis) - mean) / spread

    drawn = stats.bootstrap((SKEWED,), statistic, n_resamples=20_000, rng=np.random.default_rng(1), method="percentile")
    below, above = np.quantile(drawn.bootstrap_distribution, [0.025, 0.975])
    low, high = studentized(SKEWED, resamples=20_000)
    assert low == pytest.approx(mean - above * error, abs=0.06 * error)
    assert high == pytest.approx(mean - below * error, abs=0.06 * error)


def test_with_many_groups_it_is_where_scipys_bca_is() -> None:
    values = np.random.default_rng(0).exponential(size=2000)
    found = stats.bootstrap((values,), np.mean, n_resamples=9_999, rng=np.random.default_rng(0), method="BCa")
    width = float(values.std() / np.sqrt(len(values)))
    for ours, theirs in zip(studentized(values), found.confidence_interval, strict=True):
        assert ours == pytest.approx(theirs, abs=0.12 * width)


def test_students_interval_is_scipys() -> None:
    low, high = student(SKEWED, 0.9)
    expected = stats.ttest_1samp(SKEWED, 0.0).confidence_interval(0.9)
    assert (low, high) == pytest.approx((expected.low, expected.high))


def test_the_interval_reaches_as_far_as_the_farther_of_both_at_each_end() -> None:
    low, high = mean_interval(SKEWED)
    ends = [studentized(SKEWED), student(SKEWED)]
    assert low == min(one[0] for one in ends) and high == max(one[1] for one in ends)
    # The tail is on the right, so the bootstrap reaches farther there, and t does on the left.
    assert high == ends[0][1] and low == ends[1][0]


def test_the_same_seed_gives_the_same_interval_and_another_seed_another() -> None:
    assert studentized(SKEWED, seed=4) == studentized(SKEWED, seed=4)
    assert studentized(SKEWED, seed=4) != studentized(SKEWED, seed=5)


def test_columns_are_treated_apart_and_alike() -> None:
    table = np.stack([SKEWED, -3 * SKEWED, SKEWED + 7], axis=1)
    low, high = studentized(table)
    assert (low[0], high[0]) == pytest.approx(tuple(float(end) for end in studentized(SKEWED)))
    assert (low[1], high[1]) == pytest.approx((-3 * high[0], -3 * low[0]))
    assert (low[2], high[2]) == pytest.approx((low[0] + 7, high[0] + 7))


def test_every_resample_draws_as_many_groups_as_there_are() -> None:
    drawn = np.concatenate(list(draw_counts(7, 5000, 0)))
    assert drawn.shape == (5000, 7) and (drawn.sum(axis=1) == 7).all()
    assert drawn.mean(axis=0) == pytest.approx(np.ones(7), abs=0.05)
    assert drawn.var() == pytest.approx(6 / 7, abs=0.05)


def test_what_never_changes_has_an_interval_of_no_width() -> None:
    assert mean_interval(np.full(20, 0.25)) == (0.25, 0.25)
    assert mean_interval(np.zeros(20)) == (0.0, 0.0)
    # A mean that rounding moves.
    assert mean_interval(np.full(30, 0.9 - 0.7)) == pytest.approx((0.2, 0.2))


def test_one_difference_among_zeros_leaves_the_upper_end_open() -> None:
    values = np.zeros(30)
    values[3] = 0.5
    low, high = studentized(values)
    # A third of the resamples miss it altogether: they say nothing of how large the mean could be.
    assert np.isinf(high) and np.isfinite(low)


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=30), st.floats(0.5, 0.99))
def test_the_mean_lies_between_the_ends_and_more_confidence_is_wider(values: list[float], confidence: float) -> None:
    seen = np.array(values)
    low, high = mean_interval(seen, confidence, 1000)
    wide_low, wide_high = mean_interval(seen, (1 + confidence) / 2, 1000)
    assert wide_low <= low <= seen.mean() + 1e-12 and seen.mean() - 1e-12 <= high <= wide_high


@pytest.mark.parametrize("values", [np.zeros(1), np.zeros((2, 2, 2)), np.array([0.0, np.nan]), np.array([np.inf, 0])])
def test_what_has_no_interval_is_refused(values: np.ndarray) -> None:
    for make in (studentized, student):
        with pytest.raises(BadData):
            make(values)
