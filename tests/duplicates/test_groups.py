from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebrain.data.pack import open_pack
from edgebrain.data.readers import open_dataset
from edgebrain.duplicates import matching
from edgebrain.duplicates.groups import groups_from_images
from edgebrain.phantom.generator import generate
from edgebrain.runtime.transform import downsample


def picture(seed: int, cells: int = 12) -> np.ndarray:
    """A smooth random picture, (128, 128) uint8; two seeds have nothing in common."""
    coarse = np.random.default_rng(seed).integers(30, 220, (cells, cells), dtype=np.uint8)
    return cv2.resize(coarse, (128, 128), interpolation=cv2.INTER_CUBIC)


def transformed(image: np.ndarray, dihedral: int) -> np.ndarray:
    turned = np.rot90(image, dihedral % 4)
    return np.ascontiguousarray(turned[:, ::-1] if dihedral >= 4 else turned)


@given(st.integers(0, 1000), st.integers(0, 7))
@settings(max_examples=40, deadline=None)
def test_every_mirror_image_and_rotation_of_a_picture_is_its_group(seed: int, dihedral: int) -> None:
    a, b = picture(seed), picture(seed + 5000)
    assert groups_from_images(np.stack([a, b, transformed(a, dihedral)])) == ["g00000", "g00001", "g00000"]


@given(st.integers(0, 1000), st.floats(0.5, 1.2), st.integers(-20, 20), st.integers(0, 7))
@settings(max_examples=40, deadline=None)
def test_window_bias_and_noise_do_not_hide_a_copy(seed: int, gain: float, offset: int, dihedral: int) -> None:
    original = picture(seed)
    rng = np.random.default_rng(seed)
    slow = cv2.resize(rng.uniform(0.85, 1.15, (3, 3)), (128, 128), interpolation=cv2.INTER_CUBIC)
    copy = (original * slow - 128) * gain + 128 + offset + rng.normal(0, 4, (128, 128))
    copy = np.clip(copy, 0, 255).astype(np.uint8)
    found = groups_from_images(np.stack([original, picture(seed + 5000), transformed(copy, dihedral)]))
    assert found[0] == found[2] != found[1]


@given(st.permutations(range(9)))
@settings(max_examples=20, deadline=None)
def test_the_order_of_the_images_does_not_change_who_is_together(order: list[int]) -> None:
    images = np.stack([transformed(picture(i % 4), i) for i in range(9)])
    straight, shuffled = groups_from_images(images), groups_from_images(images[order])
    together = {(a, b) for a in range(9) for b in range(9) if straight[a] == straight[b]}
    again = {(order[a], order[b]) for a in range(9) for b in range(9) if shuffled[a] == shuffled[b]}
    assert together == again and len(set(straight)) == 4


def test_pairs_are_found_across_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.stack([transformed(picture(i % 7), i % 8) for i in range(20)])
    whole = groups_from_images(images)
    monkeypatch.setattr(matching, "_BLOCK", 3)
    assert groups_from_images(images) == whole
    assert len(set(whole)) == 7


def test_flat_images_belong_to_nobody() -> None:
    flat = np.full((3, 128, 128), 7, dtype=np.uint8)
    assert len(set(groups_from_images(flat))) == 3
    flat[:, 60, 60] += 1
    assert len(set(groups_from_images(flat))) == 3
    assert groups_from_images(flat[:0]) == []


def test_the_heads_of_phantoms_are_found_from_their_images() -> None:
    drawn = [generate(index, seed=5) for index in range(120)]
    found = np.array(groups_from_images(np.stack([downsample(phantom.image, 128, 128) for phantom in drawn])))
    heads = np.array([phantom.group for phantom in drawn])
    same, together = heads[:, None] == heads, found[:, None] == found
    np.fill_diagonal(same, False)
    np.fill_diagonal(together, False)
    assert (same & together).sum() / same.sum() > 0.9
    assert (same & together).sum() / together.sum() > 0.8


@pytest.mark.slow
def test_on_the_real_brisc_most_groups_hold_together_and_few_are_joined(real_brisc: Path) -> None:
    pack = open_pack(open_dataset(real_brisc))
    given, found = np.array(pack.groups), np.array(groups_from_images(pack.images))
    pairs = np.triu(np.ones((len(given), len(given)), dtype=bool), 1)
    same, together = (given[:, None] == given) & pairs, (found[:, None] == found) & pairs
    assert (same & together).sum() / same.sum() == pytest.approx(0.62, abs=0.02)
    assert (same & together).sum() / together.sum() == pytest.approx(0.95, abs=0.02)
