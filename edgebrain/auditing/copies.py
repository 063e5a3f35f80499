"""Pictures that occur more than once, in whatever form, and what that does to a split, to labels and to groups."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from edgebrain.auditing.facts import PictureFacts
from edgebrain.auditing.finding import Finding
from edgebrain.duplicates.groups import groups_of_links
from edgebrain.duplicates.matching import COPY, CROPPED, Links
from edgebrain.duplicates.similarity import DIHEDRAL_NAMES

# Kind of a pair -> its title, most obvious first. All but the last show the same picture.
KINDS = {
    "file": "byte-identical files",
    "pixels": "same pixels in another file",
    "copy": "same picture, re-windowed, re-scaled or recompressed",
    "mirrored": "mirrored copies",
    "turned": "turned copies",
    "cropped": "cropped or shifted copies",
    "near": "neighbouring slices or look-alikes",
}
SAME_PICTURE = tuple(kind for kind in KINDS if kind != "near")
MIRRORED = (1, 2)


@dataclass(frozen=True)
class Pair:
    """Two slices that belong together.

    Attributes:
        first: Index of the one slice.
        second: Index of the other slice, higher than `first`.
        kind: A key of KINDS.
        similarity: Correlation of details, at most 1.
        dihedral: Position in DIHEDRAL_NAMES of the transform from the first to the second.
    """

    first: int
    second: int
    kind: str
    similarity: float
    dihedral: int

    @property
    def detail(self) -> str:
        """Similarity and transform as text; empty for equal files and pixels."""
        if self.kind in ("file", "pixels"):
            return ""
        return f"{self.similarity:.3f}" + (f", {DIHEDRAL_NAMES[self.dihedral]}" if self.dihedral else "")


def pairs_of(facts: Sequence[PictureFacts], links: Links) -> list[Pair]:
    """List the pairs, each once under its most obvious kind. Of several equal files each is paired with the first.

    Args:
        facts: Of the pictures.
        links: What was found among their images, by the same indices.

    Returns:
        The pairs, most obvious kind and highest similarity first.
    """
    found: dict[tuple[int, int], Pair] = {}
    for kind, key in (("file", "sha256"), ("pixels", "pixels")):
        for first, second in _repeats([getattr(fact, key) for fact in facts]):
            found.setdefault((first, second), Pair(first, second, kind, 1.0, 0))
    columns = (links.first, links.second, links.similarity, links.dihedral, links.kind)
    for first, second, similarity, dihedral, kind in zip(*(column.tolist() for column in columns), strict=True):
        found.setdefault((first, second), Pair(first, second, _kind(kind, dihedral), similarity, dihedral))
    return sorted(
        found.values(), key=lambda pair: (list(KINDS).index(pair.kind), -pair.similarity, pair.first, pair.second)
    )


def groups_of(facts: Sequence[PictureFacts], pairs: Iterable[Pair], given: bool = True) -> list[str]:
    """Group the slices that pairs join.

    Args:
        facts: Of the pictures.
        pairs: By the indices of the pictures.
        given: Whether groups that the data set gives are joined as well.

    Returns:
        The group of each picture.
    """
    chains = [(pair.first, pair.second) for pair in pairs]
    if given:
        chains += _repeats([fact.record.group for fact in facts])
    ends = np.array(chains, dtype=np.int64).reshape(-1, 2)
    return groups_of_links(len(facts), ends[:, 0], ends[:, 1])


def copy_findings(facts: Sequence[PictureFacts], pairs: Sequence[Pair]) -> list[Finding]:
    """Copies within and across sides, contradicting labels, groups on two sides, and copies that the groups miss."""
    return [
        *_by_kind(facts, pairs),
        *_contradictions(facts, pairs),
        *_straddling(facts),
        *_missed_by_groups(facts, pairs),
    ]


def across(facts: Sequence[PictureFacts], pair: Pair) -> bool:
    """Whether the two slices of a pair are on different sides."""
    first, second = (facts[row].record.folder for row in (pair.first, pair.second))
    return bool(first and second and first != second)


def _repeats(keys: Sequence[str]) -> list[tuple[int, int]]:
    """Indices of the first and of each later one with the same key; empty keys equal nothing."""
    first_with: dict[str, int] = {}
    return [(first_with[key], row) for row, key in enumerate(keys) if key and first_with.setdefault(key, row) != row]


def _kind(kind: int, dihedral: int) -> str:
    if kind == CROPPED:
        return "cropped"
    if kind != COPY:
        return "near"
    return "copy" if dihedral == 0 else "mirrored" if dihedral in MIRRORED else "turned"


def _by_kind(facts: Sequence[PictureFacts], pairs: Sequence[Pair]) -> list[Finding]:
    findings = []
    for kind, title in KINDS.items():
        mine = [pair for pair in pairs if pair.kind == kind]
        split = [pair for pair in mine if across(facts, pair)]
        inside = [pair for pair in mine if not across(facts, pair)]
        advice = "split by groups: write --out-groups and train with it; do not trust scores on this split"
        findings += _of_pairs(f"{kind}-across", "leak", f"{title}, across sides", advice, facts, split)
        advice = "keep them on one side: write --out-groups and train with it"
        findings += _of_pairs(f"{kind}-within", "note", title, advice, facts, inside)
    return findings


def _of_pairs(
    key: str, level: str, title: str, advice: str, facts: Sequence[PictureFacts], pairs: Sequence[Pair], field: str = ""
) -> list[Finding]:
    """A finding about pairs. field: a field of the record whose two values are the detail of each pair."""
    if not pairs:
        return []
    items = tuple((facts[pair.first].record.name, facts[pair.second].record.name) for pair in pairs)
    details = tuple(
        " / ".join(str(getattr(facts[row].record, field)) for row in (pair.first, pair.second))
        if field
        else pair.detail
        for pair in pairs
    )
    return [Finding(key, level, title, len(pairs), "pairs", advice, items, details)]


def _contradictions(facts: Sequence[PictureFacts], pairs: Sequence[Pair]) -> list[Finding]:
    findings = []
    same = [pair for pair in pairs if pair.kind in SAME_PICTURE]
    for field, title in (("label", "the same picture with two labels"), ("plane", "the same picture with two planes")):
        mixed = [pair for pair in same if _differ(facts, pair, field)]
        findings += _of_pairs(f"two-{field}s", "wrong", title, "look at both: one is wrong", facts, mixed, field)
    return findings


def _differ(facts: Sequence[PictureFacts], pair: Pair, field: str) -> bool:
    first, second = (getattr(facts[row].record, field) for row in (pair.first, pair.second))
    return bool(first and second and first != second)


def _straddling(facts: Sequence[PictureFacts]) -> list[Finding]:
    """Given groups that are on two sides, and a set that is one single group."""
    members: dict[str, list[PictureFacts]] = defaultdict(list)
    for fact in facts:
        if fact.record.group:
            members[fact.record.group].append(fact)
    mixed = {group: inside for group, inside in members.items() if len({f.record.folder for f in inside} - {""}) > 1}
    findings = []
    if mixed:
        items = tuple(_one_of_each_side(inside) for inside in mixed.values())
        details = tuple(f"group {group}, {len(inside)} slices" for group, inside in mixed.items())
        advice = "split by groups, as `edgebrain train` does; do not trust scores on these sides"
        findings += [
            Finding("group-across", "leak", "given groups on two sides", len(mixed), "groups", advice, items, details)
        ]
    if len(members) == 1 and len(facts) > 1:
        advice = "such a set cannot be split: give the patient or the series of each slice"
        findings += [Finding("one-group", "wrong", "all slices are of one group", 1, "groups", advice)]
    return findings


def _one_of_each_side(inside: Sequence[PictureFacts]) -> tuple[str, ...]:
    first_on = {fact.record.folder: fact.record.name for fact in reversed(inside) if fact.record.folder}
    return tuple(first_on[side] for side in sorted(first_on))


def _missed_by_groups(facts: Sequence[PictureFacts], pairs: Sequence[Pair]) -> list[Finding]:
    apart = [pair for pair in pairs if _differ(facts, pair, "group")]
    same = [pair for pair in apart if pair.kind in SAME_PICTURE]
    near = [pair for pair in apart if pair.kind not in SAME_PICTURE]
    advice = "join the two groups: --out-groups does"
    findings = _of_pairs(
        "copies-between-groups", "leak", "the same picture in two given groups", advice, facts, same, "group"
    )
    advice = "look at them: neighbours that the groups miss, or unrelated slices that look alike"
    return findings + _of_pairs(
        "near-between-groups", "note", "look-alikes in two given groups", advice, facts, near, "group"
    )
