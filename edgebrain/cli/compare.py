"""`edgebrain compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def compare(
    first: Annotated[Path, typer.Argument(help="Report of `edgebrain bench --json`.", metavar="A.json")],
    second: Annotated[Path, typer.Argument(help="A later one.", metavar="B.json")],
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the findings there; - for stdout.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file that --json names.")] = False,
) -> None:
    """Say what became slower or faster from one bench report to another, and what is no difference.

    Refuses reports of unlike conditions (processor, threads, slices, protocol) and says which.

    Example: edgebrain compare before.json after.json
    """
    from edgebrain.benchmarking.compare import compare_reports
    from edgebrain.benchmarking.report import read_report
    from edgebrain.files import canonical_json, refuse_to_overwrite, write_json
    from edgebrain.reporting.compare import compare_text
    from edgebrain.settings import as_builtins

    if json_file is not None and json_file != Path("-"):
        refuse_to_overwrite(json_file, force)
    change = compare_reports(read_report(first), read_report(second), (str(first), str(second)))
    found = as_builtins(change)
    if json_file == Path("-"):
        print(canonical_json(found), end="")
        return
    print(compare_text(change))
    if json_file is not None:
        write_json(json_file, found)
