"""What is installed here: libraries, engines, targets, recipes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgebrain.progress import Progress, no_progress


def diagnose(*, progress: Progress = no_progress) -> dict[str, Any]:
    """What is installed and works, what each missing extra would add, and which targets can run here.

    Everything that is installed is imported, and each engine computes one operator, in a process of its own.

    Args:
        progress: Called with "trying what is installed", the number of libraries tried and the number in all.

    Returns:
        `environment`, `extras`, `engines`, `broken`, `targets` and `lacking`.

    Raises:
        WorkerFailed: A process that tries the libraries cannot be started.

    Example:
        >>> edgebrain.diagnose()["engines"]["litert"]
        True
    """
    from edgebrain.runtime.doctor import diagnose as find_what_works
    from edgebrain.runtime.engines.libedgetpu import coral_lacks

    # A GPU shows itself only to an engine with a model, so that the bench is who says what is missing.
    lacking = {"gpu": "not looked for; edgebrain bench --target gpu says what is missing"}
    coral = coral_lacks()
    lacking |= {} if coral is None else {"coral": f"{coral.message}; {coral.hint}"}
    return find_what_works(["cpu"] if coral else ["cpu", "coral"], lacking, progress)


def recipes(kind: str = "train") -> dict[str, Path]:
    """The recipes that come with edgebrain.

    Args:
        kind: train or quantize.

    Returns:
        Name of each recipe -> its TOML file.

    Raises:
        BadRecipe: There is no such kind.

    Example:
        >>> "demo" in edgebrain.recipes("train")
        True
    """
    from edgebrain.errors import BadRecipe
    from edgebrain.recipe import KINDS, shipped_recipes

    if kind not in KINDS:
        raise BadRecipe(f"{kind!r} is no kind of recipe", f"use {' or '.join(KINDS)}")
    return shipped_recipes(kind)
