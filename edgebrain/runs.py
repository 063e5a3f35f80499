"""The run folder: what lies where, which is the newest, and to which run a bundle belongs.

RUN/
  run.json          name, recipe, data, split and seeds, by hash; written first
  recipe.toml       the recipe as checked
  split.json        which slice is on which side
  history.json      one entry an epoch
  curves.png
  checkpoint.npz    everything a resumed run needs, replaced after each epoch
  best.weights.h5   last.weights.h5
  float/            the float bundle (best weights); its presence means that training has ended
  bundles/          what `edgebrain quantize` wrote
  bench.json        bench.md; a second bench gives bench-2.json, and so on
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgebrain.errors import BadRun
from edgebrain.files import read_json

RUNS = Path("runs")
RUN_FILE = "run.json"
# Written when training has ended.
FINISHED = "float/manifest.json"


def newest_run(root: Path = RUNS) -> Path:
    """The run whose training ended last. Raises BadRun where no run is finished."""
    ended = {path.parents[1]: path.stat().st_mtime_ns for path in root.glob(f"*/{FINISHED}")}
    finished = [run for run in ended if (run / RUN_FILE).is_file()]
    if not finished:
        started = any(root.glob(f"*/{RUN_FILE}"))
        finish = "finish one with `edgebrain train --resume RUN`"
        start = "type `edgebrain train` first, or name a run"
        raise BadRun(f"{root.resolve()}: holds no finished run", finish if started else start)
    return max(finished, key=ended.__getitem__)


def run_of(bundle: Path) -> Path | None:
    """The run folder that a bundle lies in, or None for a bundle that travels alone."""
    return next((parent for parent in bundle.resolve().parents if (parent / RUN_FILE).is_file()), None)


def read_run(run: Path) -> dict[str, Any]:
    """The content of run.json. Raises BadRun."""
    if not (run / RUN_FILE).is_file():
        raise BadRun(f"{run}: is not a run (no {RUN_FILE})", "pass a folder made by `edgebrain train`")
    return dict(read_json(run / RUN_FILE, BadRun))


def next_run(name: str, root: Path = RUNS) -> Path:
    """The first free folder among runs/NAME-1, runs/NAME-2 ..."""
    number = 1
    while (root / f"{name}-{number}").exists():
        number += 1
    return root / f"{name}-{number}"
