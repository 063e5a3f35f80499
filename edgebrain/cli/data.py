"""`edgebrain data summary`, `edgebrain data audit` and `edgebrain data phantom`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from edgebrain.data.summary import Summary

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
SIZES_SHOWN = 6
STDOUT = Path("-")


@app.command()
def summary(
    path: Annotated[Path, typer.Argument(help="Folder of a data set.")],
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Count slices by side, class, plane and size; name missing masks and unreadable files (exit code 1).

    Example: edgebrain data summary brisc2025
    """
    from edgebrain.cli.progress import Bars
    from edgebrain.data.summary import summarise
    from edgebrain.files import canonical_json

    with Bars() as bars:
        found = summarise(path, lambda done, total: bars.show("reading", done, total))
    if json:
        typer.echo(canonical_json(found.as_json()), nl=False)
    else:
        _print(found)
    if found.unreadable:
        raise typer.Exit(1)


@app.command()
def phantom(
    out: Annotated[Path, typer.Argument(help="Folder to write; must not exist.")],
    count: Annotated[int, typer.Option(min=1, help="Slices.")] = 1200,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same slices.")] = 0,
) -> None:
    """Write seeded phantom slices with masks, to train and try on.

    Example: edgebrain data phantom phantoms --count 600
    """
    from edgebrain.cli.progress import Bars
    from edgebrain.phantom.generator import write_phantoms

    with Bars() as bars:
        write_phantoms(out, count, seed, lambda done, total: bars.show("drawing", done, total))
    typer.echo(f"{out}: {count} phantom slices, seed {seed}")


@app.command()
def audit(
    path: Annotated[Path, typer.Argument(help="Folder of a data set, or of any pictures.")],
    groups: Annotated[Path | None, typer.Option(help="CSV `name,group`: patients; else the folder's own.")] = None,
    split: Annotated[Path | None, typer.Option(help="A run's split.json, instead of the folder's sides.")] = None,
    json: Annotated[Path | None, typer.Option("--json", help="Write everything there; - for stdout.")] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Write a page with example pairs there.")] = None,
    out_groups: Annotated[Path | None, typer.Option(help="Write groups for `edgebrain train --groups`.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
) -> None:
    """Find what would flatter a model: copies, wrong labels and masks, shortcuts. Exit code 1 if files cannot be read.

    Example: edgebrain data audit brisc2025 --out-groups groups.csv --html audit.html
    """
    from edgebrain.auditing.page import audit_page
    from edgebrain.auditing.run import audit as run_audit
    from edgebrain.cli.audit_text import print_audit
    from edgebrain.cli.progress import Bars
    from edgebrain.files import canonical_json, refuse_to_overwrite, write_text

    wanted = [file for file in (json, html, out_groups) if file is not None and file != STDOUT]
    for file in wanted:
        refuse_to_overwrite(file, force)
    with Bars() as bars:
        found = run_audit(path, groups, split, bars.show)
    if json is not None and json != STDOUT:
        write_text(json, canonical_json(found.as_json()))
    if html is not None:
        write_text(html, audit_page(found))
    if out_groups is not None:
        write_text(out_groups, found.groups_csv())
    if json == STDOUT:
        typer.echo(canonical_json(found.as_json()), nl=False)
    else:
        print_audit(found)
        for file in wanted:
            typer.echo(f"wrote {file}")
    if found.unreadable:
        raise typer.Exit(1)


def _print(found: Summary) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from edgebrain.bundle import CLASSES
    from edgebrain.data.sample import PLANES

    screen = Console(width=80)
    screen.print(f"{found.root}: {found.slices} slices, laid out as {found.kind}", markup=False, highlight=False)
    table = Table(box=SIMPLE_HEAD)
    for head in ("side", "class", *PLANES, "sum"):
        table.add_column(head, justify="left" if head in ("side", "class") else "right")
    for folder in found.folders:
        for label in CLASSES:
            numbers = [found.count(folder, label, plane) for plane in PLANES]
            table.add_row(folder, label, *map(str, numbers), str(sum(numbers)))
        numbers = [found.count(folder, plane=plane) for plane in PLANES]
        table.add_row(folder, "sum", *map(str, numbers), str(sum(numbers)))
        table.add_section()
    screen.print(table)
    for line in _lines(found):
        typer.echo(line)


def _lines(found: Summary) -> list[str]:
    shown = list(found.sizes.items())[:SIZES_SHOWN]
    rest = len(found.sizes) - len(shown)
    sizes = ", ".join(f"{size} ({count})" for size, count in shown) + (f", and {rest} others" if rest > 0 else "")
    return [
        f"sizes: {sizes or 'none could be read'}",
        f"masks: {found.masks} tumour slices with one, {len(found.missing_masks)} without",
        found.encoding.describe(),
        *(f"  no mask: {name}" for name in found.missing_masks),
        f"unreadable: {len(found.unreadable)}",
        *(f"  {file}: {reason}" for file, reason in found.unreadable),
        *_named("masks that contradict the label", [f"{file}: {reason}" for file, reason in found.contradictions]),
        *_named("names that tell no class", found.strays),
        *_named("files that look like masks and belong to no picture", found.lone_masks),
        *([f"{len(found.rejected)} of {found.slices} slices are left out by every command"] if found.rejected else []),
    ]


def _named(title: str, lines: Sequence[str]) -> list[str]:
    """A title with a count, and the lines below it; nothing where there are none."""
    return [f"{title}: {len(lines)}", *(f"  {line}" for line in lines)] if lines else []
