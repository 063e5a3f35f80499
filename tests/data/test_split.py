from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebrain.data.readers import open_dataset
from edgebrain.data.split import SIDES, Split, make_split
from edgebrain.errors import BadData

LABELS = ("glioma", "meningioma", "pituitary", "no_tumor")
PLANES = ("axial", "coronal", "sagittal")
Columns = tuple[list[str], list[str], list[str], list[str]]


def columns(group_sizes: list[int], seed: int = 0) -> Columns:
    """Groups of these sizes, classes in turn, planes at random; one slice in ten disagrees with its group's class."""
    rng = random.Random(seed)
    rows = []
    for group, size in enumerate(group_sizes):
        plane = rng.choice(PLANES)
        for _ in range(size):
            label = rng.choice(LABELS) if rng.random() < 0.1 else LABELS[group % 4]
            rows.append((f"s{len(rows):04d}", label, plane, f"g{group}"))
    names, labels, planes, groups = (list(column) for column in zip(*rows, strict=True))
    return names, labels, planes, groups


sizes = st.lists(st.integers(1, 9), min_size=24, max_size=60)


@given(sizes, st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_no_group_is_ever_on_two_sides_and_no_slice_is_lost(group_sizes: list[int], seed: int) -> None:
    names, labels, planes, groups = columns(group_sizes)
    split = make_split(names, labels, planes, groups, seed)
    assert sorted(split.train + split.val + split.test) == sorted(names) == list(split.names_of("all"))
    sides: dict[str, set[str]] = {}
    for side in SIDES:
        for name in split.names_of(side):
            sides.setdefault(split.groups[name], set()).add(side)
    assert all(len(found) == 1 for found in sides.values())


@given(sizes, st.randoms(use_true_random=False))
@settings(max_examples=30, deadline=None)
def test_order_of_slices_and_names_of_groups_do_not_matter(group_sizes: list[int], rng: random.Random) -> None:
    names, labels, planes, groups = columns(group_sizes)
    split = make_split(names, labels, planes, groups)
    renamed = [f"{1000 - int(group[1:])}" for group in groups]
    rows = list(zip(names, labels, planes, renamed, strict=True))
    rng.shuffle(rows)
    again = make_split(*(list(column) for column in zip(*rows, strict=True)))
    assert (again.train, again.val, again.test) == (split.train, split.val, split.test)


@given(sizes)
@settings(max_examples=30, deadline=None)
def test_every_class_reaches_every_side(group_sizes: list[int]) -> None:
    names, labels, planes, groups = columns(group_sizes)
    split = make_split(names, labels, planes, groups)
    label = dict(zip(names, labels, strict=True))
    for side in SIDES:
        assert {label[name] for name in split.names_of(side)} == set(LABELS)


def test_shares_are_met_within_every_class_and_plane() -> None:
    rows = [(f"{c}{p}{i}", c, p, f"{c}{p}{i // 2}") for c in LABELS for p in PLANES for i in range(200)]
    names, labels, planes, groups = (list(column) for column in zip(*rows, strict=True))
    split = make_split(names, labels, planes, groups)
    kind = {name: (label, plane) for name, label, plane, _ in rows}
    for side, share in zip(SIDES, (0.70, 0.15, 0.15), strict=True):
        counts = Counter(kind[name] for name in split.names_of(side))
        assert all(abs(counts[c, p] - 200 * share) <= 4 for c in LABELS for p in PLANES), (side, counts)


def test_another_seed_deals_otherwise() -> None:
    names, labels, planes, groups = columns([3] * 40)
    first, second = (make_split(names, labels, planes, groups, seed) for seed in (0, 1))
    assert first.test != second.test and first.sha256 != second.sha256
    assert first.sha256 == make_split(names, labels, planes, groups, 0).sha256


def test_a_split_comes_back_from_its_file(tmp_path: Path) -> None:
    split = make_split(*columns([2] * 30))
    split.write(tmp_path / "split.json")
    back = Split.read(tmp_path / "split.json")
    assert back == split and back.sha256 == split.sha256
    assert all(back.side(name) == "val" for name in split.val)


def test_a_slice_moved_by_hand_is_noticed(tmp_path: Path) -> None:
    split = make_split(*columns([2] * 30))
    split.write(tmp_path / "split.json")
    content = json.loads((tmp_path / "split.json").read_text())
    content["train"].append(content["test"].pop())
    (tmp_path / "split.json").write_text(json.dumps(content))
    with pytest.raises(BadData, match="does not match its own hash"):
        Split.read(tmp_path / "split.json")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"train": 1, "val": [], "test": [], "groups": {}, "seed": 0}'])
