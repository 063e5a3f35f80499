from __future__ import annotations

from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier

from edgebrain.bundle import CLASSES
from edgebrain.data.readers import open_dataset
from edgebrain.data.sample import PLANES
from edgebrain.errors import CannotWrite
from edgebrain.phantom.generator import Phantom, builtin_phantoms, generate, write_phantoms
from tests.data.pictures import no_file_above

COUNT = 240


@pytest.fixture(scope="module")
def drawn() -> list[Phantom]:
    return [generate(index, seed=11) for index in range(COUNT)]


def tumours(drawn: list[Phantom]) -> list[Phantom]:
    return [phantom for phantom in drawn if phantom.label != "no_tumor"]


def dice(predicted: np.ndarray, truth: np.ndarray) -> float:
    return 2.0 * np.count_nonzero(predicted & truth) / max(1, np.count_nonzero(predicted) + np.count_nonzero(truth))


def test_a_slice_follows_from_its_number_and_seed(drawn: list[Phantom]) -> None:
    again, other = generate(17, seed=11), generate(17, seed=12)
    assert (again.image == drawn[17].image).all() and (again.mask == drawn[17].mask).all()
    assert other.image.shape != again.image.shape or (other.image != again.image).any()


def test_only_tumours_have_a_lesion_and_it_is_of_plausible_size(drawn: list[Phantom]) -> None:
    for phantom in drawn:
        assert phantom.image.dtype == np.uint8 and phantom.mask.dtype == np.bool_
        assert phantom.image.shape == phantom.mask.shape
        assert phantom.mask.any() == (phantom.label != "no_tumor")
    areas = [phantom.mask.mean() for phantom in tumours(drawn)]
    assert min(areas) > 0.0005 and max(areas) < 0.15
    assert 0.007 < float(np.median(areas)) < 0.02


def test_every_class_and_plane_is_drawn_about_equally_often(drawn: list[Phantom]) -> None:
    counts = Counter((phantom.label, phantom.plane) for phantom in drawn)
    assert set(counts) == {(label, plane) for label in CLASSES for plane in PLANES}
    assert min(counts.values()) >= COUNT / 12 * 0.5


def test_slices_differ_in_size_and_some_are_not_square(drawn: list[Phantom]) -> None:
    shapes = {phantom.image.shape for phantom in drawn}
    assert len({height for height, _ in shapes}) >= 5
    assert any(height != width for height, width in shapes)


def test_a_head_has_one_class_and_plane_and_one_to_three_slices(drawn: list[Phantom]) -> None:
    heads: dict[str, list[Phantom]] = {}
    for phantom in drawn:
        heads.setdefault(phantom.group, []).append(phantom)
    assert {len(slices) for slices in heads.values()} == {1, 2, 3}
    assert all(len({(one.label, one.plane) for one in slices}) == 1 for slices in heads.values())


def test_slices_of_a_head_are_neighbours_and_the_third_is_mirrored(drawn: list[Phantom]) -> None:
    def alike(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])

    heads: dict[str, list[Phantom]] = {}
    for phantom in drawn:
        heads.setdefault(phantom.group, []).append(phantom)
    for first, *others in heads.values():
        for place, other in enumerate(others, start=1):
            turned = other.image[:, ::-1] if place == 2 and other.plane != "sagittal" else other.image
            assert turned.shape == first.image.shape and alike(first.image, turned) > 0.8
            if turned is not other.image:
                assert alike(first.image, turned) > alike(first.image, other.image)
            assert first.label == "no_tumor" or other.mask.sum() < first.mask.sum()


def test_no_brightness_finds_the_lesion(drawn: list[Phantom]) -> None:
    found = tumours(drawn)
    otsu = [dice(p.image > cv2.threshold(p.image, 0, 255, cv2.THRESH_OTSU)[0], p.mask) for p in found]
    # An oracle that picks the best threshold of each slice: no real threshold can do better.
    oracle = [max(dice(p.image >= level, p.mask) for level in range(30, 256, 15)) for p in found]
    assert np.mean(otsu) < 0.15
    assert np.mean(oracle) < 0.30


