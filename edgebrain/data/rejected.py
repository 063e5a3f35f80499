"""Slices that cannot be used: found by reading all of them, reported in a sentence, refused where they are many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar, cast

from edgebrain.data.sample import Record, Sample
from edgebrain.errors import BadData, BadImage
from edgebrain.runtime.opencv import opencv_alone

THREADS = 2
# If more masks than this share cannot be used, training on the rest would be training on another data set.
MOST_LOST = 0.1
# Name and reason of each slice that is left out.
Rejected = Sequence[tuple[str, str]]
Kept = TypeVar("Kept")


def read_sound(
    records: Sequence[Record], keep: Callable[[Record, Sample], Kept]
) -> tuple[list[Kept], list[tuple[str, str]]]:
    """Read every file once and keep what is wanted of the slices that can be used.

    Args:
        records: The slices to read.
        keep: Called with each slice that can be used and its content; only the result is held.

    Returns:
        The results, in the order of the records, and name and reason of each slice that cannot be used.
    """

    def read(record: Record) -> tuple[Kept | None, str]:
        try:
            return keep(record, record.load()), ""
        except BadImage as problem:
            return None, problem.message

    with opencv_alone(), ThreadPoolExecutor(THREADS) as pool:
        found = list(zip(records, pool.map(read, records), strict=True))
    rejected = [(record.name, reason) for record, (_, reason) in found if reason]
    return [cast(Kept, kept) for _, (kept, reason) in found if not reason], rejected


def left_out(rejected: Rejected, slices: int, root: Path) -> str | None:
    """`22 of 60 slices left out: FILE: REASON (see ...)`, with the first reason; None where nothing is left out."""
    if not rejected:
        return None
    return f"{len(rejected)} of {slices} slices left out: {rejected[0][1]} (see edgebrain data summary {root})"


def refuse_losses(records: Sequence[Record], rejected: Rejected, root: Path, allowed: bool = False) -> None:
    """Refuse a data set of which too much is left out.

    Args:
        records: All slices.
        rejected: Name and reason of those that cannot be used.
        root: The data set's folder, for the message.
        allowed: Go on all the same.

    Raises:
        BadData: Every slice of a class is left out, or more than a tenth of the slices that have or need a mask.
    """
    names = {name for name, _ in rejected}
    if allowed or not names:
        return
    lost = _lost_class(records, names) or _lost_masks(records, names)
    if lost:
        raise BadData(
            f"{root}: {lost}; the first: {rejected[0][1]}",
            f"correct what `edgebrain data summary {root}` names, or pass --allow-rejected to go on with "
            f"{len(records) - len(names)} of {len(records)} slices",
        )


def as_json(rejected: Rejected, slices: int, root: Path) -> dict[str, Any]:
    """`rejected`: name and reason of each slice that is left out; `left_out`: the sentence, or None."""
    return {
        "rejected": [{"name": name, "reason": reason} for name, reason in rejected],
        "left_out": left_out(rejected, slices, root),
    }


def _lost_class(records: Sequence[Record], names: set[str]) -> str:
    there = Counter(record.label for record in records)
    kept: Mapping[str, int] = Counter(record.label for record in records if record.name not in names)
    lost = sorted(label for label in there if label and not kept.get(label))
    return f"not one slice of {', '.join(lost)} can be used" if lost else ""


def _lost_masks(records: Sequence[Record], names: set[str]) -> str:
    masked = [record.name for record in records if record.needs_mask or record.mask_path is not None]
    lost = sum(name in names for name in masked)
    return f"{lost} of {len(masked)} masks cannot be used, more than a tenth" if lost > MOST_LOST * len(masked) else ""
