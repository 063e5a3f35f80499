"""Each answer of the gate, on answers of models that collapsed in that way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgebrain.bundle import CLASSES
from edgebrain.compression.gate import Answers, admit, answer, judge, pass_or_refuse
from edgebrain.data.sample import Sample
from edgebrain.errors import BadBundle, GateRefused
from edgebrain.evaluation.scores import score_image
from edgebrain.runtime.engines import Engine
from edgebrain.runtime.session import open_session
from tests.runtime.tiny import tiny_bundle

COUNT = 20


def answers(masks: np.ndarray, labels: np.ndarray | None = None, spread: float = 0.3) -> Answers:
    truth = true_masks()
    labels = np.arange(COUNT) % 4 if labels is None else labels
    chances = np.full((COUNT, 4), 0.1)
    chances[np.arange(COUNT), labels] = 0.7
    scores = tuple(
        score_image(f"{i}", f"{i}", CLASSES[i % 4], "axial", CLASSES, masks[i], truth[i], tuple(chances[i]))
        for i in range(COUNT)
    )
    return Answers(scores, chances, masks.mean(axis=(1, 2)), spread)


def true_masks() -> np.ndarray:
    masks = np.zeros((COUNT, 16, 16), dtype=bool)
    for i in range(COUNT):
        if i % 4 != 3:
            masks[i, 2 : 6 + i % 5, 3:9] = True
    return masks


PARENT = answers(true_masks())


def reasons(child: Answers) -> str:
    return "; ".join(judge(PARENT, child, max_dice_drop=0.05, min_agreement=0.85).reasons)


def test_an_equal_child_passes() -> None:
    verdict = judge(PARENT, answers(true_masks()), 0.05, 0.85)
    assert verdict.reasons == ()
    assert verdict.dice == verdict.parent_dice == 1.0
    assert verdict.agreement == 1.0
    pass_or_refuse("child", verdict, COUNT)


def test_a_small_loss_passes_and_a_large_one_is_refused() -> None:
    slightly = true_masks()
    slightly[0, 2, 3] = False
    assert reasons(answers(slightly)) == ""
    shifted = np.roll(true_masks(), 4, axis=2)
    assert "Dice fell from 1.0000 to" in reasons(answers(shifted))


def test_all_background_is_named() -> None:
    assert "all background" in reasons(answers(np.zeros_like(true_masks())))


def test_a_saturated_mask_is_named() -> None:
    assert "saturated mask" in reasons(answers(np.ones_like(true_masks())))


def test_a_constant_mask_is_named() -> None:
    assert "constant mask" in reasons(answers(true_masks(), spread=0.0))


def test_constant_class_probabilities_are_named() -> None:
    assert "constant class" in reasons(answers(true_masks(), labels=np.zeros(COUNT, dtype=int)))


def test_classes_that_disagree_with_the_parent_are_named_with_the_share() -> None:
    labels = np.arange(COUNT) % 4
    labels[:4] = (labels[:4] + 1) % 4
    assert "class agreement is 0.800, below 0.85" in reasons(answers(true_masks(), labels))
    with pytest.raises(GateRefused, match=r"child: refused on 20 validation slices: .*agreement"):
        pass_or_refuse("child", judge(PARENT, answers(true_masks(), labels), 0.05, 0.85), COUNT)


def random_samples() -> list[Sample]:
    rng = np.random.default_rng(0)
    return [
        Sample(str(i), rng.integers(0, 256, (20, 24), dtype=np.uint8), np.zeros((20, 24), bool), "glioma", "g", "axial")
        for i in range(3)
    ]


def test_answers_come_from_a_real_session(tmp_path: Path) -> None:
    session, samples = open_session(tiny_bundle(tmp_path / "tiny")), random_samples()
    said = answer(session, samples)
    assert said.probabilities.shape == (3, 4)
    assert [score.name for score in said.scores] == ["0", "1", "2"]
    np.testing.assert_array_equal(said.areas, [session.predict(sample.image).mask.mean() for sample in samples])


def test_a_model_whose_outputs_are_no_numbers_is_refused_with_its_bundle_named(tmp_path: Path) -> None:
    session = open_session(tiny_bundle(tmp_path / "tiny"))
    parent = answer(session, random_samples())
    session.engine = NotANumber(session.engine)
    with pytest.raises(BadBundle, match="holds NaN or infinity"):
        answer(session, random_samples())
    with pytest.raises(
        GateRefused, match=r"child: refused: .*tiny: the model's output .* holds NaN or infinity"
    ) as caught:
        admit("child", parent, session, random_samples(), 1.0, 0.0)
    assert "train or export it again" in caught.value.hint


class NotANumber:
    """An engine whose masks have one pixel that is no number."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def run(self, tensor: np.ndarray) -> dict[str, np.ndarray]:
        raw = self._engine.run(tensor)
        raw["mask"][0, 3, 3, 0] = np.nan
        return raw

    def describe(self) -> dict[str, Any]:
        return self._engine.describe()
