"""What copies are worth: the scores of copying class and mask of the nearest training slice, without any model.

A model that is not clearly better on slices without a relative in training may have memorised. The nearest slice is the
one with the highest correlation of grey levels at 64 px, upright or mirrored left-right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from edgebrain.bundle import CLASSES, HEALTHY
from edgebrain.evaluation.metrics import dice
from edgebrain.runtime.opencv import cv2

SIDE = 64
BLOCK = 512
# Names of parts of the test slices, as tables and JSON show them.
ALL, RELATED, UNRELATED, WITHOUT_OWN_GROUP = "all", "group in training", "rest", "all, own group taken out"


class Slices(Protocol):
    """The slices that are compared, such as an `edgebrain.data.pack.Pack`; row i of every field is the same slice."""

    @property
    def images(self) -> np.ndarray:
        """(N, side, side) uint8."""

    @property
    def masks(self) -> np.ndarray:
        """(N, side, side) uint8, 255 where the whole pixel is lesion."""

    @property
    def labels(self) -> np.ndarray:
        """(N,) int64, positions in bundle.CLASSES."""

    @property
    def groups(self) -> Sequence[str]:
        """The group of each of N slices."""


@dataclass(frozen=True)
class CopyFigures:
    """The scores of copying the nearest training slice, over some test slices.

    Attributes:
        part: Which test slices.
        slices: How many they are.
        accuracy: Share whose class is that of their nearest slice; None without a known class.
        masks: How many of them have a lesion.
        dice: Mean Dice of the nearest slice's mask over those, at the masks' size; None without any.
    """

    part: str
    slices: int
    accuracy: float | None
    masks: int
    dice: float | None

    def as_json(self) -> dict[str, Any]:
        """The figures as JSON object."""
        return dict(vars(self))


def copy_baselines(pack: Slices, train_rows: np.ndarray, test_rows: np.ndarray) -> list[CopyFigures]:
    """The scores of copying on all test slices, on parts of them, and on all without their own group in training.

    The parts are the test slices with and without a slice of their group in training.

    Cost: twice n_train x n_test correlations of 4,096 values.

    Args:
        pack: The slices.
        train_rows: (n_train,) int64, indices of the training slices.
        test_rows: (n_test,) int64, indices of the test slices.
    """
    known = {pack.groups[row] for row in train_rows}
    related = np.array([pack.groups[row] in known for row in test_rows], dtype=bool)
    return figures_by_part(pack, train_rows, test_rows, {RELATED: related, UNRELATED: ~related})


def figures_by_part(
    slices: Slices, train_rows: np.ndarray, test_rows: np.ndarray, parts: Mapping[str, np.ndarray]
) -> list[CopyFigures]:
    """The scores of copying on all test slices, on each part of them, and on all without their own groups.

    Args:
        slices: The slices.
        train_rows: (n_train,) int64, indices of the training slices.
        test_rows: (n_test,) int64, indices of the test slices.
        parts: Name -> (n_test,) bool, which test slices belong to it.
    """
    nearest, mirrored = nearest_rows(slices, train_rows, test_rows)
    everything = np.ones(len(test_rows), dtype=bool)
    right, overlap = _scores(slices, test_rows, nearest, mirrored)
    figures = [_figures(name, right, overlap, chosen) for name, chosen in [(ALL, everything), *parts.items()]]
    nearest, mirrored = nearest_rows(slices, train_rows, test_rows, without_own_group=True)
    return [*figures, _figures(WITHOUT_OWN_GROUP, *_scores(slices, test_rows, nearest, mirrored), everything)]


def nearest_rows(
    slices: Slices, train_rows: np.ndarray, test_rows: np.ndarray, without_own_group: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Find the nearest training slice of each test slice.

    Args:
        slices: The slices.
        train_rows: (n_train,) int64, indices of the training slices.
        test_rows: (n_test,) int64, indices of the test slices.
        without_own_group: Leave out training slices of the test slice's own group.

    Returns:
        (n_test,) int64 indices, -1 where there is none, and (n_test,) bool, whether it is nearest when mirrored.
    """
    # Groups as numbers, because texts compare slowly in bulk.
    _, group = np.unique(np.asarray(slices.groups), return_inverse=True)
    wanted = _unit(slices.images, test_rows)
    best = np.full(len(test_rows), -2.0, dtype=np.float32)
    nearest, mirrored = np.full(len(test_rows), -1, dtype=np.int64), np.zeros(len(test_rows), dtype=bool)
    for start in range(0, len(train_rows), BLOCK):
        rows = train_rows[start : start + BLOCK]
        upright = _unit(slices.images, rows)
        own = group[test_rows][:, np.newaxis] == group[rows] if without_own_group else None
        for flipped, there in ((False, upright), (True, upright[:, :, ::-1])):
            values = wanted.reshape(len(wanted), -1) @ there.reshape(len(rows), -1).T
            if own is not None:
                values[own] = -2.0
            column = values.argmax(axis=1)
            value = values[np.arange(len(values)), column]
            better = value > best
            best[better], nearest[better], mirrored[better] = value[better], rows[column[better]], flipped
    return nearest, mirrored


def _unit(images: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Slices at 64 px with mean 0 and length 1: (n, 64, 64) float32; all 0 for a flat one."""
    small = np.empty((len(rows), SIDE, SIDE), dtype=np.float32)
    for index, row in enumerate(rows):
        small[index] = cv2.resize(np.asarray(images[row]), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    small -= small.mean(axis=(1, 2), keepdims=True)
    lengths = np.sqrt(np.einsum("nij,nij->n", small, small))
    return small / np.maximum(lengths, 1e-6)[:, np.newaxis, np.newaxis]


def _scores(
    slices: Slices, test_rows: np.ndarray, nearest: np.ndarray, mirrored: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Accuracy and Dice of copying on each test slice.

    Returns:
        (n_test,) float64: 1 where the nearest slice has its class, else 0, NaN where its label is unknown (below 0);
        and (n_test,) float64: the Dice of the nearest slice's mask, NaN without a lesion. Both are 0 without a nearest
        slice.
    """
    right, overlap = np.full(len(test_rows), np.nan), np.full(len(test_rows), np.nan)
    for index, (row, other) in enumerate(zip(test_rows.tolist(), nearest.tolist(), strict=True)):
        label = int(slices.labels[row])
        if label >= 0:
            right[index] = float(other >= 0 and label == slices.labels[other])
        truth = np.asarray(slices.masks[row]) > 127
        if truth.any() and not (0 <= label < len(CLASSES) and CLASSES[label] == HEALTHY):
            copied = np.asarray(slices.masks[other]) > 127 if other >= 0 else np.zeros_like(truth)
            copied = copied[:, ::-1] if mirrored[index] else copied
            overlap[index] = dice(copied[np.newaxis], truth[np.newaxis])[0]
    return right, overlap


def _figures(part: str, right: np.ndarray, overlap: np.ndarray, chosen: np.ndarray) -> CopyFigures:
    known, drawn = right[chosen & ~np.isnan(right)], overlap[chosen & ~np.isnan(overlap)]
    accuracy = float(known.mean()) if len(known) else None
    return CopyFigures(part, int(chosen.sum()), accuracy, len(drawn), float(drawn.mean()) if len(drawn) else None)
