"""Which slice is on which side: whole groups are dealt to train, val and test, stratified by class and plane.

The deal depends on names, labels, planes, groups and seed only: not on the order of the slices, the names of the
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
    """Names on each side, sorted. groups: name -> group. A group is never on two sides."""

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
        """The names on a side: train, val, test, or all. Raises BadData: another side."""
        if side == "all":
            return tuple(sorted(self.train + self.val + self.test))
        if side not in SIDES:
            raise BadData(f"{side!r} is no side of a split", f"use one of {', '.join(SIDES)}, all")
        return tuple(getattr(self, side))

    def side(self, name: str) -> str:
        """The side a slice is on. Raises BadData: a name that was not split."""
        for side in SIDES:
            if name in self.names_of(side):
                return side
        raise BadData(f"{name}: is on no side of this split", "split the data set again, or use the one of the run")

    def write(self, path: Path) -> None:
        """Write the split with its hash, whole or not at all. Raises CannotWrite."""
        write_json(path, {**self._content(), "sha256": self.sha256})

    @classmethod
    def read(cls, path: Path) -> Split:
        """Read a split. Raises BadData: unreadable, malformed, changed since it was written, or leaking."""
        again = "copy it again from the run that it belongs to"
        content = read_json(path, BadData, again)
        try:
            sides = {side: tuple(str(name) for name in content[side]) for side in SIDES}
            groups = {str(name): str(group) for name, group in content["groups"].items()}
            split = cls(**sides, groups=groups, seed=int(content["seed"]))
            stored = content["sha256"]
        except (KeyError, TypeError, ValueError, AttributeError) as problem:
            raise BadData(f"{path}: is not a split (lacks or garbles {problem})", again) from problem
        if stored != split.sha256:
            raise BadData(f"{path}: does not match its own hash", again)
        split._refuse_leak(path)
        return split

    def _refuse_leak(self, path: Path) -> None:
        """Raises BadData: a slice or a group on two sides."""
        homes: dict[str, tuple[str, str]] = {}
        for side in SIDES:
            for name in self.names_of(side):
                group = self.groups.get(name, name)
                other, first = homes.setdefault(group, (side, name))
                if other != side:
                    raise BadData(
                        f"{path}: leaks: group {group} is on two sides ({first}: {other}, {name}: {side})",
                        "split again by group and train again: what was learnt on one side cannot judge the other",
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
    """Deal whole groups to train, val and test.

    Args: names (unique), labels, planes, groups: one entry a slice. fractions: shares of the slices, in the order of
    SIDES, each above 0, sum 1.
    A group that mixes classes or planes counts for its majority. Shares are met per class and plane as nearly as
    whole groups allow; every class reaches every side.

    Raises BadData: a name twice, a slice without group, too few groups for three sides, or a class whose groups are too
    few to stand on every side.
    """
    _check(names, labels, planes, groups, fractions)
    members: dict[str, list[int]] = defaultdict(list)
    for index in sorted(range(len(names)), key=names.__getitem__):
        members[groups[index]].append(index)
    keys = {group: names[inside[0]] for group, inside in members.items()}
    strata = {group: _majority([(labels[i], planes[i]) for i in inside]) for group, inside in members.items()}
    sizes = {group: len(inside) for group, inside in members.items()}
    # A hash deals the same everywhere; a generator's stream may change with its library's version.
    order = sorted(members, key=lambda group: sha256_bytes(f"{seed}:{keys[group]}".encode()))
    sides = _deal(order, strata, sizes, fractions)
    _fill_gaps(order, sides, strata, sizes)
    found: dict[str, list[str]] = {side: [] for side in SIDES}
    for group, inside in members.items():
        found[sides[group]] += [names[index] for index in inside]
    _check_sides(found, dict(zip(names, labels, strict=True)))
    joined = dict(sorted(zip(names, groups, strict=True)))
    return Split(**{side: tuple(sorted(found[side])) for side in SIDES}, groups=joined, seed=seed)


def _deal(
    order: Sequence[str],
    strata: Mapping[str, Stratum],
    sizes: Mapping[str, int],
    fractions: tuple[float, float, float],
) -> dict[str, str]:
    """Group -> side: each group goes where its stratum lacks most. What a plane got too much, the next plane of the
    same class makes up for."""
    sides: dict[str, str] = {}
    for label in sorted({stratum[0] for stratum in strata.values()}):
        lack = [0.0] * len(SIDES)
        for plane in sorted({stratum[1] for stratum in strata.values() if stratum[0] == label}):
            here = [group for group in order if strata[group] == (label, plane)]
            total = sum(sizes[group] for group in here)
            lack = [old + share * total for old, share in zip(lack, fractions, strict=True)]
            for group in here:
                place = max(range(len(SIDES)), key=lack.__getitem__)
                lack[place] -= sizes[group]
                sides[group] = SIDES[place]
    return sides


def _fill_gaps(
    order: Sequence[str], sides: dict[str, str], strata: Mapping[str, Stratum], sizes: Mapping[str, int]
) -> None:
    """Give each side a group of each class that can spare one: the smallest of the side that has most."""
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
        raise BadData(f"a split of {fractions} is no split in three", "give three shares above 0 whose sum is 1")
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise BadData(f"{twice[0]}: stands twice in the data set", "names must be unique")
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
