"""Which slices of a set show the same picture, or neighbouring slices of one head. Nothing here knows labels or files.

1. Candidates. A slice without its slow brightness is described by what its low cosine coefficients share in all 8
   mirror and rotation states. The nearest ones in a KD-tree over a few principal directions are candidates.
2. Each candidate is compared in all 8 states; where it comes near, once more with its grey values mapped.
3. Crops. Each slice is described six times more with its edges cut off; what is near is laid over it and compared.

Cost: more than N log N. The thresholds were set on BRISC 2025 and on planted copies; docs/explanation/auditing.md has
the figures.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from edgebrain.duplicates.dct import BAND, described, in_all_states, spectra_of, unit
from edgebrain.duplicates.similarity import (
    DETAIL_SIDE,
    INVERSE,
    aligned_similarity,
    coarse_crops,
    details_of,
    halved,
    in_state,
    mapped_similarity,
)
from edgebrain.files import sha256_bytes
from edgebrain.progress import Progress, no_progress
from edgebrain.runtime.opencv import opencv_alone

COPY, CROPPED, NEAR = 0, 1, 2
# Neighbouring slices of one head reach NEAR_FROM. With mapped grey values the same picture reaches COPY_FROM
# (neighbours seldom exceed 0.94), and a crop laid over its source CROPPED_FROM: more, because an alignment with six
# degrees of freedom flatters strangers too (up to 0.949 was seen).
NEAR_FROM, COPY_FROM, CROPPED_FROM = 0.75, 0.95, 0.97
NEIGHBOURS, CROP_NEIGHBOURS, CROPS_TRIED = 32, 8, 8

# Highest frequency (u + v) and number of principal directions of the descriptions: fine enough to survive a change of
# gamma, and coarse enough to survive a shift by some pixels.
_FINE, _COARSE = (16, 32), (10, 24)
_BLOCK = 256
# A hard cut of the window was seen to leave 0.72 before the grey values are mapped.
_MAPPED_FROM, _SURELY_COPY = 0.70, 0.97
# Correlations of band-limited details from which a pair is looked at more closely: as it is (all of the band), and with
# edges cut off (lower frequencies, which a shift by a pixel or two leaves alone).
_NEAR_FLOOR, _CROP_FLOOR, _CROP_BAND = 0.60, 0.85, 12
_STATES_TRIED = 2
# A neighbour that the tree passes by may be nearer than one that it gives by this share at most. On 32,000 versions of
# BRISC 2025 it passed none by, in less than half of the time.
_SLACK = 0.6
_Link = tuple[int, int, float, int, int]


@dataclass(frozen=True)
class Links:
    """Pairs of slices that belong together; entry i of every field is the same pair, first[i] < second[i].

    first, second: (L,) int64, rows. similarity: (L,) float32, correlation of details, at most 1. state: (L,) int8,
    position in likeness.STATES of what turns the first into the second. kind: (L,) int8: COPY (the same picture),
    CROPPED (the same picture, cut or shifted), NEAR (a neighbouring slice, or a very similar head).
    """

    first: np.ndarray
    second: np.ndarray
    similarity: np.ndarray
    state: np.ndarray
    kind: np.ndarray

    def __len__(self) -> int:
        return len(self.first)


def find_links(images: np.ndarray, progress: Progress = no_progress) -> Links:
    """Pairs of slices that show the same picture or neighbouring slices, each pair once, sorted.

    Of more than NEIGHBOURS versions of one picture each is linked with some, not with all others. Exact repeats are
    linked with the first of them. Flat slices are linked with nothing.

    Args: images: (N, 128, 128) uint8, as `transform.shrink` makes them; may be a memory map. progress: steps done and
    steps in all. Memory: 13 KiB an image besides the images.
    """
    with opencv_alone():
        kept, found = _repeats(images)
        if len(kept) > 1:
            found += _Search(images, kept).links(progress)
    columns = list(zip(*sorted(found), strict=True)) or [()] * 5
    return Links(*(np.array(column, dtype=kind) for column, kind in zip(columns, _TYPES, strict=True)))


_TYPES = (np.int64, np.int64, np.float32, np.int8, np.int8)


def _repeats(images: np.ndarray) -> tuple[np.ndarray, list[_Link]]:
    """Rows of slices that are not flat, the first of each picture, and the links of its exact repeats to it.

    A KD-tree cannot divide equal points, and equal slices would fill up each other's candidates.
    """
    first_with: dict[str, int] = {}
    found: list[_Link] = []
    for row, image in enumerate(images):
        pixels = np.asarray(image)
        if int(pixels.max()) - int(pixels.min()) <= 1:
            continue
        first = first_with.setdefault(sha256_bytes(pixels.tobytes()), row)
        if first != row:
            found.append((first, row, 1.0, 0, COPY))
    return np.array(list(first_with.values()), dtype=np.int64), found


class _Search:
    """One search among slices that all differ and of which none is flat."""

    def __init__(self, images: np.ndarray, rows: np.ndarray) -> None:
        self._images, self._rows = images, rows
        self._thumbs = np.empty((len(rows), DETAIL_SIDE, DETAIL_SIDE), dtype=np.uint8)
        # Half precision: 8 KiB a slice, and the rounding (0.0005) is far below what separates the thresholds.
        self._details = np.empty(self._thumbs.shape, dtype=np.float16)
        self._spectra = np.empty((len(rows), BAND + 1, BAND + 1), dtype=np.float32)
        for start in range(0, len(rows), _BLOCK):
            self._read(start)
        self._units, self._low_units = unit(self._spectra, BAND), unit(self._spectra, _CROP_BAND)
        self._tree, self._crop_tree = _Tree(self._spectra, *_FINE), _Tree(self._spectra, *_COARSE)

    def _read(self, start: int) -> None:
        """Keep a block's thumbnails, details and spectra."""
        place = slice(start, start + _BLOCK)
        self._thumbs[place] = [halved(np.asarray(self._images[row])) for row in self._rows[place]]
        self._details[place] = details_of(self._thumbs[place])
        self._spectra[place] = spectra_of(details_of(np.stack([halved(thumb) for thumb in self._thumbs[place]])))

    def links(self, progress: Progress) -> list[_Link]:
        """The links, between rows of the images."""
        found: dict[tuple[int, int], _Link] = {}
        steps, total = 0, 2 * len(self._rows)
        for part in (self._compared(), self._laid_over(found)):
            for links in part:
                found.update({link[:2]: link for link in links})
                steps += 1
                progress("matching", steps, total)
        rows = self._rows.tolist()
        return [(rows[a], rows[b], similarity, state, kind) for a, b, similarity, state, kind in found.values()]

    def _compared(self) -> Iterator[list[_Link]]:
        """For each slice, its links with later ones, both as they are."""
        for row, others in enumerate(self._partners()):
            values = in_all_states(self._spectra[row : row + 1], BAND)[:, 0] @ self._units[others].T
            near = np.flatnonzero(values.max(axis=0) >= _NEAR_FLOOR)
            pairs = zip(others[near].tolist(), values[:, near].argmax(axis=0).tolist(), strict=True)
            yield [link for other, state in pairs for link in self._judged(row, other, state)]

    def _judged(self, first: int, second: int, state: int) -> list[_Link]:
        turned = in_state(self._details[first], state).astype(np.float32)
        plain = float(np.vdot(turned, self._details[second].astype(np.float32)))
        if plain >= _SURELY_COPY:
            return [(first, second, plain, state, COPY)]
        if plain >= _MAPPED_FROM:
            mapped = mapped_similarity(in_state(self._thumbs[first], state), self._thumbs[second])
            if mapped >= COPY_FROM:
                return [(first, second, mapped, state, COPY)]
        return [(first, second, plain, state, NEAR)] if plain >= NEAR_FROM else []

    def _laid_over(self, known: dict[tuple[int, int], _Link]) -> Iterator[list[_Link]]:
        """For each slice, its links with slices that it resembles when its edges are cut off; copies are passed by."""
        for start in range(0, len(self._rows), _BLOCK):
            rows = range(start, min(start + _BLOCK, len(self._rows)))
            crops = spectra_of(details_of(np.concatenate([coarse_crops(self._thumbs[row]) for row in rows])))
            nearest = self._crop_tree.nearest(self._crop_tree.placed(crops), CROP_NEIGHBOURS)
            crops, nearest = (part.reshape(len(rows), -1, *part.shape[1:]) for part in (crops, nearest))
            for row, cut, near in zip(rows, crops, nearest, strict=True):
                likely = self._likeliest(row, cut, np.unique(near).tolist(), known)
                yield [link for other, crop, state in likely for link in self._crop_link(row, other, crop, state)]

    def _likeliest(
        self, row: int, cut: np.ndarray, near: list[int], known: dict[tuple[int, int], _Link]
    ) -> Iterator[tuple[int, int, int]]:
        """What is worth laying over a slice: candidates, each with a crop of the slice and the state that it is in.

        Heads are nearly symmetric, so that the second likeliest state is tried too.
        cut: spectra of its crops. near: rows, -1 for none.
        """
        others = [n for n in near if n not in (-1, row) and not _is_copy(known.get((min(row, n), max(row, n))))]
        # (state, crop, candidate)
        values = in_all_states(cut, _CROP_BAND) @ self._low_units[others].T
        ranked = np.argsort(-values.max(axis=(0, 1)), kind="stable")
        for place in ranked[:CROPS_TRIED].tolist():
            best = values[:, :, place].max(axis=1)
            for state in np.argsort(-best, kind="stable")[:_STATES_TRIED].tolist():
                if best[state] >= _CROP_FLOOR:
                    yield others[place], int(values[state, :, place].argmax()), state

    def _crop_link(self, row: int, other: int, crop: int, state: int) -> list[_Link]:
        """The link of a slice with another one that is its crop in some state, if it is."""
        whole, part = (np.asarray(self._images[self._rows[place]]) for place in (row, other))
        similarity = aligned_similarity(whole, in_state(part, INVERSE[state]), crop)
        if similarity < CROPPED_FROM:
            return []
        return [(min(row, other), max(row, other), similarity, state if row < other else INVERSE[state], CROPPED)]

    def _partners(self) -> list[np.ndarray]:
        """For each slice its candidates among the later slices, sorted; each pair stands once."""
        nearest = self._tree.nearest(self._tree.points, NEIGHBOURS + 1)
        rows = np.repeat(np.arange(len(self._rows)), nearest.shape[1])
        others = nearest.ravel()
        rows, others = rows[others >= 0], others[others >= 0]
        pairs = np.unique(np.stack([np.minimum(rows, others), np.maximum(rows, others)], axis=1), axis=0)
        pairs = pairs[pairs[:, 0] < pairs[:, 1]]
        return np.split(pairs[:, 1], np.searchsorted(pairs[:, 0], np.arange(1, len(self._rows))))


class _Tree:
    """Descriptions of slices in a KD-tree. points: (n, directions)."""

    def __init__(self, spectra: np.ndarray, band: int, directions: int) -> None:
        self._band = band
        all_described = described(spectra, band)
        self._mean = all_described.mean(axis=0)
        spread = np.cov(all_described - self._mean, rowvar=False, bias=True)
        self._axes = np.linalg.eigh(spread)[1][:, : -directions - 1 : -1].astype(np.float32)
        self.points = (all_described - self._mean) @ self._axes
        self._tree = cKDTree(self.points)

    def placed(self, spectra: np.ndarray) -> np.ndarray:
        """Where slices would stand in the tree: (m, directions)."""
        placed: np.ndarray = (described(spectra, self._band) - self._mean) @ self._axes
        return placed

    def nearest(self, points: np.ndarray, count: int) -> np.ndarray:
        """The nearest slices of each point, (len(points), count) int64; where there are fewer, -1."""
        _, nearest = self._tree.query(points, k=np.arange(1, count + 1), eps=_SLACK, workers=-1)
        return np.where(nearest < len(self.points), nearest, -1)


def _is_copy(link: _Link | None) -> bool:
    return link is not None and link[4] == COPY
