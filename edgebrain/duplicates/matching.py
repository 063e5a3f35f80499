"""Which slices of a set show the same picture, or neighbouring slices of one head. Nothing here knows labels or files.

1. Candidates. A slice without slowly varying brightness is described by what its low cosine coefficients share in all
   8 dihedral transforms. Its nearest neighbours in a KD-tree over a few principal directions are candidates.
2. Each candidate is compared in all 8 transforms; a similar one is compared again with its grey levels mapped.
3. Crops. Each slice is described six times more with its edges cut off; its neighbours are registered and compared.

Cost: more than N log N. The thresholds were set on BRISC 2025 and on planted copies; docs/explanation/auditing.md has
the figures.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from edgebrain.duplicates.dct import (
    BAND,
    dct_of,
    invariant_descriptors,
    unit_vectors,
    unit_vectors_of_transforms,
)
from edgebrain.duplicates.similarity import (
    DETAIL_SIDE,
    INVERSE,
    aligned_similarity,
    coarse_crops,
    details_of,
    dihedral_transform,
    halved,
    mapped_similarity,
)
from edgebrain.files import sha256_bytes
from edgebrain.progress import Progress, no_progress
from edgebrain.runtime.opencv import opencv_alone

COPY, CROPPED, NEAR = 0, 1, 2
# Neighbouring slices of one head reach NEAR_FROM. With mapped grey levels the same picture reaches COPY_FROM
# (neighbours seldom exceed 0.94), and a crop registered to its source CROPPED_FROM: more, because a registration with
# six degrees of freedom makes unrelated slices similar too (up to 0.949 was seen).
NEAR_FROM, COPY_FROM, CROPPED_FROM = 0.75, 0.95, 0.97
NEIGHBOURS, CROP_NEIGHBOURS, CROPS_TRIED = 32, 8, 8

# Highest frequency (u + v) and number of principal directions of the descriptions: fine enough to survive a change of
# gamma, and coarse enough to survive a shift by some pixels.
_FINE, _COARSE = (16, 32), (10, 24)
_BLOCK = 256
# A narrow window was seen to leave 0.72 before grey levels are mapped.
_MAPPED_FROM, _SURELY_COPY = 0.70, 0.97
# Correlations of band-limited details from which a pair is compared in full: as it is (all of the band), and with edges
# cut off (lower frequencies, which a shift by a pixel or two does not change).
_NEAR_FLOOR, _CROP_FLOOR, _CROP_BAND = 0.60, 0.85, 12
_TRANSFORMS_TRIED = 2
# The tree may miss a neighbour that is nearer than one it returns by this share at most. On 32,000 versions of BRISC
# 2025 it missed none, in less than half of the time.
_SLACK = 0.6
_Link = tuple[int, int, float, int, int]


@dataclass(frozen=True)
class Links:
    """Pairs of slices that belong together; entry i of every field is the same pair, first[i] < second[i].

    Attributes:
        first: (L,) int64, index of the one slice.
        second: (L,) int64, index of the other slice.
        similarity: (L,) float32, correlation of details, at most 1.
        dihedral: (L,) int8, position in `similarity.DIHEDRAL_NAMES` of the transform from the first to the second.
        kind: (L,) int8, COPY (the same picture), CROPPED (the same picture, cut or shifted) or NEAR (a neighbouring
            slice, or a very similar head).
    """

    first: np.ndarray
    second: np.ndarray
    similarity: np.ndarray
    dihedral: np.ndarray
    kind: np.ndarray

    def __len__(self) -> int:
        return len(self.first)


def find_links(images: np.ndarray, progress: Progress = no_progress) -> Links:
    """Find slices that show the same picture, or neighbouring slices of one head.

    Of more than NEIGHBOURS versions of one picture each is linked with some, not with all others. Exact repeats are
    linked with the first of them. Flat slices are linked with nothing. Memory: 13 KiB an image besides the images.

    Args:
        images: (N, 128, 128) uint8 grey levels, as `transform.downsample` makes them; may be a memory map.
        progress: Called with "matching", the steps done and the steps in all.

    Returns:
        Each pair once, sorted.
    """
    with opencv_alone():
        kept, found = _repeats(images)
        if len(kept) > 1:
            found += _Search(images, kept).links(progress)
    columns = list(zip(*sorted(found), strict=True)) or [()] * 5
    return Links(*(np.array(column, dtype=kind) for column, kind in zip(columns, _TYPES, strict=True)))


_TYPES = (np.int64, np.int64, np.float32, np.int8, np.int8)


def _repeats(images: np.ndarray) -> tuple[np.ndarray, list[_Link]]:
    """Indices of slices that are not flat, without exact repeats, and the links from the repeats to the first one.

    Repeats are taken out because a KD-tree cannot divide equal points, and they would fill up each other's candidates.
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
        # Half precision keeps memory at 8 KiB a slice; its rounding (0.0005) is far below the gaps between thresholds.
        self._details = np.empty(self._thumbs.shape, dtype=np.float16)
        self._dct = np.empty((len(rows), BAND + 1, BAND + 1), dtype=np.float32)
        for start in range(0, len(rows), _BLOCK):
            self._read(start)
        self._units, self._low_units = unit_vectors(self._dct, BAND), unit_vectors(self._dct, _CROP_BAND)
        self._tree, self._crop_tree = _Tree(self._dct, *_FINE), _Tree(self._dct, *_COARSE)

    def _read(self, start: int) -> None:
        """Keep a block's thumbnails, details and cosine coefficients."""
        block = slice(start, start + _BLOCK)
        self._thumbs[block] = [halved(np.asarray(self._images[row])) for row in self._rows[block]]
        self._details[block] = details_of(self._thumbs[block])
        self._dct[block] = dct_of(details_of(np.stack([halved(thumb) for thumb in self._thumbs[block]])))

    def links(self, progress: Progress) -> list[_Link]:
        """The links, between indices of the images."""
        found: dict[tuple[int, int], _Link] = {}
        steps, total = 0, 2 * len(self._rows)
        for part in (self._links_as_they_are(), self._links_with_crops(found)):
            for links in part:
                found.update({link[:2]: link for link in links})
                steps += 1
                progress("matching", steps, total)
        rows = self._rows.tolist()
        return [(rows[a], rows[b], similarity, dihedral, kind) for a, b, similarity, dihedral, kind in found.values()]

    def _links_as_they_are(self) -> Iterator[list[_Link]]:
        """For each slice, its links with later ones, both as they are."""
        for row, others in enumerate(self._partners()):
            values = unit_vectors_of_transforms(self._dct[row : row + 1], BAND)[:, 0] @ self._units[others].T
            near = np.flatnonzero(values.max(axis=0) >= _NEAR_FLOOR)
            pairs = zip(others[near].tolist(), values[:, near].argmax(axis=0).tolist(), strict=True)
            yield [link for other, dihedral in pairs for link in self._compared(row, other, dihedral)]

    def _compared(self, first: int, second: int, dihedral: int) -> list[_Link]:
        turned = dihedral_transform(self._details[first], dihedral).astype(np.float32)
        plain = float(np.vdot(turned, self._details[second].astype(np.float32)))
        if plain >= _SURELY_COPY:
            return [(first, second, plain, dihedral, COPY)]
        if plain >= _MAPPED_FROM:
            mapped = mapped_similarity(dihedral_transform(self._thumbs[first], dihedral), self._thumbs[second])
            if mapped >= COPY_FROM:
                return [(first, second, mapped, dihedral, COPY)]
        return [(first, second, plain, dihedral, NEAR)] if plain >= NEAR_FROM else []

    def _links_with_crops(self, known: dict[tuple[int, int], _Link]) -> Iterator[list[_Link]]:
        """For each slice, its links with slices that are similar to a crop of it; known copies are left out."""
        for start in range(0, len(self._rows), _BLOCK):
            rows = range(start, min(start + _BLOCK, len(self._rows)))
            crops = dct_of(details_of(np.concatenate([coarse_crops(self._thumbs[row]) for row in rows])))
            nearest = self._crop_tree.nearest(self._crop_tree.project(crops), CROP_NEIGHBOURS)
            crops, nearest = (part.reshape(len(rows), -1, *part.shape[1:]) for part in (crops, nearest))
            for row, cut, near in zip(rows, crops, nearest, strict=True):
                likely = self._likely_crops(row, cut, np.unique(near).tolist(), known)
                yield [link for other, crop, dihedral in likely for link in self._crop_link(row, other, crop, dihedral)]

    def _likely_crops(
        self, row: int, cut: np.ndarray, near: list[int], known: dict[tuple[int, int], _Link]
    ) -> Iterator[tuple[int, int, int]]:
        """Slices that may be a crop of a slice, each with the crop and the dihedral transform that fit best.

        Heads are nearly symmetric, so the second best transform is tried too.

        Args:
            row: The slice.
            cut: (6, BAND + 1, BAND + 1) float32, coefficients of its crops.
            near: Candidates; -1 stands for none.
            known: The links found so far.
        """
        others = [n for n in near if n not in (-1, row) and not _is_copy(known.get((min(row, n), max(row, n))))]
        # Shape (transform, crop, candidate).
        values = unit_vectors_of_transforms(cut, _CROP_BAND) @ self._low_units[others].T
        ranked = np.argsort(-values.max(axis=(0, 1)), kind="stable")
        for candidate in ranked[:CROPS_TRIED].tolist():
            best = values[:, :, candidate].max(axis=1)
            for dihedral in np.argsort(-best, kind="stable")[:_TRANSFORMS_TRIED].tolist():
                if best[dihedral] >= _CROP_FLOOR:
                    yield others[candidate], int(values[dihedral, :, candidate].argmax()), dihedral

    def _crop_link(self, row: int, other: int, crop: int, dihedral: int) -> list[_Link]:
        """The link of a slice with another one that is its crop after a transform; none where it is not."""
        whole, part = (np.asarray(self._images[self._rows[one]]) for one in (row, other))
        similarity = aligned_similarity(whole, dihedral_transform(part, INVERSE[dihedral]), crop)
        if similarity < CROPPED_FROM:
            return []
        return [(min(row, other), max(row, other), similarity, dihedral if row < other else INVERSE[dihedral], CROPPED)]

    def _partners(self) -> list[np.ndarray]:
        """For each slice its candidates among the later slices, sorted, so that each pair is compared once."""
        nearest = self._tree.nearest(self._tree.points, NEIGHBOURS + 1)
        rows = np.repeat(np.arange(len(self._rows)), nearest.shape[1])
        others = nearest.ravel()
        rows, others = rows[others >= 0], others[others >= 0]
        pairs = np.unique(np.stack([np.minimum(rows, others), np.maximum(rows, others)], axis=1), axis=0)
        pairs = pairs[pairs[:, 0] < pairs[:, 1]]
        return np.split(pairs[:, 1], np.searchsorted(pairs[:, 0], np.arange(1, len(self._rows))))


