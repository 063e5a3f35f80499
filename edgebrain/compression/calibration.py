"""Which images the observers see: drawn from the training side only, a share of each class and plane."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from edgebrain.data.pack import Pack
from edgebrain.data.split import Split
from edgebrain.errors import BadData
from edgebrain.files import sha256_bytes
from edgebrain.recipe import CalibrationPart


@dataclass
class Calibration:
    """Calibration images and how many of them were really asked for.

    images: (N, side, side) uint8. seen: images handed out so far; an observer that stops early is found out.
    """

    names: tuple[str, ...]
    groups: tuple[str, ...]
    sha256s: tuple[str, ...]
    images: np.ndarray = field(repr=False)
    seen: int = 0

    def tensors(self) -> Iterator[np.ndarray]:
        """Each image as (1, side, side, 1) float32 in [0, 1], counted as it leaves."""
        for image in self.images:
            self.seen += 1
            yield (image.astype(np.float32) / np.float32(255.0))[None, ..., None]

    def afresh(self) -> Calibration:
        """The same images, none of them seen."""
        return Calibration(self.names, self.groups, self.sha256s, self.images)

    @property
    def csv(self) -> bytes:
        """calibration.csv: name, group, sha256 of each image file."""
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
    """Draw part.slices images, spread over class and plane as the side itself is.

    Raises BadData: a side other than train was asked for, or it holds fewer than 8 images.
    """
    if part.split != "train":
        raise BadData(
            f"calibration on the {part.split} side was asked for: images that score the model must not shape it",
            'set calibration.split = "train"',
        )
    rows = pack.index(split.names_of("train"))
    if len(rows) < 8:
        raise BadData(f"the training side holds {len(rows)} images; calibration needs at least 8", "use more data")
    strata = sorted(range(len(rows)), key=lambda i: (int(pack.labels[rows[i]]), pack.planes[rows[i]], i))
    shuffled = _shuffled_within(strata, [(int(pack.labels[r]), pack.planes[r]) for r in rows], part.seed)
    # Even steps through a list sorted by stratum take a proportional share of each.
    steps = np.linspace(0, len(rows) - 1, min(part.slices, len(rows))).round().astype(int)
    chosen = sorted(int(rows[shuffled[step]]) for step in steps)
    return Calibration(
        tuple(pack.names[row] for row in chosen),
        tuple(pack.groups[row] for row in chosen),
        tuple(pack.sha256s[row] for row in chosen),
        np.asarray(pack.images[chosen]),
    )


def _shuffled_within(order: list[int], strata: list[tuple[int, str]], seed: int) -> list[int]:
    rng = np.random.default_rng(seed)
    keys = rng.random(len(order))
    return sorted(order, key=lambda i: (strata[i], keys[i]))