def test_a_file_that_is_no_split_is_an_error_that_names_it(tmp_path: Path, content: str) -> None:
    (tmp_path / "split.json").write_text(content)
    with pytest.raises(BadData, match=r"split\.json"):
        Split.read(tmp_path / "split.json")


def test_an_unknown_side_or_name_is_an_error() -> None:
    split = make_split(*columns([2] * 30))
    with pytest.raises(BadData, match="'holdout' is not a side"):
        split.names_of("holdout")
    with pytest.raises(BadData, match="on no side"):
        split.side("ghost.png")


def test_too_few_groups_are_refused() -> None:
    with pytest.raises(BadData, match="in 2 groups cannot fill 3 sides"):
        make_split(["a", "b", "c"], ["glioma"] * 3, ["axial"] * 3, ["1", "1", "2"])
    with pytest.raises(BadData, match="no group of class no_tumor is left for the"):
        make_split(list("abcde"), ["glioma"] * 3 + ["no_tumor"] * 2, ["axial"] * 5, list("12345"))


def test_three_groups_of_a_class_are_enough_however_unequal() -> None:
    names = [f"n{i}" for i in range(24)]
    groups = ["big"] * 22 + ["x", "y"]
    for seed in range(10):
        split = make_split(names, ["glioma"] * 24, ["axial"] * 24, groups, seed)
        assert all(split.names_of(side) for side in SIDES)


def test_a_group_that_mixes_classes_counts_for_its_majority() -> None:
    rows = [(f"m{group}{i}", "meningioma" if i else "glioma", f"mixed{group}") for group in range(3) for i in range(5)]
    rows += [(f"g{group}", "glioma", f"pure{group}") for group in range(6)]
    names, labels, groups = (list(column) for column in zip(*rows, strict=True))
    for seed in range(20):
        split = make_split(names, labels, ["axial"] * len(names), groups, seed)
        mixed = [{split.groups[name] for name in split.names_of(side) if name[0] == "m"} for side in SIDES]
        assert [len(found) for found in mixed] == [1, 1, 1]


@pytest.mark.parametrize("fractions", [(0.7, 0.3, 0.0), (0.5, 0.2, 0.2), (1.2, -0.1, -0.1)])
def test_impossible_shares_are_refused(fractions: tuple[float, float, float]) -> None:
    with pytest.raises(BadData, match="do not make three sides"):
        make_split(*columns([2] * 30), fractions=fractions)


def test_a_name_twice_or_a_slice_without_group_is_refused() -> None:
    with pytest.raises(BadData, match="a: occurs twice"):
        make_split(list("aab"), ["glioma"] * 3, ["axial"] * 3, list("123"))
    with pytest.raises(BadData, match="b: has no group"):
        make_split(list("abc"), ["glioma"] * 3, ["axial"] * 3, ["1", "", "3"])


def test_on_the_real_brisc_every_class_and_plane_keeps_its_share(real_brisc: Path) -> None:
    records = open_dataset(real_brisc).records
    split = make_split(
        [r.name for r in records], [r.label for r in records], [r.plane for r in records], [r.group for r in records]
    )
    kind = {record.name: (record.label, record.plane) for record in records}
    whole = Counter(kind.values())
    held = Counter(kind[name] for name in split.test)
    assert all(0.11 < held[stratum] / count < 0.19 for stratum, count in whole.items()), held
