"""A finished run with its data, opened for compression."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgebrain.data.pack import Pack, open_pack
from edgebrain.data.rejected import refuse_losses
from edgebrain.data.sample import Dataset, Sample
from edgebrain.data.split import Split
from edgebrain.errors import BadRun
from edgebrain.recipe import TrainRecipe, load_train_recipe

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Run:
    """A finished run with its data, opened for compression."""

    path: Path
    recipe: TrainRecipe
    dataset: Dataset
    groups: str | None
    pack: Pack
    split: Split

    def gate_samples(self, count: int) -> list[Sample]:
        """Validation slices for the gate, evenly drawn from the sorted side."""
        names = self.split.names_of("val")
        chosen = names[:: max(1, -(-len(names) // count))]
        return [record.load() for record in self.dataset.named(chosen)]


def open_run(
    path: Path,
    dataset: Dataset,
    groups: str | None,
    data_sha256: str,
    progress: Progress,
    allow_rejected: bool = False,
) -> Run:
    """Open a finished run. allow_rejected: however many slices of its data cannot be used.

    Raises BadRun: unfinished, or the data are not the run's. BadData: a class or a tenth of the masks is lost.
    """
    if not (path / "float").is_dir():
        raise BadRun(f"{path}: has no float bundle yet", f"finish it with `edgebrain train --resume {path}`")
    recipe = load_train_recipe(str(path / "recipe.toml"))
    pack = open_pack(dataset, recipe.model.side, progress)
    if pack.sha256 != data_sha256:
        raise BadRun(
            f"{dataset.root}: is not the data that {path} was trained on", "pass the run's own data with --data"
        )
    refuse_losses(dataset.records, pack.rejected, dataset.root, allow_rejected)
    return Run(path, recipe, dataset, groups, pack, Split.read(path / "split.json"))
