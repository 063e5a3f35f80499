"""The images that the observers of a quantization see: from the training side only, a share of each class and plane."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from edgebrain.bundle import CLASSES
from edgebrain.data.calibration_list import QUANTIZE_AGAIN, check_calibrated
from edgebrain.data.pack import Pack
from edgebrain.data.split import Split
from edgebrain.errors import BadData
from edgebrain.files import sha256_bytes
from edgebrain.recipe import CalibrationPart

FEWEST_IMAGES = 8
# Correlation of neighbouring pixels: near 1 in any picture, 0 in noise.
NOISE_CORRELATION = 0.5


@dataclass
class Calibration:
    """Calibration images, and which of them an observer has read.

    Attributes:
        names: Name of each image in its data set.
        groups: Group of each image.
        sha256s: Hash of each image file.
        images: (N, side, side) uint8.
        read: Indices of the images that were handed out. An exporter hands them out one at a time, when its observer
            asks, so that an observer that stops early is noticed.
    """

    names: tuple[str, ...]
    groups: tuple[str, ...]
    sha256s: tuple[str, ...]
    images: np.ndarray = field(repr=False)
    read: set[int] = field(default_factory=set, repr=False)

    @property
    def seen(self) -> int:
        """How many images were read, each counted once."""
        return len(self.read)

    def tensor(self, index: int) -> np.ndarray:
        """One image as (1, side, side, 1) float32 in [0, 1]; it counts as read from now on."""
        self.read.add(index)
        return (self.images[index].astype(np.float32) / np.float32(255.0))[None, ..., None]

    def tensors(self) -> Iterator[np.ndarray]:
        """Each image in turn, (1, side, side, 1) float32 in [0, 1]; it counts as read when it is asked for."""
        return map(self.tensor, range(len(self.images)))

    def unread(self) -> Calibration:
        """The same images, none of them read."""
        return Calibration(self.names, self.groups, self.sha256s, self.images)

    @property
    def csv(self) -> bytes:
        """The content of calibration.csv: name, group and SHA-256 of each image file."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(("name", "group", "sha256"))
        writer.writerows(zip(self.names, self.groups, self.sha256s, strict=True))
        return text.getvalue().encode()

    @property
    def sha256(self) -> str:
        """Hash of calibration.csv."""
        return sha256_bytes(self.csv)


def choose_calibration(pack: Pack, split: Split, part: CalibrationPart) -> Calibration:
    """Draw part.slices images, spread over class and plane as the training side is.

    Args:
        pack: The run's images.
        split: The run's split.
        part: How many to draw, from which side, with which seed.

    Raises:
        BadData: A side other than train was asked for, or it holds fewer than 8 images.
    """
    if part.split != "train":
        raise BadData(
            f"calibration on the {part.split} side was asked for: images that score the model must not shape it",
            'set calibration.split = "train"',
        )
    rows = pack.index(split.names_of("train"))
    if len(rows) < FEWEST_IMAGES:
        raise BadData(
            f"the training side holds {len(rows)} images; calibration needs at least {FEWEST_IMAGES}", "use more data"
        )
    strata = [(int(pack.labels[row]), pack.planes[row]) for row in rows]
    order = _shuffled_within(strata, part.seed)
    # Even steps through a list sorted by stratum take a proportional share of each.
    steps = np.linspace(0, len(rows) - 1, min(part.slices, len(rows))).round().astype(int)
    chosen = sorted(int(rows[order[step]]) for step in steps)
    return Calibration(
        tuple(pack.names[row] for row in chosen),
        tuple(pack.groups[row] for row in chosen),
        tuple(pack.sha256s[row] for row in chosen),
        np.asarray(pack.images[chosen]),
    )


def check_calibration(calibration: Calibration, pack: Pack, split: Split) -> None:
    """Refuse calibration images on which no sound scale can be based.

    Raises:
        BadData: They are noise, their pixels are not those of the slices of their names, or as
            `data.calibration_list.check_calibrated` says.
    """
    correlation, usual = (_neighbour_correlation(np.asarray(one)) for one in (calibration.images, pack.images[:32]))
    if correlation < NOISE_CORRELATION:
        raise BadData(
            "calibration: the images are random noise (neighbouring pixels correlate by "
            # Adding zero turns a minus zero into zero.
            f"{round(correlation, 2) + 0.0:.2f}, in slices by {usual:.2f}): its scales fit no slice",
            QUANTIZE_AGAIN,
        )
    labels = {name: CLASSES[label] for name, label in zip(pack.names, pack.labels, strict=True)}
    listed = list(zip(calibration.names, calibration.sha256s, strict=True))
    check_calibrated("calibration", listed, split, labels, dict(zip(pack.names, pack.sha256s, strict=True)))
    same = (calibration.images == pack.images[pack.index(calibration.names)]).all(axis=(1, 2))
    if not same.all():
        raise BadData(
            f"calibration: the pixels of {calibration.names[int(same.argmin())]} are not those of the slice of that "
            f"name ({int((~same).sum())} slices in all): inverted, scaled or otherwise changed before calibration",
            "calibrate on slices as `runtime.transform` gives them",
        )


def refuse_unread(calibration: Calibration) -> None:
    """Raises BadData: an exporter's observers did not read every calibration image."""
    if calibration.seen < len(calibration.images):
        raise BadData(
            f"the observers saw {calibration.seen} of {len(calibration.images)} calibration images",
            "hand Calibration.tensors() to the converter, all of it",
        )


def _neighbour_correlation(images: np.ndarray) -> float:
    """Correlation of each pixel with the one on its right, over all of (N, H, W) uint8; 1 for flat images."""
    left, right = images[:, :, :-1].ravel().astype(np.float64), images[:, :, 1:].ravel().astype(np.float64)
    if not left.std() or not right.std():
        return 1.0
    return float(np.corrcoef(left, right)[0, 1])


def _shuffled_within(strata: list[tuple[int, str]], seed: int) -> list[int]:
    """Indices sorted by stratum, in random order within each."""
    keys = np.random.default_rng(seed).random(len(strata))
    return sorted(range(len(strata)), key=lambda index: (strata[index], keys[index]))
