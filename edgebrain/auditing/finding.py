"""One thing that the audit found: how bad, how often, where."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

# Worst first. leak: scores on this split are too good. wrong: labels, masks or files contradict each other.
# shortcut: a class can be predicted without looking at the picture. note: nothing is wrong, but it should be known.
LEVELS = ("leak", "wrong", "shortcut", "note")


@dataclass(frozen=True)
class Finding:
    """One kind of problem, and everything that has it.

    Attributes:
        key: Its name in JSON, stable between versions.
        level: One of LEVELS.
        title: What was found, for a person.
        count: How often.
        unit: What is counted: slices, pairs, files, groups.
        advice: What to do about it.
        items: The names concerned, one or two an item.
        details: A remark on each item; empty where there is none.
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


def finding_about(
    key: str, level: str, title: str, advice: str, found: Iterable[tuple[str, str]], unit: str = "slices"
) -> list[Finding]:
    """Make a finding about single slices or files.

    Args:
        key: As of `Finding`.
        level: As of `Finding`.
        title: As of `Finding`.
        advice: As of `Finding`.
        found: Name and detail of each slice or file.
        unit: As of `Finding`.

    Returns:
        One finding; none where nothing was found.
    """
    pairs = sorted(found)
    if not pairs:
        return []
    names, details = tuple((name,) for name, _ in pairs), tuple(detail for _, detail in pairs)
    return [Finding(key, level, title, len(pairs), unit, advice, names, details)]


def worst_first(findings: Sequence[Finding]) -> list[Finding]:
    """The findings by level, then by count."""
    return sorted(findings, key=lambda finding: (LEVELS.index(finding.level), -finding.count, finding.key))