def test_copying_the_mask_of_the_most_alike_other_head_finds_little(drawn: list[Phantom]) -> None:
    found = tumours(drawn)
    small = np.stack([cv2.resize(p.image, (32, 32), interpolation=cv2.INTER_AREA).ravel() for p in found])
    masks = [cv2.resize(p.mask.astype(np.uint8), (128, 128), interpolation=cv2.INTER_AREA) > 0 for p in found]
    alike = np.corrcoef(small.astype(float))
    same = np.array([[a.group == b.group for a in found] for b in found])
    np.fill_diagonal(alike, -1.0)
    leaking = alike.argmax(axis=1)
    honest = np.where(same, -1.0, alike).argmax(axis=1)
    assert np.mean([dice(masks[other], mask) for other, mask in zip(honest, masks, strict=True)]) < 0.30
    # Where a head's other slice may be copied, copying pays: this is what grouped splits are for.
    twins = [i for i in range(len(found)) if same[i].sum() > 1]
    assert np.mean([dice(masks[leaking[i]], masks[i]) for i in twins]) > 0.45


def test_class_cannot_be_read_from_brightness_or_from_the_lesions_size(drawn: list[Phantom]) -> None:
    labels = np.array([CLASSES.index(p.label) for p in drawn])
    groups = np.array([p.group for p in drawn])
    looks = np.array([[p.image.mean(), p.image.std(), (p.image < 20).mean(), p.image.size] for p in drawn])
    looks = (looks - looks.mean(axis=0)) / looks.std(axis=0)
    sick = labels != CLASSES.index("no_tumor")
    areas = np.log([[p.mask.mean()] for p in tumours(drawn)])

    def accuracy(features: np.ndarray, rows: np.ndarray) -> float:
        model = KNeighborsClassifier(15)
        return float(cross_val_score(model, features, labels[rows], groups=groups[rows], cv=GroupKFold(5)).mean())

    assert accuracy(looks, np.ones(len(drawn), dtype=bool)) < 0.25 + 0.13
    assert accuracy(areas, sick) < 1 / 3 + 0.17


def test_healthy_heads_hold_spots_as_bright_as_lesions(drawn: list[Phantom]) -> None:
    lesion = np.median([np.median(p.image[p.mask]) / np.median(p.image[p.image > 30]) for p in tumours(drawn)])
    healthy = [p for p in drawn if p.label == "no_tumor"]
    shares = [(p.image > lesion * np.median(p.image[p.image > 30])).mean() for p in healthy]
    assert np.mean([share > 0.01 for share in shares]) > 0.9


def test_a_folder_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    def stop(what: str, done: int, total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_phantoms(tmp_path / "set", 10, progress=stop)
    assert list(tmp_path.glob("**/*.png")) == []
    write_phantoms(tmp_path / "set", 4)
    with pytest.raises(CannotWrite, match="already exists"):
        write_phantoms(tmp_path / "set", 4)


def test_a_full_disk_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    with no_file_above(5_000), pytest.raises(CannotWrite, match="cannot be written"):
        write_phantoms(tmp_path / "set", 10)
    assert list(tmp_path.iterdir()) == []


def test_a_longer_set_begins_with_the_shorter_one(tmp_path: Path) -> None:
    write_phantoms(tmp_path / "short", 4, seed=2)
    write_phantoms(tmp_path / "long", 8, seed=2)
    for image in (tmp_path / "short" / "images").iterdir():
        assert image.read_bytes() == (tmp_path / "long" / "images" / image.name).read_bytes()


def test_the_builtin_set_is_written_once_into_the_cache(cache: Path) -> None:
    folder = builtin_phantoms(6, 1)
    assert folder.parent == cache and len(open_dataset(folder).records) == 6
    before = (folder / "phantom.json").stat().st_mtime_ns
    assert builtin_phantoms(6, 1) == folder and (folder / "phantom.json").stat().st_mtime_ns == before
    assert builtin_phantoms(6, 2) != folder
