from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from edgebrain.evaluation.scores import ImageScore, group_means
from edgebrain.evaluation.verdict import (
    FAIL,
    FEWEST_GROUPS,
    INCONCLUSIVE,
    PASS,
    Comparison,
    Margins,
    Sampling,
    Verdict,
    judge_bundle,
    outcome_of,
    worst_of,
)
from tests.evaluation.factories import healthy, tumours

QUICK = Sampling(resamples=1000)
GROUPS = 1350


def judged(
    loss: np.ndarray | float = 0.0, before: list[ImageScore] | None = None, after: list[ImageScore] | None = None
) -> Verdict:
    """The verdict on many tumours and healthy slices, a group each, with losses of Dice."""
    dice = np.random.default_rng(0).uniform(0.5, 0.9, GROUPS)
    first = tumours(dice) + healthy(GROUPS) if before is None else before
    second = tumours(dice - loss) + healthy(GROUPS) if after is None else after
    return judge_bundle(first, second, Margins(), QUICK)


def answer(verdict: Verdict, measure: str, stratum: str = "") -> Comparison:
    (found,) = [one for one in verdict.comparisons if (one.measure, one.stratum) == (measure, stratum)]
    return found


def test_a_bundle_that_changes_nothing_passes_every_question() -> None:
    verdict = judged()
    assert verdict.outcome == PASS
    assert {one.outcome for one in verdict.comparisons} == {PASS, None}


def test_a_loss_beyond_the_margin_fails_and_is_measured() -> None:
    verdict = judged(np.random.default_rng(1).normal(0.03, 0.02, GROUPS))
    found = answer(verdict, "dice")
    assert verdict.outcome == found.outcome == FAIL
    assert found.low is not None and found.high is not None
    assert 0.005 < found.low < found.drop < found.high and found.drop == pytest.approx(0.03, abs=0.003)
    assert (found.slices, found.groups, found.margin, found.groups_enough) == (GROUPS, GROUPS, 0.005, None)


def test_a_loss_that_the_data_cannot_tell_from_the_margin_is_inconclusive_and_says_how_many_groups_could() -> None:
    verdict = judged(np.random.default_rng(1).normal(0.004, 0.06, GROUPS))
    found = answer(verdict, "dice")
    assert found.outcome == INCONCLUSIVE and verdict.outcome != PASS
    assert found.groups_enough is not None and found.groups_enough > GROUPS


@pytest.mark.parametrize("harmed", ["class pituitary", "plane coronal", "size under 1 %"])
def test_a_loss_that_the_mean_hides_is_found_in_its_stratum(harmed: str) -> None:
    dice = np.random.default_rng(0).uniform(0.5, 0.9, GROUPS)
    before = tumours(dice) + healthy(GROUPS)
    chosen = {
        "class pituitary": lambda one: one.label == "pituitary",
        "plane coronal": lambda one: one.plane == "coronal",
        "size under 1 %": lambda one: one.true_area == 50,
    }[harmed]
    after = [
        replace(one, dice=one.dice - 0.05) if chosen(one) else replace(one, dice=one.dice + 0.025) for one in before
    ]
    verdict = judged(before=before, after=after)
    assert answer(verdict, "dice").outcome == PASS
    assert answer(verdict, "dice", harmed).outcome == FAIL == verdict.outcome
    assert answer(verdict, "dice", harmed).drop == pytest.approx(0.05)


def test_the_worst_five_percent_are_a_stratum_of_their_own() -> None:
    dice = np.linspace(0.2, 0.9, GROUPS)
    loss = np.where(np.arange(GROUPS) < 60, 0.08, -0.005)
    verdict = judged(before=tumours(dice), after=tumours(dice - loss))
    assert answer(verdict, "dice").outcome == PASS
    assert answer(verdict, "dice", "worst 5 %").outcome == FAIL
    assert answer(verdict, "dice", "worst 5 %").groups == 68


def test_tumours_that_are_lost_fail_even_where_the_mean_gains() -> None:
    dice = np.full(GROUPS, 0.8)
    after = np.where(np.arange(GROUPS) % 40 == 0, 0.0, 0.85)
    verdict = judged(before=tumours(dice), after=tumours(after))
    assert answer(verdict, "dice").outcome == PASS
    assert answer(verdict, "missed_tumours").outcome == FAIL == verdict.outcome
    assert answer(verdict, "missed_tumours").drop == pytest.approx(1 / 40, abs=0.002)


def test_a_model_that_marks_every_healthy_slice_fails_though_no_tumour_is_the_worse() -> None:
    dice = np.full(GROUPS, 0.8)
    verdict = judged(before=tumours(dice) + healthy(50), after=tumours(dice) + healthy(50, marked=50))
    assert answer(verdict, "healthy_marked", "healthy").outcome == FAIL == verdict.outcome
    assert answer(verdict, "healthy_area").drop == pytest.approx(0.003)
    assert answer(verdict, "healthy_area").outcome is None


def test_classes_that_flip_are_counted_both_ways_and_within_their_class() -> None:
    before = tumours(np.full(GROUPS, 0.8)) + healthy(GROUPS)
    # Gliomas are called pituitary, as many healthy slices that were wrong before are right now.
    after = [replace(one, predicted="pituitary") if one.label == "glioma" else one for one in before]
    before = [
        replace(one, predicted="glioma") if one.label == "no_tumor" and place % 3 == 0 else one
        for place, one in enumerate(before)
    ]
    verdict = judged(before=before, after=after)
    assert answer(verdict, "accuracy").drop == pytest.approx(0.0)
    assert answer(verdict, "accuracy", "class glioma").outcome == FAIL
    assert answer(verdict, "accuracy", "class no_tumor").drop == pytest.approx(-1 / 3)


