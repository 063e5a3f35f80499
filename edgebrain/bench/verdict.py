"""Does a report keep to the drop that was allowed?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def broken_limits(report: Mapping[str, Any], max_dice_drop: float) -> list[str]:
    """A sentence for each row that loses more Dice than allowed, or whose loss is not known.

    Args: max_dice_drop: fraction of 1, so that 0.01 is one point of Dice.
    """
    broken = []
    for row in report["results"]:
        drop, who = row["drop"]["dice"], f"{row['bundle']}, {row['threads']} threads"
        if drop is None:
            broken.append(f"{who}: its Dice drop is not known, so it is not below {max_dice_drop}")
        elif drop > max_dice_drop:
            broken.append(f"{who}: Dice drop {drop:.4f} exceeds {max_dice_drop}")
    return broken
