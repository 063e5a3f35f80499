"""Which bundle a command works on: the one named, or the usual one of a run."""

from __future__ import annotations

import sys
from pathlib import Path


def chosen_bundle(named: Path | None, format: str = "tflite", precision: str = "int8") -> Path:
    """The bundle named; else that of the run named, or of the newest, in this format and precision: told on stderr.

    Raises BadRun: there is none. BadBundle: one of the run's bundles is damaged.
    """
    from edgebrain.bundle import MANIFEST, find_bundles, open_bundle
    from edgebrain.errors import BadRun
    from edgebrain.runs import RUN_FILE, newest_run
    from edgebrain.text import in_one_line

    if named is not None and ((named / MANIFEST).exists() or not (named / RUN_FILE).is_file()):
        return named
    run = named or newest_run()
    bundles = [open_bundle(path) for path in find_bundles(run)]
    fitting = [one.path for one in bundles if (one.format, one.precision) == (format, precision)]
    if not fitting:
        others = f", or name one of {', '.join(str(one.path) for one in bundles)}" if bundles else ""
        raise BadRun(f"{run}: holds no {precision} {format} bundle", f"edgebrain quantize {run} --int8{others}")
    print(in_one_line(f"bundle: {fitting[0]}"), file=sys.stderr)
    return fitting[0]
