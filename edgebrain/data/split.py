"""Which slice is on which side: whole groups are assigned to train, val and test, stratified by class and plane.

The split depends on names, labels, planes, groups and seed only: not on the order of the slices, the names of the
groups, the machine or a library's random numbers.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgebrain.errors import BadData
from edgebrain.files import read_json, sha256_bytes, sha256_json, write_json

SIDES = ("train", "val", "test")
Stratum = tuple[str, str]


@dataclass(frozen=True)
class Split:
    """The slices on each side.

    Attributes:
        train: Names, sorted.
        val: Names, sorted.
        test: Names, sorted.
        groups: Name -> group. A group is never on two sides.
        seed: That the split was made with.
    """

    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]
    groups: Mapping[str, str] = field(repr=False)
    seed: int = 0

    @property
    def sha256(self) -> str:
        """SHA-256 of the canonical JSON of sides, groups and seed."""
        return sha256_json(self._content())

    def names_of(self, side: str) -> tuple[str, ...]:
        """The names on a side.

        Args:
            side: train, val, test or all.

        Raises:
            BadData: There is no such side.
        """
        if side == "all":
            return tuple(sorted(self.train + self.val + self.test))
        if side not in SIDES:
            raise BadData(f"{side!r} is not a side of a split", f"use one of {', '.join(SIDES)}, all")
        return tuple(getattr(self, side))

    def side(self, name: str) -> str:
        """The side that a slice is on.

        Raises:
            BadData: The name is on no side.
        """
        for side in SIDES:
            if name in self.names_of(side):
                return side
        raise BadData(f"{name}: is on no side of this split", "split the data set again, or use the one of the run")

    def write(self, path: Path) -> None:
        """Write the split with its hash, whole or not at all. Raises CannotWrite."""
        write_json(path, {**self._content(), "sha256": self.sha256})

    @classmethod
    def read(cls, path: Path) -> Split:
        """Read a split.

        Raises:
            BadData: It cannot be read, is malformed, was changed since it was written, or has a group on two sides.
        """
        again = "copy it again from the run that it belongs to"
        content = read_json(path, BadData, again)
        try:
            sides = {side: tuple(str(name) for name in content[side]) for side in SIDES}
            groups = {str(name): str(group) for name, group in content["groups"].items()}
            split = cls(**sides, groups=groups, seed=int(content["seed"]))
            stored = content["sha256"]
        except (KeyError, TypeError, ValueError, AttributeError) as problem:
            raise BadData(f"{path}: is not a split ({problem} is missing or malformed)", again) from problem
        if stored != split.sha256:
            raise BadData(f"{path}: does not match its own hash", again)
        split._refuse_leak(path)
        return split

    def _refuse_leak(self, path: Path) -> None:
        """Raises BadData: a slice or a group on two sides."""
        first_seen: dict[str, tuple[str, str]] = {}
        for side in SIDES:
            for name in self.names_of(side):
                group = self.groups.get(name, name)
                other, first = first_seen.setdefault(group, (side, name))
                if other != side:
                    raise BadData(
                        f"{path}: leaks: group {group} is on two sides ({first}: {other}, {name}: {side})",
                        "split again by group and train again: a model cannot be tested on groups it was trained on",
                    )

    def _content(self) -> dict[str, Any]:
        sides = {side: list(self.names_of(side)) for side in SIDES}
        return {**sides, "groups": dict(self.groups), "seed": self.seed}


def make_split(
    names: Sequence[str],
    labels: Sequence[str],
    planes: Sequence[str],
    groups: Sequence[str],
    seed: int = 0,
    fractions: tuple[float, float, float] = (0.70, 0.15, 0.15),
) -> Split:
    """Assign whole groups to train, val and test.

    A group with several classes or planes counts as its most frequent one. In each class and plane the fractions are
    met as nearly as whole groups allow, and every class is on every side.

    Args:
        names: Of the slices, unique.
        labels: The class of each slice.
        planes: The plane of each slice.
        groups: The group of each slice.
        seed: Another seed gives another split.
        fractions: Shares of the slices in the order of SIDES, each above 0, with sum 1.

    Raises:
        BadData: A name occurs twice, a slice has no group, there are too few groups for three sides, or a class has too
            few groups to be on every side.

    Example:
        >>> names, labels = [f"{n}.png" for n in range(12)], ["glioma", "no_tumor"] * 6
        >>> split = make_split(names, labels, ["axial"] * 12, names)
        >>> len(split.train), len(split.val), len(split.test)
        (8, 2, 2)
    """
    _check(names, labels, planes, groups, fractions)
    members: dict[str, list[int]] = defaultdict(list)
    for index in sorted(range(len(names)), key=names.__getitem__):
        members[groups[index]].append(index)
    keys = {group: names[inside[0]] for group, inside in members.items()}
    strata = {group: _majority([(labels[i], planes[i]) for i in inside]) for group, inside in members.items()}
    sizes = {group: len(inside) for group, inside in members.items()}
    # Shuffled by hash, because a generator's stream may change with its library's version.
    order = sorted(members, key=lambda group: sha256_bytes(f"{seed}:{keys[group]}".encode()))
    sides = _assign(order, strata, sizes, fractions)
    _fill_gaps(order, sides, strata, sizes)
    found: dict[str, list[str]] = {side: [] for side in SIDES}
    for group, inside in members.items():
        found[sides[group]] += [names[index] for index in inside]
    _check_sides(found, dict(zip(names, labels, strict=True)))
    joined = dict(sorted(zip(names, groups, strict=True)))
    return Split(**{side: tuple(sorted(found[side])) for side in SIDES}, groups=joined, seed=seed)


def _assign(
    order: Sequence[str],
    strata: Mapping[str, Stratum],
    sizes: Mapping[str, int],
    fractions: tuple[float, float, float],
) -> dict[str, str]:
    """Group -> side: each group goes to the side that lacks most slices of its class.

    The lack is carried over from one plane to the next of the same class, so that rounding does not add up.
    """
    sides: dict[str, str] = {}
    for label in sorted({stratum[0] for stratum in strata.values()}):
        lack = [0.0] * len(SIDES)
        for plane in sorted({stratum[1] for stratum in strata.values() if stratum[0] == label}):
            here = [group for group in order if strata[group] == (label, plane)]
            total = sum(sizes[group] for group in here)
            lack = [old + share * total for old, share in zip(lack, fractions, strict=True)]
            for group in here:
                index = max(range(len(SIDES)), key=lack.__getitem__)
                lack[index] -= sizes[group]
                sides[group] = SIDES[index]
    return sides


def _fill_gaps(
    order: Sequence[str], sides: dict[str, str], strata: Mapping[str, Stratum], sizes: Mapping[str, int]
) -> None:
    """Give a side without any group of a class the smallest one of the side that has most groups of it."""
    for label in sorted({stratum[0] for stratum in strata.values()}):
        for side in SIDES:
            mine = [group for group in order if strata[group][0] == label]
            held = Counter(sides[group] for group in mine)
            if held[side]:
                continue
            donor, spare = max(held.items(), key=lambda item: (item[1], item[0]))
            if spare > 1:
                sides[min((group for group in mine if sides[group] == donor), key=sizes.__getitem__)] = side


def _majority(found: Sequence[Stratum]) -> Stratum:
    """The most frequent; of equals the first in the alphabet."""
    counts = Counter(found)
    return min(counts, key=lambda stratum: (-counts[stratum], stratum))


def _check(
    names: Sequence[str],
    labels: Sequence[str],
    planes: Sequence[str],
    groups: Sequence[str],
    fractions: tuple[float, float, float],
) -> None:
    assert len(names) == len(labels) == len(planes) == len(groups)
    if min(fractions) <= 0 or abs(sum(fractions) - 1.0) > 1e-6:
        raise BadData(f"fractions {fractions} do not make three sides", "give three shares above 0 whose sum is 1")
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise BadData(f"{twice[0]}: occurs twice in the data set", "names must be unique")
    lost = [name for name, group in zip(names, groups, strict=True) if not group]
    if lost:
        raise BadData(f"{lost[0]}: has no group", "give a groups.csv, or compute groups from the images")
    if len(set(groups)) < len(SIDES):
        raise BadData(
            f"{len(names)} slices in {len(set(groups))} groups cannot fill {len(SIDES)} sides",
            "a group stays on one side: add slices of other patients",
        )


def _check_sides(found: Mapping[str, Sequence[str]], labels: Mapping[str, str]) -> None:
    for side in SIDES:
        for label in sorted(set(labels.values())):
            if not any(labels[name] == label for name in found[side]):
                raise BadData(
                    f"no group of class {label} is left for the {side} side",
                    f"a group stays on one side: add {label} slices of other patients (three groups at least)",
                )
