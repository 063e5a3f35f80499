from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from edgebrain.bundle import CLASSES
from edgebrain.evaluation.score import score_session


@dataclass(frozen=True)
class Slice:
    id: str
    image: np.ndarray
    mask: np.ndarray | None
    label: str
    group: str = "g"
    plane: str = "axial"


@dataclass(frozen=True)
class Answer:
    mask: np.ndarray
    class_probabilities: np.ndarray


class MarksTheBright:
    """A session that marks pixels over 127 and says glioma where it marked any."""

    classes = CLASSES

    def predict(self, image: np.ndarray) -> Answer:
        mask = image > 127
        return Answer(mask, np.array([0.9, 0.0, 0.0, 0.1] if mask.any() else [0.1, 0.0, 0.0, 0.9]))


def slices() -> list[Slice]:
    bright = np.zeros((6, 9), dtype=np.uint8)
    bright[2:4, 2:4] = 200
    dark = np.zeros((5, 4), dtype=np.uint8)
    return [
        Slice("a", bright, bright > 0, "glioma"),
        Slice("b", dark, dark > 0, "no_tumor"),
        Slice("c", bright, None, "meningioma", "h", "coronal"),
    ]


def test_every_slice_is_judged_in_order_at_its_own_size() -> None:
    scores = score_session(MarksTheBright(), slices())
    assert [(s.name, s.label, s.predicted, s.group, s.plane) for s in scores] == [
        ("a", "glioma", "glioma", "g", "axial"),
        ("b", "no_tumor", "no_tumor", "g", "axial"),
        ("c", "meningioma", "glioma", "h", "coronal"),
    ]
    assert [s.pixels for s in scores] == [54, 20, 54]
    assert scores[0].dice == 1.0 and np.isnan(scores[1].dice) and scores[2].true_area is None


def test_progress_tells_how_many_are_done_of_how_many() -> None:
    steps: list[tuple[str, int, int]] = []
    score_session(MarksTheBright(), slices(), lambda *step: steps.append(step))
    assert steps == [("scoring", done, 3) for done in (1, 2, 3)]


def test_slices_from_a_generator_are_held_one_at_a_time() -> None:
    asked: list[str] = []
    judged: list[int] = []

    def stream() -> Iterator[Slice]:
        for one in slices():
            assert len(asked) == len(judged)
            asked.append(one.id)
            yield one

    scores = score_session(MarksTheBright(), stream(), lambda what, done, total: judged.append(total))
    assert len(scores) == 3 and judged == [0, 0, 0]
