"""Training: a recipe and a data set become a run folder with a float bundle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebrain.api.arguments import AnyPath, check_count, optional_path
from edgebrain.api.defaults import training_data
from edgebrain.errors import BadRun
from edgebrain.files import read_json, refuse_to_overwrite
from edgebrain.progress import Notify, Progress, no_notice, no_progress
from edgebrain.runs import next_run, read_run

if TYPE_CHECKING:
    from edgebrain.recipe import TrainRecipe

Entry = dict[str, Any]


@dataclass(frozen=True)
class TrainedRun:
    """What training leaves.

    Attributes:
        run: The run folder, for `quantize`.
        bundle: The float bundle in it.
        scores: Content of the bundle's scores.json: the validation side at native resolution, overall and per image.
    """

    run: Path
    bundle: Path
    scores: dict[str, Any]


def train(
    recipe: str = "brisc-unet128",
    data: AnyPath | None = None,
    *,
    groups: AnyPath | None = None,
    epochs: int | None = None,
    out: AnyPath | None = None,
    resume: AnyPath | None = None,
    tensorboard: bool = False,
    allow_rejected: bool = False,
    progress: Progress = no_progress,
    notify: Notify = no_notice,
    on_epoch: Callable[[Entry], None] = lambda entry: None,
) -> TrainedRun:
    """Train a network and write a run folder with a float bundle.

    Args:
        recipe: A shipped recipe's name, or a .toml file.
        data: Folder of a data set; the built-in phantoms when left out.
        groups: CSV file `name,group` with the patients; found from the images when left out.
        epochs: Instead of the recipe's.
        out: Run folder; runs/RECIPE-N when left out.
        resume: A run folder to go on with, instead of a new one; it keeps its recipe and data.
        tensorboard: Write event files to RUN/tensorboard.
        allow_rejected: Go on where a class or a tenth of the masks cannot be used.
        progress: Called with what is being done, the number of steps done and the number in all.
        notify: Called with lines on the data and the run.
        on_epoch: Called with each epoch's entry of history.json.

    Returns:
        The run folder, its float bundle and the validation scores.

    Raises:
        BadRecipe, BadData, BadRun: What was given cannot be used.
        CannotWrite: The run folder exists.
        MissingExtra: Keras or its backend is not installed.

    Example:
        >>> trained = edgebrain.train("recipe.toml", "pictures", epochs=1, out="trained")
        >>> trained.bundle, sorted(trained.scores["summary"])[:2]
        (PosixPath('trained/float'), ['accuracy', 'classes'])
    """
    given = {"data": data, "groups": groups, "out": out, "resume": resume}
    paths = {name: optional_path(path, name) for name, path in given.items()}
    run, chosen, folder, csv, fresh = _what_to_train(recipe, epochs, **paths)
    dataset = training_data(folder, csv, chosen)
    from edgebrain.api.keras_backend import import_keras

    import_keras("training")
    from edgebrain.training import loop

    listener = _listener(progress, notify, on_epoch, run / "tensorboard" if tensorboard else None)
    if fresh:
        prepared = loop.start_run(chosen, dataset, csv, run, listener, allow_rejected)
    else:
        prepared = loop.resume_run(run, chosen, dataset, listener)
    notify(f"{run}: {chosen.name} on {dataset.root}")
    try:
        bundle = loop.finish_run(prepared, listener)
    except KeyboardInterrupt:
        notify(f"stopped; every finished epoch is kept: edgebrain train --resume {run}")
        raise
    return TrainedRun(run, bundle, read_json(bundle / "scores.json", BadRun))


def _what_to_train(
    recipe: str, epochs: int | None, data: Path | None, groups: Path | None, out: Path | None, resume: Path | None
) -> tuple[Path, TrainRecipe, Path | None, Path | None, bool]:
    """Run folder, recipe, data folder, groups file, and whether the run is new."""
    from edgebrain.recipe import load_train_recipe, replaced

    if resume is None:
        if epochs is not None:
            check_count(epochs, "epochs")
        chosen = replaced(load_train_recipe(recipe), "train", epochs=epochs)
        # Before hours of packing and training, not after them.
        if out is not None:
            refuse_to_overwrite(out)
        return out or next_run(chosen.name), chosen, data, groups, True
    if out is not None or epochs is not None:
        raise BadRun("resume takes everything from the run folder", "leave out --out and --epochs, or start a new run")
    entry = read_run(resume)["data"]
    groups = groups or (Path(entry["groups"]) if entry["groups"] else None)
    return resume, load_train_recipe(str(resume / "recipe.toml")), data or Path(entry["path"]), groups, False


def _listener(progress: Progress, notify: Notify, on_epoch: Callable[[Entry], None], events: Path | None) -> Any:
    """The callbacks as the training loop's listener; also writes TensorBoard events where a folder is given."""
    from edgebrain.training.loop import Listener

    writer: Any = None
    if events is not None:
        from edgebrain.training.events import EventWriter

        writer = EventWriter(events)

    class Callbacks(Listener):
        def progress(self, what: str, done: int, total: int) -> None:
            progress(what, done, total)

        def step(self, epoch: int, epochs: int, done: int, total: int, loss: float) -> None:
            progress(f"epoch {epoch}/{epochs}", done, total)

        def say(self, line: str) -> None:
            notify(line)

        def epoch(self, entry: Entry) -> None:
            on_epoch(entry)
            if writer is not None:
                writer.epoch(entry)

    return Callbacks()
