from __future__ import annotations

import json
import math
import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score

from edgebrain.bundle import CLASSES
from edgebrain.errors import BadData
from edgebrain.evaluation.scores import ImageScore, by, confusion, score_image, summarise

EMPTY = np.zeros((8, 8), dtype=bool)
LESION = EMPTY.copy()
LESION[2:4, 2:6] = True


def score(
    label: str = "glioma", predicted: str = "glioma", mask: np.ndarray = LESION, plane: str = "axial"
) -> ImageScore:
    """A score; the true mask is the usual lesion for tumours and empty for healthy slices."""
    truth = EMPTY if label == "no_tumor" else LESION
    probabilities = [0.7 if name == predicted else 0.1 for name in CLASSES]
    return score_image("a.png", "g", label, plane, CLASSES, mask, truth, probabilities)


pairs = st.lists(st.tuples(st.sampled_from(CLASSES), st.sampled_from(CLASSES)), min_size=1, max_size=40)


@given(pairs)
def test_class_figures_agree_with_scikit_learn(found: list[tuple[str, str]]) -> None:
    truth, predicted = zip(*found, strict=True)
    summary = summarise([score(label, answer) for label, answer in found])
    assert summary["accuracy"] == pytest.approx(accuracy_score(truth, predicted))
    assert summary["confusion"] == confusion_matrix(truth, predicted, labels=CLASSES).tolist()
    assert summary["macro_f1"] == pytest.approx(f1_score(truth, predicted, average="macro"))
    for name, value in summary["f1"].items():
        if value is None:
            assert name not in truth + predicted
        else:
            assert value == pytest.approx(f1_score(truth, predicted, labels=[name], average="macro"))


def test_healthy_slices_never_enter_the_overlap_however_they_are_marked() -> None:
    tumour = score(mask=LESION & (np.arange(8) < 4))
    for mask in (EMPTY, LESION, ~EMPTY):
        summary = summarise([tumour, *[score("no_tumor", "no_tumor", mask)] * 5])
        assert summary["dice"] == tumour.dice == pytest.approx(2 / 3)
        assert summary["specificity"] == tumour.specificity and summary["pixel_accuracy"] == tumour.pixel_accuracy
        assert summary["healthy_marked"] == float(mask.any())
        assert summary["missed_tumours"] == 0.0


def test_marked_healthy_and_missed_tumours_are_shares_of_their_own_kind() -> None:
    healthy = [score("no_tumor", "no_tumor", mask) for mask in (EMPTY, EMPTY, EMPTY, LESION)]
    summary = summarise([*healthy, score(mask=EMPTY), score(mask=LESION)])
    assert summary["healthy_marked"] == 0.25 and summary["missed_tumours"] == 0.5
    assert summary["counts"] == {"slices": 6, "tumours": 2, "tumours_with_mask": 2, "healthy": 4}
    assert summary["dice"] == 0.5


def test_a_tumour_without_a_drawn_mask_counts_for_class_but_not_for_overlap() -> None:
    undrawn = score_image("b", "g", "glioma", "axial", CLASSES, LESION, None, [0.1, 0.7, 0.1, 0.1])
    assert undrawn.true_area is None and math.isnan(undrawn.dice) and math.isnan(undrawn.pixel_accuracy)
    summary = summarise([score(), undrawn])
    assert summary["dice"] == 1.0 and summary["accuracy"] == 0.5 and summary["counts"]["tumours_with_mask"] == 1


def test_an_empty_true_mask_never_enters_the_overlap() -> None:
    empty = score_image("b", "g", "glioma", "axial", CLASSES, LESION, EMPTY, [0.7, 0.1, 0.1, 0.1])
    strange = score_image("c", "g", "no_tumor", "axial", CLASSES, EMPTY, LESION, [0.1, 0.1, 0.1, 0.7])
    for more in (empty, strange):
        summary = summarise([score(), more])
        assert summary["dice"] == summary["sensitivity"] == 1.0 and summary["counts"]["tumours_with_mask"] == 1


