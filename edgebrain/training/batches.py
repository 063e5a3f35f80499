"""Pack -> batches: shuffled by seed and epoch alone, augmented on the fly, one batch ahead of the step.

Epoch k gives the same batches whether the epochs before it ran in this process or not; that is what makes a
resumed run end where an undisturbed one ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from edgebrain.data.pack import Pack
from edgebrain.recipe import AugmentPart
from edgebrain.runtime.opencv import cv2


@dataclass(frozen=True)
class Batch:
    """A batch of slices.

    Attributes:
        images: (N, side, side, 1) float32 in [0, 1].
        masks: (N, side, side, 1) float32 in [0, 1], the lesion's share of each pixel.
        labels: (N, classes) float32, one-hot.
    """

    images: np.ndarray
    masks: np.ndarray
    labels: np.ndarray


class Batches:
    """Some slices of a pack, shuffled and augmented, a batch at a time."""

    def __init__(
        self,
        pack: Pack,
        rows: Sequence[int] | np.ndarray,
        size: int,
        classes: int,
        seed: int,
        augment: AugmentPart | None,
    ) -> None:
        """Choose the slices.

        Args:
            pack: Images, masks and labels.
            rows: (N,) indices into the pack.
            size: Slices a batch, at most N.
            classes: Number of classes.
            seed: Seed for shuffling and augmentation.
            augment: Strength of the augmentation; None for none.
        """
        self._pack, self._rows, self._classes = pack, np.asarray(rows), classes
        self._size = min(size, len(self._rows))
        self._seed, self._augment = seed, augment

    def __len__(self) -> int:
        """Batches an epoch; slices that do not fill a batch are left out of it, other ones in each epoch."""
        return len(self._rows) // self._size

    def epoch(self, number: int) -> Iterator[Batch]:
        """All batches of an epoch, counted from 0; each is made while the step before it runs."""
        order = np.random.default_rng([self._seed, number]).permutation(self._rows)
        with ThreadPoolExecutor(1) as ahead:
            waiting = ahead.submit(self._make, order, number, 0)
            for index in range(len(self)):
                batch = waiting.result()
                if index + 1 < len(self):
                    waiting = ahead.submit(self._make, order, number, index + 1)
                yield batch

    def _make(self, order: np.ndarray, epoch: int, index: int) -> Batch:
        rows = order[index * self._size : (index + 1) * self._size]
        rng = np.random.default_rng([self._seed, epoch, index])
        pairs = [self._pair(self._pack.images[row], self._pack.masks[row], rng) for row in rows]
        images = np.stack([image for image, _ in pairs])[..., None]
        masks = np.stack([mask for _, mask in pairs])[..., None]
        return Batch(images, masks, np.eye(self._classes, dtype=np.float32)[self._pack.labels[rows]])

    def _pair(self, image: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        if self._augment is None:
            return image.astype(np.float32) / 255.0, mask.astype(np.float32) / 255.0
        matrix = _random_affine(image.shape[0], self._augment, rng)
        image, mask = (cv2.warpAffine(np.ascontiguousarray(a), matrix, a.shape[::-1]) for a in (image, mask))
        gain = 1.0 + rng.uniform(-1, 1) * self._augment.contrast
        offset = rng.uniform(-1, 1) * self._augment.brightness
        # The empty background around the head stays black: in a scan it has no signal to be brightened.
        bright = image.astype(np.float32) / 255.0
        return np.clip(bright * gain + offset * (bright > 0.04), 0.0, 1.0), mask.astype(np.float32) / 255.0


def _random_affine(side: int, augment: AugmentPart, rng: np.random.Generator) -> np.ndarray:
    """(2, 3) float64 matrix for OpenCV: rotation and scale about the centre, shift, and a mirror half of the time."""
    angle, scale = rng.uniform(-1, 1) * augment.rotate, 1.0 + rng.uniform(-1, 1) * augment.scale
    shift = rng.uniform(-1, 1, size=2) * augment.shift * side
    centre = (side - 1) / 2.0
    matrix = cv2.getRotationMatrix2D((centre, centre), angle, scale)
    matrix[:, 2] += shift
    if augment.flip and rng.random() < 0.5:
        matrix = matrix @ np.array([[-1.0, 0.0, side - 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    return matrix
