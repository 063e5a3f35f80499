"""How the masks of a data set are written: 0 and 255, 0 and 1, or a number for each kind of lesion.

An encoding belongs to a data set, not to a file: a mask of 0 and 1 among masks of 0 and 255 is a mistake, and reading
each file by itself would hide it. It is detected from a sample of the files.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgebrain.errors import BadImage
from edgebrain.files import sha256_bytes
from edgebrain.runtime.image import decode, read_file
from edgebrain.runtime.opencv import cv2, opencv_alone

# Lossy files leave 0..10 and 246..255 of 0 and 255, rarely more; labels are numbers up to this.
LOSSY = 32
MIDDLE = 127
# More grey levels than this, over all files of a sample, are no list of labels.
MOST_LEVELS = LOSSY + 1
# A label fills a square of so many pixels somewhere; the soft edge of a lesion never does.
BLOCK = 5
# This many masks that mark something are enough, because all masks of a set are written in one way.
SAMPLE = 64
THREADS = 2


@dataclass(frozen=True)
class MaskEncoding:
    """How grey levels of a mask are read.

    Attributes:
        above: A pixel is lesion where its grey level is higher than this.
        levels: The grey levels that the set's masks are made of, sorted.
        seen: Whether a mask showed it; False where none marks anything and 0/255 is only assumed.
    """

    above: int
    levels: tuple[int, ...]
    seen: bool = True

    @property
    def name(self) -> str:
        """`0/255`, `0/1` for masks of two levels, `0..4` for several labels."""
        return f"{self.levels[0]}{'/' if len(self.levels) == 2 else '..'}{self.levels[-1]}"

    def lesion(self, mask: np.ndarray) -> np.ndarray:
        """Tell lesion from the rest.

        Args:
            mask: (H, W) uint8, as decoded.

        Returns:
            (H, W) bool, True is lesion.

        Example:
            >>> MaskEncoding(127, (0, 255)).lesion(np.array([[0, 130, 255]], np.uint8))
            array([[False,  True,  True]])
        """
        found: np.ndarray = mask > self.above
        return found

    def misfit(self, mask: np.ndarray) -> str:
        """Say why a mask is written in another way than the set's.

        Args:
            mask: (H, W) uint8, as decoded.

        Returns:
            The reason; empty where it fits. A mask without any lesion fits every encoding.

        Example:
            >>> MaskEncoding(127, (0, 255)).misfit(np.array([[0, 1]], np.uint8))
            "the mask holds 0 and 1, the set's masks 0 and 255"
        """
        top = int(mask.max(initial=0))
        if not top or (self.above == MIDDLE and top > MIDDLE):
            return ""
        levels = levels_of(mask)
        if self.above == MIDDLE:
            fits = _is_noise(mask, levels)
        else:
            fits = not levels[0] and (set(levels) <= set(self.levels) or (top <= LOSSY and self.levels[-1] <= LOSSY))
        return "" if fits else f"the mask holds {_listed(levels)}, the set's masks {_listed(self.levels)}"

    def describe(self) -> str:
        """One line on how masks are read."""
        if not self.seen:
            return "masks: none that marks anything"
        if self.above == MIDDLE:
            return f"masks: 0/255: above {MIDDLE} is read as lesion"
        if len(self.levels) == 2:
            return f"masks: {self.name} (not 0/255): {self.levels[1]} is read as lesion"
        return f"masks: {self.name} (labels {_listed(self.levels[1:])}): every label above 0 is read as lesion"

    def as_json(self) -> dict[str, Any] | None:
        """The encoding as JSON object; None where no mask showed it."""
        return {"name": self.name, "above": self.above, "levels": list(self.levels)} if self.seen else None

    @classmethod
    def from_json(cls, entry: Mapping[str, Any] | None) -> MaskEncoding:
        """The encoding of a JSON object, as `as_json` gives it."""
        return UNKNOWN if entry is None else cls(int(entry["above"]), tuple(entry["levels"]))


TWO_VALUED = MaskEncoding(MIDDLE, (0, 255))
UNKNOWN = MaskEncoding(MIDDLE, (0, 255), seen=False)


def encoding_of_files(paths: Sequence[Path]) -> MaskEncoding:
    """Find out how the masks of a data set are written, from a sample of its mask files.

    Files that cannot be read are passed over here: whoever needs one of them names it.
    """
    # Ordered by hash, the sample is spread over the set, and the same on every machine.
    in_order = sorted(paths, key=lambda path: sha256_bytes(path.name.encode()))
    found: list[np.ndarray] = []
    with opencv_alone(), ThreadPoolExecutor(THREADS) as pool:
        for start in range(0, len(in_order), SAMPLE):
            masks = pool.map(_decoded, in_order[start : start + SAMPLE])
            found += [mask for mask in masks if mask is not None and mask.any()]
            if len(found) >= SAMPLE:
                break
    return detect(found)


def detect(masks: Iterable[np.ndarray]) -> MaskEncoding:
    """Find the encoding that most masks have.

    Args:
        masks: Each (H, W) uint8, as decoded. Masks without any lesion are passed over.

    Returns:
        The encoding; 0/255 where two are equally frequent; UNKNOWN where no mask marks anything.

    Example:
        >>> detect([np.eye(8, dtype=np.uint8)]).name
        '0/1'
    """
    grey, counted = [], []
    for mask in masks:
        levels = levels_of(mask)
        if levels[-1] > LOSSY:
            grey.append((mask, levels))
        elif levels[-1] and not _is_noise(mask, levels):
            counted.append((mask, levels))
    if not grey and not counted:
        return UNKNOWN
    chosen = grey if len(grey) >= len(counted) else counted
    union = tuple(sorted({level for _, levels in chosen for level in levels}))
    labels = len(union) <= MOST_LEVELS and all(not levels[0] for _, levels in chosen)
    if labels and (chosen is counted or _has_middle_label(chosen)):
        return MaskEncoding(0, union)
    return TWO_VALUED


def levels_of(mask: np.ndarray) -> tuple[int, ...]:
    """The grey levels that occur in a mask, sorted.

    Args:
        mask: (H, W) uint8, as decoded.

    Example:
        >>> levels_of(np.array([[0, 255, 0]], np.uint8))
        (0, 255)
    """
    return tuple(np.flatnonzero(np.bincount(mask.ravel(), minlength=256)).tolist())


def _decoded(path: Path) -> np.ndarray | None:
    """A mask, (H, W) uint8; None where it cannot be read."""
    try:
        return decode(read_file(path, str(path))[0], str(path))
    except BadImage:
        return None


def _is_noise(mask: np.ndarray, levels: Sequence[int]) -> bool:
    """Whether a mask, (H, W) uint8, is what lossy compression makes of an empty one.

    Such a mask is dark. It has more than two levels, because two are drawn by a person, and no area of one level.
    """
    if levels[-1] > LOSSY or len(levels) == 2:
        return False
    return bool(levels[0]) or not _fills_square(mask, levels[1:])


def _has_middle_label(masks: Sequence[tuple[np.ndarray, tuple[int, ...]]]) -> bool:
    """Whether a level between 0 and 255 is a label of its own."""
    return any(_fills_square(mask, [one for one in levels if LOSSY < one < 255 - LOSSY]) for mask, levels in masks)


def _fills_square(mask: np.ndarray, levels: Sequence[int]) -> bool:
    """Whether one of these levels fills a square of BLOCK pixels somewhere in a mask, (H, W) uint8."""
    square = np.ones((BLOCK, BLOCK), dtype=np.uint8)
    return any(bool(cv2.erode((mask == level).astype(np.uint8), square, borderValue=0).any()) for level in levels)


def _listed(levels: Sequence[int]) -> str:
    """`0 and 1`, `0, 1 and 3`, or `0 to 97` where they are many."""
    if len(levels) > 6:
        return f"{levels[0]} to {levels[-1]}"
    texts = [str(level) for level in levels]
    return " and ".join([", ".join(texts[:-1]), texts[-1]] if texts[1:] else texts)
