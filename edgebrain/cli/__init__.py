"""The command line: a lazy table of commands. `edgebrain --help` imports none of them.

Only the module of the command that was typed is imported; the others stand in the help with the line below.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Annotated

import typer

from edgebrain import __version__
from edgebrain.errors import EdgebrainError
from edgebrain.libraries import broken_library, cure, first_line
from edgebrain.text import escape_unprintable_output, in_one_line

COMMANDS = {
    "train": "Train the U-Net and write a run folder with a float bundle.",
    "evaluate": "Score a bundle on labelled slices: Dice, IoU, accuracy, F1, confusion.",
    "quantize": "Compress a run's model and export it: TFLite, OpenVINO, ONNX.",
    "explain": "Find the layer of an INT8 bundle that adds noise or costs time.",
    "bench": "Time and score bundles on a target, against their float parent.",
    "compare": "Compare the durations of two bench reports; say what is beyond noise.",
    "report": "Write one HTML page about a bench; also JSON, Markdown, JUnit.",
    "predict": "Predict mask and class of pictures, offline.",
    "deploy": "Make an offline kit of a bundle, or check and compile it for a Coral.",
    "bundle": "Seal, sign and verify bundles.",
    "data": "Summarise or audit a data set, or write phantoms.",
    "recipes": "List the shipped recipes, or copy one to edit.",
    "doctor": "List what is installed, what is missing and which targets run here.",
}
GROUPS = ("bundle", "data", "recipes")


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the `edgebrain` program. Exit codes: 1 error, 2 wrong usage, 3 a failed verdict."""
    escape_unprintable_output()
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        application(words)(args=words, prog_name="edgebrain")
    except EdgebrainError as error:
        if "--debug" in words:
            raise
        print(f"Error: {error.message}", file=sys.stderr)
        if error.hint:
            print(f"  {error.hint}", file=sys.stderr)
        raise SystemExit(1) from None
    except Exception as error:
        # A library that no command looks after: NumPy itself, or a part that is loaded late. Loaders raise anything.
        library = broken_library(error)
        if library is None or "--debug" in words:
            raise
        reason = first_line(str(error)) or type(error).__name__
        print(f"Error: {library} is installed but cannot be loaded ({in_one_line(reason)})", file=sys.stderr)
        print(f"  {cure(reason, library)}", file=sys.stderr)
        raise SystemExit(1) from None


def application(words: Sequence[str]) -> typer.Typer:
    """The Typer application, with the code of the command named in `words` and help lines for the rest."""
    app = typer.Typer(
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        add_completion=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        help="Train, compress and measure a brain-MRI segmentation model for small devices.\n\n"
        "Example: edgebrain train demo && edgebrain quantize --int8 && edgebrain bench --target cpu\n\n"
        "Research software, not a medical device.",
    )
    app.callback()(_options)
    wanted = next((word for word in words if not word.startswith("-")), None)
    for name, summary in COMMANDS.items():
        if name != wanted:
            app.command(name, help=summary)(_placeholder)
        elif name in GROUPS:
            app.add_typer(import_module(f"edgebrain.cli.{name}").app, name=name, help=summary)
        else:
            app.command(name)(_function(name))
    return app


def _function(name: str) -> Callable[..., None]:
    found: Callable[..., None] = getattr(import_module(f"edgebrain.cli.{name}"), name)
    return found


def _placeholder() -> None:
    """Stands for a command in the help; the one that was typed is never a placeholder."""


def _version(asked: bool) -> None:
    if asked:
        print(f"edgebrain {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    pass