def test_nothing_to_judge_gives_none_and_not_a_figure() -> None:
    summary = summarise([])
    assert summary["dice"] is summary["accuracy"] is summary["macro_f1"] is summary["healthy_marked"] is None
    only_healthy = summarise([score("no_tumor", "no_tumor", EMPTY)])
    assert only_healthy["dice"] is None and only_healthy["missed_tumours"] is None and only_healthy["accuracy"] == 1.0
    json.dumps(only_healthy, allow_nan=False)


@given(pairs, st.randoms(use_true_random=False))
def test_the_order_of_the_slices_changes_no_bit_of_it(found: list[tuple[str, str]], rng: random.Random) -> None:
    masks = [np.random.default_rng(seed).random((8, 8)) < 0.3 for seed in range(len(found))]
    scores = [score(label, answer, mask) for (label, answer), mask in zip(found, masks, strict=True)]
    shuffled = scores.copy()
    rng.shuffle(shuffled)
    assert summarise(shuffled) == summarise(scores)


@given(st.sampled_from(CLASSES), st.booleans(), st.booleans())
def test_a_score_comes_back_from_json_nan_included(label: str, marked: bool, drawn: bool) -> None:
    mask = LESION if marked else EMPTY
    before = score_image("a", "g", label, "coronal", CLASSES, mask, EMPTY if drawn else None, [0.1, 0.2, 0.3, 0.4])
    after = ImageScore.from_json(json.loads(json.dumps(before.as_json(), allow_nan=False)))
    # NaN is not equal to itself, its text is.
    assert repr(after) == repr(before)


@pytest.mark.parametrize("change", [{"dice": "high"}, {"class_probabilities": None}, {"name": ...}])
def test_a_malformed_score_is_an_error(change: dict[str, Any]) -> None:
    entry = {**score().as_json(), **change}
    entry = {key: value for key, value in entry.items() if value is not ...}
    with pytest.raises(BadData, match="is missing or malformed"):
        ImageScore.from_json(entry)


def test_areas_are_pixels_of_the_slice() -> None:
    one = score(mask=LESION | (np.arange(8) == 7))
    assert (one.true_area, one.predicted_area, one.pixels) == (8, 16, 64)


def test_strata_hold_every_score_once() -> None:
    scores = [score(plane=plane, label=label) for plane in ("axial", "coronal") for label in CLASSES[:3]]
    assert {key: len(found) for key, found in by(scores, "plane").items()} == {"axial": 3, "coronal": 3}
    assert list(by(scores, "label")) == sorted(CLASSES[:3])
    assert all(one.label == label for label, found in by(scores, "label").items() for one in found)


def test_rows_of_the_confusion_are_true_and_columns_predicted() -> None:
    matrix = confusion([score("glioma", "pituitary")])
    assert matrix[CLASSES.index("glioma"), CLASSES.index("pituitary")] == 1 and matrix.sum() == 1


def test_unknown_classes_are_refused() -> None:
    with pytest.raises(BadData, match="is not one of"):
        summarise([replace(score(), label="cyst")])
    with pytest.raises(BadData, match="3 probabilities for 4 classes"):
        score_image("a", "g", "glioma", "axial", CLASSES, LESION, LESION, [0.2, 0.3, 0.5])
    with pytest.raises(BadData):
        score_image("a", "g", "glioma", "axial", CLASSES, LESION, LESION[:4], [0.1, 0.2, 0.3, 0.4])


def test_a_tumour_that_is_marked_in_another_place_is_missed() -> None:
    beside = np.roll(LESION, 4, axis=0)
    assert score(mask=beside).is_marked and score(mask=beside).is_missed
    assert not score(mask=LESION | beside).is_missed
    undrawn = score_image("a.png", "g", "glioma", "axial", CLASSES, beside, None, [0.7, 0.1, 0.1, 0.1])
    assert not undrawn.is_missed
