"""`edgebrain compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgebrain.cli.options import STDOUT, Force, JsonFile, refuse_early, write_json_file


def compare(
    first: Annotated[Path, typer.Argument(help="Report of `edgebrain bench --json`.", metavar="A.json")],
    second: Annotated[Path, typer.Argument(help="A later report.", metavar="B.json")],
    json_file: JsonFile = None,
    force: Force = False,
) -> None:
    """Compare the durations of two bench reports, and say which changes are larger than the noise.

    Reports of different conditions (processor, threads, slices, protocol) are refused, and the differences named.

    Example: edgebrain compare before.json after.json
    """
    from edgebrain.api.benchmark import compare as compare_reports
    from edgebrain.reporting.compare import compare_text
    from edgebrain.settings import as_builtins

    refuse_early(json_file, force)
    found = compare_reports(first, second)
    if json_file != STDOUT:
        print(compare_text(found))
    write_json_file(as_builtins(found), json_file)
