"""`edgebrain train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgebrain.cli.options import AllowRejected

if TYPE_CHECKING:
    from edgebrain.api.training import TrainedRun


def train(
    recipe: Annotated[str, typer.Argument(help="A shipped recipe's name or a .toml file.")] = "brisc-unet128",
    data: Annotated[Path | None, typer.Option("--data", help="Data folder; default: generated phantoms.")] = None,
    groups: Annotated[
        Path | None, typer.Option(help="CSV `name,group` with patients; default: found from the images.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Number of epochs, instead of the recipe's.")] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder; default: the next free runs/RECIPE-N.")] = None,
    resume: Annotated[Path | None, typer.Option(help="Continue the interrupted run in this folder.")] = None,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write TensorBoard event files too.")] = False,
    allow_rejected: AllowRejected = False,
) -> None:
    """Train the U-Net and write a run folder with a float bundle.

    Example: edgebrain train brisc-unet128-s --data brisc2025
    """
    from edgebrain.api.training import train as train_network
    from edgebrain.cli.progress import Bars

    with Bars() as bars:
        trained = train_network(
            recipe, data, groups=groups, epochs=epochs, out=out, resume=resume, tensorboard=tensorboard,
            allow_rejected=allow_rejected, progress=bars.show, notify=bars.say,
            on_epoch=lambda entry: bars.say(epoch_line(entry)),
        )  # fmt: skip
    _print(trained)


def epoch_line(entry: dict[str, Any]) -> str:
    """An epoch of history.json in a line."""
    from edgebrain.reporting.evaluation import figure

    val = entry["val"]
    return (
        f"epoch {entry['epoch']:>3}  loss {entry['loss']:.3f}  val: loss {val['loss']:.3f}"
        f"  Dice {figure(val['dice'], 3)}  accuracy {val['accuracy']:.3f}"
        f"  healthy marked {figure(val['healthy_marked'], 3)}"
    )


def _print(trained: TrainedRun) -> None:
    from edgebrain.reporting.evaluation import copying_line, figure

    figures = trained.scores["summary"]
    print(
        f"{trained.bundle}: validation, native resolution: Dice {figure(figures['dice'])},"
        f" IoU {figure(figures['iou'])}, class accuracy {figure(figures['accuracy'])},"
        f" healthy slices marked {figure(figures['healthy_marked'], 3)}"
    )
    print(copying_line(trained.scores["copying"]))
    print(f"{trained.run / 'curves.png'}: curves\nnext: edgebrain quantize {trained.run} --int8")
