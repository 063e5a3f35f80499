"""`edgebrain train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def train(
    recipe: Annotated[str, typer.Argument(help="A shipped recipe's name or a .toml file.")] = "brisc-unet128",
    data: Annotated[Path | None, typer.Option(help="Data folder; the built-in phantoms when left out.")] = None,
    groups: Annotated[Path | None, typer.Option(help="CSV `name,group`; else from the images.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Instead of the recipe's.")] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder; runs/RECIPE-N when left out.")] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with this run folder.")] = None,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write event files too.")] = False,
    allow_rejected: Annotated[
        bool, typer.Option("--allow-rejected", help="Go on where a class or a tenth of the masks cannot be used.")
    ] = False,
) -> None:
    """Train the U-Net and write a run folder with a float bundle.

    Example: edgebrain train brisc-unet128-s --data brisc2025
    """
    from edgebrain.cli.progress import Bars
    from edgebrain.cli.sources import open_training_data
    from edgebrain.errors import BadRun
    from edgebrain.recipe import load_train_recipe, replaced
    from edgebrain.runs import next_run, read_run

    if resume is not None:
        if out is not None or epochs is not None:
            raise BadRun(
                "--resume takes everything from the run folder", "leave out --out and --epochs, or start a new run"
            )
        entry = read_run(resume)
        chosen, run = load_train_recipe(str(resume / "recipe.toml")), resume
        data = data or Path(entry["data"]["path"])
        groups = groups or (Path(entry["data"]["groups"]) if entry["data"]["groups"] else None)
    else:
        chosen = replaced(load_train_recipe(recipe), "train", epochs=epochs)
        run = out or next_run(chosen.name)
    with Bars() as bars:
        dataset = open_training_data(data, groups, chosen, bars)
        training = _training()
        listener = _Listener(bars, run / "tensorboard" if tensorboard else None)
        if resume is None:
            prepared = training.start_run(chosen, dataset, groups, run, listener, allow_rejected)
        else:
            prepared = training.resume_run(run, chosen, dataset, listener)
        bars.say(f"{run}: {chosen.name} on {dataset.root}")
        try:
            bundle = training.finish_run(prepared, listener)
        except KeyboardInterrupt:
            bars.say(f"stopped; every finished epoch is kept: edgebrain train --resume {run}")
            raise
    _print_outcome(run, bundle)


def _training() -> Any:
    """The training code, with Keras behind it."""
    from edgebrain.cli.keras_backend import import_keras

    import_keras("training")
    from edgebrain.training import loop

    return loop


class _Listener:
    """Draws bars, prints a line an epoch, writes TensorBoard events if asked."""

    def __init__(self, bars: Any, events: Path | None) -> None:
        self._bars = bars
        self._writer: Any = None
        if events is not None:
            from edgebrain.training.events import EventWriter

            self._writer = EventWriter(events)

    def packing(self, done: int, total: int) -> None:
        self._bars.show("reading slices", done, total)

    def step(self, epoch: int, epochs: int, done: int, total: int, loss: float) -> None:
        self._bars.show(f"epoch {epoch}/{epochs}", done, total, f"loss {loss:.3f}")

    def scoring(self, done: int, total: int) -> None:
        self._bars.show("scoring", done, total)

    def say(self, line: str) -> None:
        self._bars.say(line)

    def epoch(self, entry: dict[str, Any]) -> None:
        from edgebrain.cli.sources import figure

        val = entry["val"]
        self._bars.say(
            f"epoch {entry['epoch']:>3}  loss {entry['loss']:.3f}  val: loss {val['loss']:.3f}"
            f"  Dice {figure(val['dice'], 3)}  accuracy {val['accuracy']:.3f}"
            f"  healthy marked {figure(val['healthy_marked'], 3)}"
        )
        if self._writer is not None:
            self._writer.epoch(entry)


def _print_outcome(run: Path, bundle: Path) -> None:
    from edgebrain.cli.sources import copying_line, figure
    from edgebrain.errors import BadRun
    from edgebrain.files import read_json

    scores = read_json(bundle / "scores.json", BadRun)
    figures = scores["summary"]
    print(f"{bundle}: validation, native resolution:", end=" ")
    print(f"Dice {figure(figures['dice'])}, IoU {figure(figures['iou'])},", end=" ")
    print(f"class accuracy {figure(figures['accuracy'])},", end=" ")
    print(f"healthy slices marked {figure(figures['healthy_marked'], 3)}")
    print(copying_line(scores["copying"]))
    print(f"{run / 'curves.png'}: curves\nnext: edgebrain quantize {run} --int8")
