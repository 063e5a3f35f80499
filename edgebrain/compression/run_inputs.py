"""A finished run with its data, opened for compression."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgebrain.data.pack import Pack, open_pack
from edgebrain.data.rejected import refuse_losses
from edgebrain.data.sample import Dataset, Sample
from edgebrain.data.split import Split
from edgebrain.errors import BadRun
from edgebrain.progress import Progress
from edgebrain.recipe import TrainRecipe, load_train_recipe


@dataclass(frozen=True)
class RunInputs:
    """A finished run with its data.

    Attributes:
        path: The run folder.
        recipe: What it was trained by.
        dataset: Its data.
        groups: Path of the groups file that was named when it was trained.
        pack: Its images at the network's size.
        split: Its split.
    """

    path: Path
    recipe: TrainRecipe
    dataset: Dataset
    groups: str | None
    pack: Pack
    split: Split

    def gate_samples(self, count: int) -> list[Sample]:
        """At most `count` validation slices for the gate, evenly drawn from the sorted side."""
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
) -> RunInputs:
    """Open a finished run.

    Args:
        path: The run folder.
        dataset: The run's data.
        groups: Path of the groups file that was named when it was trained.
        data_sha256: Hash of the data that it was trained on.
        progress: Called for each slice that is decoded.
        allow_rejected: Go on however many slices cannot be used.

    Raises:
        BadRun: It is unfinished, or the data are not the run's.
        BadData: A class or a tenth of the masks is lost.
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
    return RunInputs(path, recipe, dataset, groups, pack, Split.read(path / "split.json"))
