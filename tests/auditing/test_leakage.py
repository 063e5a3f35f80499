from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from edgebrain.auditing.leakage import ALL, RELATED, UNRELATED, WITHOUT_OWN_GROUP, copy_baselines, nearest_rows
from edgebrain.bundle import CLASSES
from edgebrain.data.pack import open_pack
from edgebrain.data.readers import open_dataset

GLIOMA, HEALTHY = CLASSES.index("glioma"), CLASSES.index("no_tumor")


@dataclass
class Slices:
    images: np.ndarray
    masks: np.ndarray
    labels: np.ndarray
    groups: tuple[str, ...]


def slices(pictures: list[np.ndarray], labels: list[int], groups: str, masks: list[np.ndarray]) -> Slices:
    return Slices(np.stack(pictures), np.stack(masks), np.array(labels, dtype=np.int64), tuple(groups))


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (64, 64), dtype=np.uint8)


def half(left: bool) -> np.ndarray:
    mask = np.zeros((64, 64), dtype=np.uint8)
    mask[:, :32] = 255
    return mask if left else 255 - mask


EMPTY = np.zeros((64, 64), dtype=np.uint8)


def test_a_mirrored_twin_brings_its_class_and_its_mirrored_mask() -> None:
    pack = slices(
        [noise(0), noise(1), noise(0)[:, ::-1]], [GLIOMA, HEALTHY, GLIOMA], "aba", [half(True), EMPTY, half(False)]
    )
    figures = {one.part: one for one in copy_baselines(pack, np.array([0, 1]), np.array([2]))}
    assert (figures[ALL].accuracy, figures[ALL].dice, figures[ALL].masks) == (1.0, 1.0, 1)
    assert figures[RELATED].slices == 1 and figures[UNRELATED].slices == 0
    assert figures[UNRELATED].accuracy is None and figures[UNRELATED].dice is None
    assert (figures[WITHOUT_OWN_GROUP].accuracy, figures[WITHOUT_OWN_GROUP].dice) == (0.0, 0.0)


def test_healthy_slices_count_for_the_class_only() -> None:
    blurred = (noise(1).astype(int) + 3).clip(0, 255).astype(np.uint8)
    pack = slices(
        [noise(0), noise(1), blurred, noise(0)], [GLIOMA, HEALTHY, HEALTHY, GLIOMA], "abcd",
        [half(True), EMPTY, EMPTY, half(True)],
    )  # fmt: skip
    everything = copy_baselines(pack, np.array([0, 1]), np.array([2, 3]))[0]
    assert (everything.slices, everything.masks, everything.accuracy, everything.dice) == (2, 1, 1.0, 1.0)


def test_a_slice_whose_group_is_all_of_training_has_nothing_to_copy() -> None:
    pack = slices([noise(0), noise(0)], [GLIOMA, GLIOMA], "aa", [half(True), half(True)])
    nearest, _ = nearest_rows(pack, np.array([0]), np.array([1]), without_own_group=True)
    assert nearest.tolist() == [-1]
    figures = copy_baselines(pack, np.array([0]), np.array([1]))
    assert (figures[-1].part, figures[-1].accuracy, figures[-1].dice) == (WITHOUT_OWN_GROUP, 0.0, 0.0)


def test_window_and_offset_do_not_change_who_is_nearest_and_blocks_do_not_either(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from edgebrain.auditing import leakage

    pictures = [noise(seed) for seed in range(20)]
    pictures += [(picture * 0.5 + 20).astype(np.uint8) for picture in reversed(pictures)]
    pack = slices(pictures, [GLIOMA] * 40, "x" * 40, [EMPTY] * 40)
    train, test = np.arange(20), np.arange(20, 40)
    whole = nearest_rows(pack, train, test)
    monkeypatch.setattr(leakage, "BLOCK", 3)
    cut = nearest_rows(pack, train, test)
    assert whole[0].tolist() == cut[0].tolist() == list(range(19, -1, -1)) and not whole[1].any()


def test_on_phantoms_slices_with_a_relative_in_training_score_higher(phantoms: Path) -> None:
    pack = open_pack(open_dataset(phantoms))
    rows = np.arange(len(pack.names))
    figures = {one.part: one for one in copy_baselines(pack, rows[rows % 3 > 0], rows[rows % 3 == 0])}
    assert figures[ALL].slices == figures[RELATED].slices + figures[UNRELATED].slices == 28
    assert (figures[RELATED].accuracy or 0) > (figures[UNRELATED].accuracy or 0)
    assert (figures[RELATED].dice or 0) > (figures[UNRELATED].dice or 0)
    assert set(figures[ALL].as_json()) == {"part", "slices", "accuracy", "masks", "dice"}
