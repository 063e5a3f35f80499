"""What copies are worth: the figures that come out of copying the nearest training slice, without any model.

A model that does not clearly beat them on slices without a relative in training may have learnt by heart. The nearest
slice is the one with the highest correlation of grey values at 64 px, upright or mirrored left-right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np

from edgebrain.bundle import CLASSES, HEALTHY
from edgebrain.evaluation.metrics import dice

SIDE = 64
BLOCK = 512
ALL, TWINS, REST, STRANGERS = "all", "twins", "rest", "all, own group taken out"


class Slices(Protocol):
    """What is compared, such as `edgebrain.data.pack.Pack`: row i of every field is the same slice."""

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
        """N names."""


@dataclass(frozen=True)
class CopyFigures:
    """What copying the nearest slice scores on some test slices.

    slices: how many. accuracy: share whose class is that of the nearest. masks: slices with a lesion. dice: mean over
    them of the nearest slice's mask, at the masks' size. None where there is nothing to judge.
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
    """The two copy baselines on all test slices, on twins (a slice of their group is in training), on the rest, and
    on all with their own group taken out of training.

    Args: train_rows, test_rows: (n,) int64, rows of the pack. Cost: train x test correlations of 4,096 values, twice.
    """
    known = {pack.groups[row] for row in train_rows}
    twin = np.array([pack.groups[row] in known for row in test_rows], dtype=bool)
    return figures_by_part(pack, train_rows, test_rows, {TWINS: twin, REST: ~twin})


def figures_by_part(
    slices: Slices, train_rows: np.ndarray, test_rows: np.ndarray, parts: Mapping[str, np.ndarray]
) -> list[CopyFigures]:
    """The figures on all test slices, on each part of them, and on all without their own groups.

    parts: name -> (len(test_rows),) bool.
    """
    nearest, mirrored = nearest_rows(slices, train_rows, test_rows)
    everything = np.ones(len(test_rows), dtype=bool)
    right, overlap = _scores(slices, test_rows, nearest, mirrored)
    figures = [_figures(name, right, overlap, chosen) for name, chosen in [(ALL, everything), *parts.items()]]
    nearest, mirrored = nearest_rows(slices, train_rows, test_rows, strangers=True)
    return [*figures, _figures(STRANGERS, *_scores(slices, test_rows, nearest, mirrored), everything)]


def nearest_rows(
    slices: Slices, train_rows: np.ndarray, test_rows: np.ndarray, strangers: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """The nearest training slice of each test slice: rows, (n,) int64, -1 for none, and whether mirrored, (n,) bool.

    strangers: slices of the test slice's own group do not count.
    """
    # Groups as numbers: strings compare slowly in bulk.
    _, group = np.unique(np.asarray(slices.groups), return_inverse=True)
    wanted = _unit(slices.images, test_rows)
    best = np.full(len(test_rows), -2.0, dtype=np.float32)
    nearest, mirrored = np.full(len(test_rows), -1, dtype=np.int64), np.zeros(len(test_rows), dtype=bool)
    for start in range(0, len(train_rows), BLOCK):
        rows = train_rows[start : start + BLOCK]
        upright = _unit(slices.images, rows)
        own = group[test_rows][:, np.newaxis] == group[rows] if strangers else None
        for flipped, there in ((False, upright), (True, upright[:, :, ::-1])):
            values = wanted.reshape(len(wanted), -1) @ there.reshape(len(rows), -1).T
            if own is not None:
                values[own] = -2.0
            place = values.argmax(axis=1)
            value = values[np.arange(len(values)), place]
            better = value > best
            best[better], nearest[better], mirrored[better] = value[better], rows[place[better]], flipped
    return nearest, mirrored


def _unit(images: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Slices at 64 px with mean 0 and length 1: (n, 64, 64) float32; 0 for a flat one."""
    small = np.empty((len(rows), SIDE, SIDE), dtype=np.float32)
    for place, row in enumerate(rows):
        small[place] = cv2.resize(np.asarray(images[row]), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    small -= small.mean(axis=(1, 2), keepdims=True)
    lengths = np.sqrt(np.einsum("nij,nij->n", small, small))
    return small / np.maximum(lengths, 1e-6)[:, np.newaxis, np.newaxis]


def _scores(
    slices: Slices, test_rows: np.ndarray, nearest: np.ndarray, mirrored: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Of each test slice: 1 where the nearest has its class, and the Dice of the nearest's mask, NaN without a lesion.

    Labels below 0 are unknown: NaN. A slice without a nearest one is wrong, with Dice 0.
    """
    right, overlap = np.full(len(test_rows), np.nan), np.full(len(test_rows), np.nan)
    for place, (row, other) in enumerate(zip(test_rows.tolist(), nearest.tolist(), strict=True)):
        label = int(slices.labels[row])
        if label >= 0:
            right[place] = float(other >= 0 and label == slices.labels[other])
        truth = np.asarray(slices.masks[row]) > 127
        if truth.any() and not (0 <= label < len(CLASSES) and CLASSES[label] == HEALTHY):
            copied = np.asarray(slices.masks[other]) > 127 if other >= 0 else np.zeros_like(truth)
            copied = copied[:, ::-1] if mirrored[place] else copied
            overlap[place] = dice(copied[np.newaxis], truth[np.newaxis])[0]
    return right, overlap


def _figures(part: str, right: np.ndarray, overlap: np.ndarray, chosen: np.ndarray) -> CopyFigures:
    known, drawn = right[chosen & ~np.isnan(right)], overlap[chosen & ~np.isnan(overlap)]
    accuracy = float(known.mean()) if len(known) else None
    return CopyFigures(part, int(chosen.sum()), accuracy, len(drawn), float(drawn.mean()) if len(drawn) else None)
