"""Scores made up for the tests of the verdict: one slice each, with what the test is about."""

from __future__ import annotations

import math

import numpy as np

from edgebrain.evaluation.scores import ImageScore


def made(
    name: str,
    group: str,
    dice: float = 0.9,
    label: str = "glioma",
    predicted: str | None = None,
    plane: str = "axial",
    area: int = 500,
    marked: int | None = None,
) -> ImageScore:
    """A score of a slice of 10,000 pixels. area: of the lesion; a healthy slice has none, and no Dice.

    marked: pixels called lesion; as many as the lesion has, where it is not given and anything was found.
    """
    healthy = label == "no_tumor"
    overlap = math.nan if healthy else dice
    return ImageScore(
        name=name,
        group=group,
        label=label,
        plane=plane,
        predicted=label if predicted is None else predicted,
        class_probabilities=(0.7, 0.1, 0.1, 0.1),
        dice=overlap,
        iou=overlap,
        pixel_accuracy=0.9,
        sensitivity=overlap,
        specificity=0.9,
        true_area=0 if healthy else area,
        predicted_area=marked if marked is not None else 0 if healthy or dice == 0 else area,
        pixels=10_000,
        hd95_px=math.nan if healthy else 10 * (1 - dice),
        surface_dice=overlap,
    )


def tumours(dice: np.ndarray, group_size: int = 1) -> list[ImageScore]:
    """A tumour slice for each Dice, in groups of so many, over all classes, planes and sizes."""
    labels, planes = ("glioma", "meningioma", "pituitary"), ("axial", "coronal", "sagittal")
    areas = (50, 200, 900)
    return [
        made(
            f"t{place:05d}",
            f"g{place // group_size:05d}",
            float(value),
            label=labels[place % 3],
            plane=planes[place // 3 % 3],
            area=areas[place // 9 % 3],
        )
        for place, value in enumerate(dice)
    ]


def healthy(count: int, marked: int = 0) -> list[ImageScore]:
    """Healthy slices, a group each; the first `marked` have some pixels called lesion."""
    return [
        made(f"h{place:05d}", f"h{place:05d}", label="no_tumor", marked=30 if place < marked else 0)
        for place in range(count)
    ]