class _Tree:
    """Descriptors of slices, projected on their principal directions, in a KD-tree.

    Attributes:
        points: (n, directions) float32.
    """

    def __init__(self, coefficients: np.ndarray, band: int, directions: int) -> None:
        self._band = band
        descriptors = invariant_descriptors(coefficients, band)
        self._mean = descriptors.mean(axis=0)
        spread = np.cov(descriptors - self._mean, rowvar=False, bias=True)
        self._axes = np.linalg.eigh(spread)[1][:, : -directions - 1 : -1].astype(np.float32)
        self.points = (descriptors - self._mean) @ self._axes
        self._tree = cKDTree(self.points)

    def project(self, coefficients: np.ndarray) -> np.ndarray:
        """Points of other slices: (m, BAND + 1, BAND + 1) coefficients to (m, directions) float32."""
        points: np.ndarray = (invariant_descriptors(coefficients, self._band) - self._mean) @ self._axes
        return points

    def nearest(self, points: np.ndarray, count: int) -> np.ndarray:
        """The nearest slices of (m, directions) points: (m, count) int64, -1 where there are fewer."""
        _, nearest = self._tree.query(points, k=np.arange(1, count + 1), eps=_SLACK, workers=-1)
        return np.where(nearest < len(self.points), nearest, -1)


def _is_copy(link: _Link | None) -> bool:
    return link is not None and link[4] == COPY