def test_no_flip_among_few_groups_proves_nothing() -> None:
    verdict = judged(before=tumours(np.full(300, 0.8)), after=tumours(np.full(300, 0.8)))
    found = answer(verdict, "accuracy")
    assert (found.drop, found.outcome, found.groups_enough) == (0.0, INCONCLUSIVE, 765)
    assert verdict.outcome == INCONCLUSIVE


def test_the_intervals_of_the_strata_are_widened_by_their_number_and_the_others_are_not() -> None:
    verdict = judged(np.random.default_rng(1).normal(0.0, 0.02, GROUPS))
    parts = [one for one in verdict.comparisons if one.stratum]
    # 3 classes, 3 planes, 3 sizes and the worst for Dice; 4 classes for accuracy; healthy slices marked.
    assert len(parts) == 15
    assert {one.confidence for one in parts} == {1 - 0.05 / 15}
    assert {one.confidence for one in verdict.comparisons if not one.stratum} == {0.95}


def test_a_group_counts_once_however_many_slices_it_has() -> None:
    sizes = [40] + [1] * 20
    names = [f"g{place}" for place, size in enumerate(sizes) for _ in range(size)]
    base = tumours(np.full(60, 0.8))
    before = [replace(one, group=group) for one, group in zip(base, names, strict=True)]
    after = [replace(one, dice=0.3) if one.group == "g0" else one for one in before]
    found = answer(judged(before=before, after=after), "dice")
    assert found.groups == 21 and found.drop == pytest.approx(0.5 / 21)
    assert found.drop == pytest.approx(group_means(before)["dice"] - group_means(after)["dice"])


def test_copies_in_one_group_do_not_make_an_interval_narrower() -> None:
    loss = np.random.default_rng(2).normal(0.0, 0.02, 40)
    dice = np.full(40, 0.8)
    once = judged(before=tumours(dice), after=tumours(dice - loss))
    repeated = judged(
        before=tumours(np.repeat(dice, 5), group_size=5), after=tumours(np.repeat(dice - loss, 5), group_size=5)
    )
    assert answer(once, "dice").low == pytest.approx(answer(repeated, "dice").low)
    assert answer(repeated, "dice").slices == 200


def test_one_flip_in_a_large_group_does_not_vouch_for_the_small_ones() -> None:
    base = tumours(np.full(230, 0.8))
    names = ["large"] * 30 + [f"g{place}" for place in range(200)]
    before = [replace(one, group=group) for one, group in zip(base, names, strict=True)]
    after = [replace(before[0], predicted="meningioma"), *before[1:]]
    found = answer(judged(before=before, after=after), "accuracy")
    assert found.drop == pytest.approx(1 / 30 / 201)
    # Nearly the rule of three for 201 groups, and far from 1 / 30 of it.
    assert found.high is not None and 0.015 < found.high < 0.03 and found.outcome == INCONCLUSIVE


@pytest.mark.parametrize("groups", [1, FEWEST_GROUPS - 1])
def test_with_a_handful_of_groups_there_is_no_interval(groups: int) -> None:
    found = answer(judged(before=tumours(np.full(groups, 0.9)), after=tumours(np.full(groups, 0.1))), "dice")
    assert found.low is found.high is None
    assert (found.outcome, found.groups_enough) == (INCONCLUSIVE, FEWEST_GROUPS)


def test_data_of_one_class_only_or_without_a_mask_are_asked_what_they_can_answer() -> None:
    only_healthy = judged(before=healthy(50), after=healthy(50))
    assert {one.measure for one in only_healthy.comparisons} == {"accuracy", "healthy_marked", "healthy_area"}
    undrawn = [
        replace(one, true_area=None, dice=float("nan"), sensitivity=float("nan")) for one in tumours(np.ones(30))
    ]
    assert {one.measure for one in judged(before=undrawn, after=undrawn).comparisons} == {"accuracy", "missed_tumours"}


def test_nothing_at_all_to_judge_is_no_pass() -> None:
    assert judged(before=[], after=[]).outcome == INCONCLUSIVE
    assert worst_of([]) == worst_of([None]) == INCONCLUSIVE


@pytest.mark.parametrize(
    ("outcomes", "worst"),
    [((PASS, None, PASS), PASS), ((PASS, INCONCLUSIVE), INCONCLUSIVE), ((INCONCLUSIVE, FAIL, PASS), FAIL)],
)
def test_the_verdict_is_the_worst_answer(outcomes: tuple[str | None, ...], worst: str) -> None:
    assert worst_of(outcomes) == worst


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [
        (-0.01, 0.005, PASS),
        (-0.01, 0.0051, INCONCLUSIVE),
        (0.005, 0.02, INCONCLUSIVE),
        (0.0051, 0.02, FAIL),
        (None, None, INCONCLUSIVE),
        (0.006, None, FAIL),
        (None, 0.004, PASS),
    ],
)
def test_pass_is_inside_the_margin_and_fail_is_outside(low: float | None, high: float | None, outcome: str) -> None:
    assert outcome_of(low, high, 0.005) == outcome


def test_a_verdict_is_json() -> None:
    assert json.loads(json.dumps(judged(0.001).as_json(), allow_nan=False))["outcome"] == PASS


def test_outlines_are_told_where_they_are_known_and_left_out_where_not() -> None:
    verdict = judged(0.01)
    assert answer(verdict, "hd95_px").drop == pytest.approx(0.1)
    assert answer(verdict, "surface_dice").margin is None
    unknown = [replace(one, hd95_px=float("nan"), surface_dice=float("nan")) for one in tumours(np.ones(30))]
    measures = {one.measure for one in judged(before=unknown, after=unknown).comparisons}
    assert not {"hd95_px", "surface_dice"} & measures
