"""Which data a command works on: a folder that was named, a run's own, or the built-in phantoms."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgebrain.cli.progress import Bars
    from edgebrain.data.sample import Dataset
    from edgebrain.recipe import TrainRecipe


def open_training_data(data: Path | None, groups: Path | None, recipe: TrainRecipe, bars: Bars) -> Dataset:
    """The data set to train on. Raises BadData."""
    from edgebrain.data.readers import open_dataset

    if data is None:
        from edgebrain.phantom.generator import builtin_phantoms

        data = builtin_phantoms(recipe.phantom.count, recipe.phantom.seed)
    return open_dataset(data, groups)


def open_run_data(run: dict[str, Any], data: Path | None) -> Dataset:
    """The data set that a run was trained on, or the same data in another place. run: the content of run.json."""
    from edgebrain.data.readers import open_dataset

    groups = run["data"]["groups"]
    return open_dataset(data or Path(run["data"]["path"]), Path(groups) if groups else None)


def copying_line(figures: dict[str, Any]) -> str:
    """What copying the nearest training slice scores, as the line that stands beside a model's score."""
    dice, accuracy = figure(figures["dice"]), figure(figures["accuracy"])
    return f"copying the nearest training slice: Dice {dice}, class accuracy {accuracy}"


def figure(value: float | None, decimals: int = 4) -> str:
    """A figure with so many decimals; a hyphen where there is none."""
    return "-" if value is None else f"{value:.{decimals}f}"
