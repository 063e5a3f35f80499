"""A session over slices: one score per slice. Sessions and slices are protocols here, so that nothing is imported."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Sized
from typing import Protocol

import numpy as np

from edgebrain.evaluation.scores import ImageScore, score_image
from edgebrain.progress import Progress, no_progress


class Prediction(Protocol):
    """The answer for one slice."""

    @property
    def mask(self) -> np.ndarray:
        """(H, W) bool, at the slice's own size; True is lesion."""

    @property
    def class_probabilities(self) -> Sequence[float] | np.ndarray:
        """(classes,) in [0, 1], in the order of the session's classes."""


class Session(Protocol):
    """An opened model, such as `edgebrain.runtime.session.Session`."""

    @property
    def classes(self) -> Sequence[str]:
        """Class names, in the order of the class output."""

    def predict(self, image: np.ndarray) -> Prediction:
        """Answer for one slice, (H, W) uint8."""


class Truth(Protocol):
    """What is known of a slice, such as an `edgebrain.data.sample.Sample`."""

    @property
    def id(self) -> str:
        """Unique in its data set."""

    @property
    def mask(self) -> np.ndarray | None:
        """(H, W) bool, or None where there is none."""

    @property
    def label(self) -> str:
        """The true class."""

    @property
    def group(self) -> str:
        """Slices of one group are never on two sides of a split."""

    @property
    def plane(self) -> str:
        """axial, coronal or sagittal."""


class Slice(Truth, Protocol):
    """A slice that can be shown to a model."""

    @property
    def image(self) -> np.ndarray:
        """(H, W) uint8."""


def score_session(
    session: Session, samples: Iterable[Slice], progress: Progress = no_progress, what: str = "scoring"
) -> list[ImageScore]:
    """Score a session on slices.

    Args:
        session: The model.
        samples: The slices; from a generator, one is in memory at a time.
        progress: Called with `what`, the slices done and the slices in all (0 where the iterable has no length).
        what: How the work is called.

    Returns:
        A score for each slice, in their order.

    Raises:
        EdgebrainError: Whatever `session.predict` and the iterable raise.
    """
    total = len(samples) if isinstance(samples, Sized) else 0
    scores = []
    for sample in samples:
        scores.append(score_answer(sample, session.predict(sample.image), session.classes))
        progress(what, len(scores), total)
    return scores


def score_answer(truth: Truth, answer: Prediction, classes: Sequence[str]) -> ImageScore:
    """Score the answer for one slice.

    Args:
        truth: What is known of the slice.
        answer: What a model answered for it.
        classes: Class names, in the order of the answer's probabilities.

    Raises:
        BadData: The masks differ in size, or there are not as many probabilities as classes.
    """
    return score_image(
        truth.id,
        truth.group,
        truth.label,
        truth.plane,
        classes,
        np.asarray(answer.mask),
        truth.mask,
        answer.class_probabilities,
    )
