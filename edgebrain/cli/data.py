"""`edgebrain data summary`, `edgebrain data audit` and `edgebrain data phantom`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgebrain.cli.options import STDOUT, Force, JsonFile, refuse_early, write_json_file

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.command()
def summary(
    path: Annotated[Path, typer.Argument(help="Folder of a data set.")],
    json_file: JsonFile = None,
    force: Force = False,
) -> None:
    """Count slices by side, class, plane and size; name missing masks and unreadable files (exit code 1).

    Example: edgebrain data summary brisc2025
    """
    from edgebrain.api.datasets import summarise
    from edgebrain.cli.progress import Bars
    from edgebrain.cli.summary_text import print_summary

    refuse_early(json_file, force)
    with Bars() as bars:
        found = summarise(path, progress=bars.show)
    if json_file != STDOUT:
        print_summary(found)
    write_json_file(found.as_json(), json_file)
    if found.unreadable:
        raise typer.Exit(1)


@app.command()
def phantom(
    out: Annotated[Path, typer.Argument(help="Folder to write; must not exist.")],
    count: Annotated[int, typer.Option(min=1, help="Number of slices.")] = 1200,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same slices.")] = 0,
) -> None:
    """Write generated phantom slices with masks, to train and test on.

    Example: edgebrain data phantom phantoms --count 600
    """
    from edgebrain.api.datasets import write_phantoms
    from edgebrain.cli.progress import Bars

    with Bars() as bars:
        write_phantoms(out, count, seed, progress=bars.show)
    print(f"{out}: {count} phantom slices, seed {seed}")


@app.command()
def audit(
    path: Annotated[Path, typer.Argument(help="Folder of a data set, or of any pictures.")],
    groups: Annotated[
        Path | None, typer.Option(help="CSV `name,group` with patients; default: the folder's groups.csv.")
    ] = None,
    split: Annotated[Path | None, typer.Option(help="A run's split.json, instead of the folder's sides.")] = None,
    json_file: JsonFile = None,
    html: Annotated[Path | None, typer.Option("--html", help="Write a page with example pairs to this file.")] = None,
    out_groups: Annotated[
        Path | None, typer.Option(help="Write the groups, for `edgebrain train --groups`, to this file.")
    ] = None,
    force: Force = False,
) -> None:
    """Find what would flatter a model: copies, wrong labels and masks, shortcuts. Exit code 1 if files cannot be read.

    Example: edgebrain data audit brisc2025 --out-groups groups.csv --html audit.html
    """
    from edgebrain.api.datasets import audit as audit_folder
    from edgebrain.auditing.page import audit_page
    from edgebrain.cli.audit_text import print_audit
    from edgebrain.cli.progress import Bars
    from edgebrain.files import write_text

    for file in (json_file, html, out_groups):
        refuse_early(file, force)
    with Bars() as bars:
        found = audit_folder(path, groups=groups, split=split, progress=bars.show)
    if html is not None:
        write_text(html, audit_page(found))
    if out_groups is not None:
        write_text(out_groups, found.groups_csv())
    if json_file != STDOUT:
        print_audit(found)
    write_json_file(found.as_json(), json_file)
    if json_file != STDOUT:
        for file in filter(None, (json_file, html, out_groups)):
            print(f"wrote {file}")
    if found.unreadable:
        raise typer.Exit(1)
