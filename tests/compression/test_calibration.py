"""Calibration images come from the training side, and only what was really seen is counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from edgebrain.compression.calibration import choose_calibration
from edgebrain.data.pack import Pack, open_pack
from edgebrain.data.readers import open_dataset
from edgebrain.data.split import Split
from edgebrain.errors import BadData
from edgebrain.recipe import CalibrationPart
from tests.networks import FinishedRun

PART = CalibrationPart(slices=24)


@pytest.fixture
def pack(computed: FinishedRun) -> Pack:
    return open_pack(open_dataset(computed.phantoms), 64)


@pytest.fixture
def split(computed: FinishedRun) -> Split:
    return Split.read(computed.run / "split.json")


def test_every_calibration_image_is_on_the_training_side(pack: Pack, split: Split) -> None:
    chosen = choose_calibration(pack, split, PART)
    assert len(chosen.names) == len(set(chosen.names)) == 24
    assert set(chosen.names) <= set(split.names_of("train"))
    np.testing.assert_array_equal(chosen.images, pack.images[pack.index(chosen.names)])


@pytest.mark.parametrize("side", ["val", "test", "all"])
def test_asking_for_another_side_is_an_error(side: str, pack: Pack, split: Split) -> None:
    with pytest.raises(BadData, match=f"calibration on the {side} side"):
        choose_calibration(pack, split, replace(PART, split=side))


def test_every_class_is_calibrated_on(pack: Pack, split: Split) -> None:
    rows = pack.index(choose_calibration(pack, split, PART).names)
    shares = Counter(pack.labels[rows].tolist())
    assert set(shares) == {0, 1, 2, 3}
    assert max(shares.values()) <= 12


def test_the_seed_decides_and_nothing_else(pack: Pack, split: Split) -> None:
    first = choose_calibration(pack, split, PART)
    assert choose_calibration(pack, split, PART).csv == first.csv
    assert choose_calibration(pack, split, replace(PART, seed=1)).sha256 != first.sha256


def test_only_images_that_leave_are_counted_as_seen(pack: Pack, split: Split) -> None:
    chosen = choose_calibration(pack, split, PART)
    tensors = chosen.tensors()
    for _ in range(5):
        next(tensors)
    assert chosen.seen == 5
    assert chosen.unread().seen == 0


def test_tensors_are_grey_values_over_255(pack: Pack, split: Split) -> None:
    chosen = choose_calibration(pack, split, PART)
    tensor = next(chosen.tensors())
    assert tensor.shape == (1, 64, 64, 1) and tensor.dtype == np.float32
    np.testing.assert_array_equal(np.rint(tensor[0, ..., 0] * 255), chosen.images[0])


def test_the_list_names_hash_and_group_of_each_image(pack: Pack, split: Split) -> None:
    chosen = choose_calibration(pack, split, PART)
    head, *rows = chosen.csv.decode().splitlines()
    assert head == "name,group,sha256"
    row = pack.index([rows[0].split(",")[0]])[0]
    assert rows[0] == f"{pack.names[row]},{pack.groups[row]},{pack.sha256s[row]}"


def test_a_training_side_of_a_handful_is_refused(pack: Pack, split: Split) -> None:
    with pytest.raises(BadData, match="needs at least 8"):
        choose_calibration(pack, replace(split, train=split.train[:5]), PART)
