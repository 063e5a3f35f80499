from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgebrain.duplicates.groups import groups_from_images, groups_of_links
from edgebrain.duplicates.matching import COPY, CROPPED, NEAR, NEAR_FROM, NEIGHBOURS, find_links
from edgebrain.duplicates.similarity import details_of, dihedral_transform, dihedral_transforms, halved
from edgebrain.phantom.generator import generate
from edgebrain.runtime.image import decode
from edgebrain.runtime.transform import downsample

# The first slice of each of the first heads: 1 + 2 + 1 + 3 + 1 + 1 + 3 slices in each round of seven heads.
STARTS = [0, 1, 3, 4, 7, 8, 9]
FIRST_SLICES = [start + 12 * turn for turn in range(4) for start in STARTS]


@pytest.fixture(scope="module")
def drawn() -> list[np.ndarray]:
    """28 unrelated slices at their own sizes."""
    return [generate(index, seed=21).image for index in FIRST_SLICES]


@pytest.fixture(scope="module")
def unrelated(drawn: list[np.ndarray]) -> np.ndarray:
    return small(drawn)


def small(images: list[np.ndarray]) -> np.ndarray:
    return np.stack([downsample(np.ascontiguousarray(image), 128, 128) for image in images])


def recompressed(image: np.ndarray) -> np.ndarray:
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 30])[1], cv2.IMREAD_GRAYSCALE)


def cut(image: np.ndarray, down: float, right: float, share: float = 0.05) -> np.ndarray:
    away = [round(side * share) for side in image.shape]
    top, left = round(away[0] * down), round(away[1] * right)
    return image[top : top + image.shape[0] - away[0], left : left + image.shape[1] - away[1]]


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "gamma 0.5": lambda image: (255 * (image / 255.0) ** 0.5).astype(np.uint8),
    "gamma 2": lambda image: (255 * (image / 255.0) ** 2).astype(np.uint8),
    "JPEG quality 30": recompressed,
    "half the size": lambda image: cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
    "twice the size": lambda image: cv2.resize(image, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC),
    "crop in the middle": lambda image: cut(image, 0.5, 0.5),
    "crop at a corner": lambda image: cut(image, 0.0, 1.0),
    "crop elsewhere": lambda image: cut(image, 0.8, 0.3),
    "crop at every edge": lambda image: cut(image, 0.5, 0.5, share=0.1),
    "mirror, crop and JPEG": lambda image: recompressed(np.ascontiguousarray(cut(image, 0.3, 0.6)[:, ::-1])),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_is_the_same_picture(drawn: list[np.ndarray], unrelated: np.ndarray, change: str) -> None:
    copies = small([CHANGES[change](image) for image in drawn])
    links = find_links(np.concatenate([unrelated, copies]))
    same = links.kind != NEAR
    found = set(zip(links.first[same].tolist(), links.second[same].tolist(), strict=True))
    assert found == {(row, row + len(drawn)) for row in range(len(drawn))}
    assert set(links.kind[same].tolist()) == ({CROPPED} if "crop" in change else {COPY})


@pytest.mark.parametrize("dihedral", range(8))
def test_the_transform_of_a_link_turns_the_first_slice_into_the_second(unrelated: np.ndarray, dihedral: int) -> None:
    copies = np.stack([dihedral_transform(image, dihedral) for image in unrelated])
    links = find_links(np.concatenate([unrelated, copies]))
    same = links.kind == COPY
    assert same.sum() == len(unrelated) and set(links.dihedral[same].tolist()) == {dihedral}
    links = find_links(np.concatenate([copies, unrelated]))
    for first, second, way in zip(links.first, links.second, links.dihedral, strict=True):
        if second == first + len(unrelated):
            assert (dihedral_transform(copies[first], int(way)) == unrelated[second - len(unrelated)]).all()


def test_unrelated_slices_are_no_copies_and_seldom_neighbours(unrelated: np.ndarray) -> None:
    links = find_links(unrelated)
    assert (links.kind == NEAR).all() and len(links) <= 2


def test_neighbouring_slices_of_a_head_are_linked_and_heads_are_not() -> None:
    images = small([generate(index, seed=21).image for index in (1, 2, 13, 14, 25, 26)])
    links = find_links(images)
    assert list(zip(links.first.tolist(), links.second.tolist(), strict=True)) == [(0, 1), (2, 3), (4, 5)]


def test_slices_of_real_patients_are_linked_within_a_patient_only_and_are_no_copies(real_figshare: Path) -> None:
    with (real_figshare / "slices.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    paths = [real_figshare / "images" / f"{row['name']}.jpg" for row in rows]
    images = small([decode(path.read_bytes(), path.name) for path in paths])
    patients = np.array([row["patient"] for row in rows])
    links = find_links(images)
    assert (patients[links.first] == patients[links.second]).all()
    assert len(links) > 15 and (links.kind == NEAR).mean() > 0.95


def test_the_search_finds_what_comparing_all_with_all_finds() -> None:
    images = small([generate(index, seed=4).image for index in range(100)])
    flat = details_of(np.stack([halved(image) for image in images]))
    every = [(turned.reshape(100, -1) @ flat.reshape(100, -1).T) for turned in dihedral_transforms(flat)]
    rows, columns = np.nonzero(np.triu(np.max(every, axis=0) >= NEAR_FROM, 1))
    wanted = set(zip(rows.tolist(), columns.tolist(), strict=True))
    links = find_links(images)
    found = set(zip(links.first.tolist(), links.second.tolist(), strict=True))
    assert len(wanted) > 30 and len(wanted - found) <= 0.01 * len(wanted)


def test_each_pair_stands_once_and_the_pairs_are_sorted(unrelated: np.ndarray) -> None:
    links = find_links(np.concatenate([unrelated, unrelated[:, :, ::-1], unrelated]))
    pairs = list(zip(links.first.tolist(), links.second.tolist(), strict=True))
    assert pairs == sorted(set(pairs)) and all(first < second for first, second in pairs)


def test_exact_repeats_are_linked_with_the_first_however_many_they_are(unrelated: np.ndarray) -> None:
    images = np.concatenate([unrelated[:3], np.repeat(unrelated[1:2], 3 * NEIGHBOURS, axis=0)])
    links = find_links(images)
    mine = (links.first == 1) & (links.similarity == 1.0)
    assert links.second[mine].tolist() == list(range(3, len(images)))
    assert len(set(groups_from_images(images))) == 3


def test_more_versions_than_a_slice_has_candidates_are_still_one_group(unrelated: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    versions = [np.clip(unrelated[0] + rng.normal(0, 3, (128, 128)), 0, 255) for _ in range(2 * NEIGHBOURS)]
    groups = groups_from_images(np.concatenate([np.stack(versions).astype(np.uint8), unrelated[1:]]))
    assert len(set(groups[: 2 * NEIGHBOURS])) == 1 and len(set(groups)) >= 26


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_slices_are_no_problem(unrelated: np.ndarray, count: int) -> None:
    assert len(find_links(unrelated[:count])) == 0


def test_progress_reaches_its_end(unrelated: np.ndarray) -> None:
    steps: list[tuple[int, int]] = []
    find_links(unrelated, lambda what, done, total: steps.append((done, total)))
    assert steps[-1] == (56, 56) and [done for done, _ in steps] == list(range(1, 57))


def test_groups_follow_chains_and_are_named_by_their_first_slice() -> None:
    groups = groups_of_links(6, np.array([1, 4, 2]), np.array([4, 5, 3]))
    assert groups == ["g00000", "g00001", "g00002", "g00002", "g00001", "g00001"]
