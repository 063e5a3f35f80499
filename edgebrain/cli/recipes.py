"""`edgebrain recipes`: list and copy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.command("list")
def list_recipes() -> None:
    """List the shipped recipes, each with its first comment line.

    Example: edgebrain recipes list
    """
    from edgebrain.api.installation import recipes
    from edgebrain.recipe import KINDS

    for kind in KINDS:
        print(f"{kind}:")
        for name, path in recipes(kind).items():
            print(f"  {name:<18} {path.read_text(encoding='utf-8').splitlines()[0].lstrip('# ')}")


@app.command("copy")
def copy(
    name: Annotated[str, typer.Argument(help="A name from `edgebrain recipes list`.")],
    out: Annotated[Path | None, typer.Option(help="Output file; default: NAME.toml in this folder.")] = None,
    force: Annotated[bool, typer.Option(help="Replace an existing file.")] = False,
) -> None:
    """Copy a recipe, with every value written out, for editing.

    Example: edgebrain recipes copy brisc-unet128-s --out mine.toml
    """
    from edgebrain.files import refuse_to_overwrite, write_text
    from edgebrain.recipe import find_recipe, load_quantize_recipe, load_train_recipe, shipped_recipes
    from edgebrain.settings import as_toml

    target = out or Path(f"{name}.toml")
    refuse_to_overwrite(target, force)
    trains = name in shipped_recipes("train")
    recipe = load_train_recipe(name) if trains else load_quantize_recipe(name)
    source = find_recipe("train" if trains else "quantize", name)
    comments = [line for line in source.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    write_text(target, "\n".join(comments) + "\n" + as_toml(recipe))
    print(f"{target}: written; use it with `edgebrain {'train' if trains else 'quantize --recipe'} {target}`")
