"""Which data a command works on: a folder that was named, a run's own, or the built-in phantoms."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgebrain.cli.progress import Bars
    from edgebrain.data.sample import Dataset
    from edgebrain.recipe import TrainRecipe


def open_training_data(data: Path | None, groups: Path | None, recipe: TrainRecipe, bars: Bars) -> Dataset:
    """The data set to train on. Raises BadData."""
    from edgebrain.data.phantom import builtin_phantoms
    from edgebrain.data.readers import open_dataset

    if data is None:
        data = builtin_phantoms(recipe.phantom.count, recipe.phantom.seed)
    return open_dataset(data, groups)
