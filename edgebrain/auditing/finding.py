"""One thing that the audit found: how bad, how often, where."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

# Worst first. leak: a figure on this split is too good. wrong: labels, masks or files contradict each other.
# shortcut: a class can be told without looking at the picture. note: true, and to be known.
LEVELS = ("leak", "wrong", "shortcut", "note")


@dataclass(frozen=True)
class Finding:
    """key: its name, stable between versions. level: one of LEVELS. count: in `unit`. advice: the way out.

    items: the names concerned, one or two an item. details: what there is to say of each item, may be empty.
    """

    key: str
    level: str
    title: str
    count: int
    unit: str
    advice: str
    items: tuple[tuple[str, ...], ...] = ()
    details: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The finding as JSON object."""
        return {
            "key": self.key,
            "level": self.level,
            "title": self.title,
            "count": self.count,
            "unit": self.unit,
            "advice": self.advice,
            "items": [
                {"names": list(names), "detail": detail}
                for names, detail in zip(self.items, self.details or [""] * len(self.items), strict=True)
            ],
        }


def of_slices(
    key: str, level: str, title: str, advice: str, found: Iterable[tuple[str, str]], unit: str = "slices"
) -> list[Finding]:
    """The finding of some single slices or files, given as (name, detail); none where there is nothing."""
    pairs = sorted(found)
    if not pairs:
        return []
    names, details = tuple((name,) for name, _ in pairs), tuple(detail for _, detail in pairs)
    return [Finding(key, level, title, len(pairs), unit, advice, names, details)]


def worst_first(findings: Sequence[Finding]) -> list[Finding]:
    """By level, then by count."""
    return sorted(findings, key=lambda finding: (LEVELS.index(finding.level), -finding.count, finding.key))
