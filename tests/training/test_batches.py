"""Batches depend on seed and epoch alone, and a mask goes where its image goes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edgebrain.data.pack import Pack
from edgebrain.recipe import AugmentPart
from edgebrain.training.batches import Batch, Batches


def pack_of(images: np.ndarray, masks: np.ndarray | None = None) -> Pack:
    count = len(images)
    return Pack(
        names=tuple(f"{i}.png" for i in range(count)),
        images=images,
        masks=images if masks is None else masks,
        labels=np.arange(count) % 4,
        planes=("axial",) * count,
        groups=tuple(f"g{i}" for i in range(count)),
        folders=("",) * count,
        sha256s=("",) * count,
        sha256="",
    )


@pytest.fixture
def pictures() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (21, 32, 32), dtype=np.uint8)


USUAL = AugmentPart()


def epoch(pack: Pack, number: int, augment: AugmentPart | None = USUAL, seed: int = 3) -> list[Batch]:
    return list(Batches(pack, range(len(pack.names)), 4, 4, seed, augment).epoch(number))


def test_an_epoch_is_the_same_whatever_ran_before_it(pictures: np.ndarray) -> None:
    pack = pack_of(pictures)
    batches = Batches(pack, range(21), 4, 4, 3, AugmentPart())
    list(batches.epoch(0))
    for a, b in zip(batches.epoch(1), epoch(pack, 1), strict=True):
        np.testing.assert_array_equal(a.images, b.images)
        np.testing.assert_array_equal(a.masks, b.masks)
        np.testing.assert_array_equal(a.labels, b.labels)


def test_epochs_and_seeds_shuffle_and_augment_differently(pictures: np.ndarray) -> None:
    pack = pack_of(pictures)
    first = epoch(pack, 0)[0].images
    assert not np.array_equal(first, epoch(pack, 1)[0].images)
    assert not np.array_equal(first, epoch(pack, 0, seed=4)[0].images)


def test_an_epoch_without_augmentation_holds_each_slice_at_most_once(pictures: np.ndarray) -> None:
    seen = np.concatenate([batch.images for batch in epoch(pack_of(pictures), 0, None)])
    assert len(seen) == 20
    assert len(np.unique(seen.reshape(20, -1), axis=0)) == 20
    sums = pictures.reshape(21, -1).astype(np.float64).sum(axis=1) / 255
    assert all(np.isclose(sums, picture.sum(dtype=np.float64), rtol=1e-5).any() for picture in seen)


def test_a_mask_moves_with_its_image(pictures: np.ndarray) -> None:
    # The image is its own mask, so that any difference in place would show; only its brightness may differ.
    still = replace(AugmentPart(), brightness=0.0, contrast=0.0)
    for batch in epoch(pack_of(pictures), 0, still):
        np.testing.assert_array_equal(batch.images, batch.masks)


def test_brightness_changes_the_image_alone(pictures: np.ndarray) -> None:
    bright = AugmentPart(flip=False, rotate=0.0, scale=0.0, shift=0.0)
    (batch, *_) = epoch(pack_of(pictures), 0, bright)
    assert not np.array_equal(batch.images, batch.masks)
    assert batch.images.min() >= 0.0 and batch.images.max() <= 1.0


def test_a_mirror_only_augmentation_gives_the_slice_or_its_mirror(pictures: np.ndarray) -> None:
    flip = AugmentPart(flip=True, brightness=0.0, contrast=0.0, rotate=0.0, scale=0.0, shift=0.0)
    upright = mirrored = 0
    for batch in epoch(pack_of(pictures), 0, flip):
        for image in np.rint(batch.images[..., 0] * 255).astype(np.uint8):
            upright += any(np.array_equal(image, picture) for picture in pictures)
            mirrored += any(np.array_equal(image, picture[:, ::-1]) for picture in pictures)
    assert upright + mirrored == 20
    assert upright > 0 and mirrored > 0


def test_labels_are_one_hot_and_belong_to_their_image(pictures: np.ndarray) -> None:
    pictures[:] = (np.arange(21, dtype=np.uint8) % 4 * 60)[:, None, None]
    for batch in epoch(pack_of(pictures), 0, None):
        np.testing.assert_array_equal(batch.labels.argmax(axis=1), np.rint(batch.images[:, 0, 0, 0] * 255 / 60))
        np.testing.assert_array_equal(batch.labels.sum(axis=1), 1.0)


def test_fewer_slices_than_a_batch_are_one_batch(pictures: np.ndarray) -> None:
    batches = Batches(pack_of(pictures[:3]), range(3), 16, 4, 0, None)
    assert len(batches) == 1
    assert next(iter(batches.epoch(0))).images.shape == (3, 32, 32, 1)
