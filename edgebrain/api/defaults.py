"""Which run, bundle and data a command works on where none is named: those of the newest finished run.

One rule for all commands. `predict`, `explain` and `deploy` take its INT8 TFLite bundle, `evaluate` its float one,
`bench` all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebrain.bundle import MANIFEST, find_bundles, open_bundle
from edgebrain.errors import BadBundle, BadRun
from edgebrain.runs import RUN_FILE, newest_run

if TYPE_CHECKING:
    from edgebrain.data.sample import Dataset
    from edgebrain.recipe import TrainRecipe


def chosen_bundle(named: Path | None, format: str = "tflite", precision: str = "int8") -> Path:
    """The bundle named, or the one in this format and precision of the run named or of the newest finished run.

    Raises:
        BadRun: There is none.
        BadBundle: One of the run's bundles is damaged.
    """
    if named is not None and not _is_run(named):
        return named
    run = named or newest_run()
    bundles = [open_bundle(path) for path in find_bundles(run)]
    fitting = [one.path for one in bundles if (one.format, one.precision) == (format, precision)]
    if not fitting:
        others = f", or name one of {', '.join(str(one.path) for one in bundles)}" if bundles else ""
        raise BadRun(f"{run}: holds no {precision} {format} bundle", f"edgebrain quantize {run} --int8{others}")
    return fitting[0]


def float_bundle(named: Path | None) -> Path:
    """The bundle named, or the float one of the run named or of the newest finished run. Raises BadRun."""
    folder = named or newest_run()
    return folder / "float" if _is_run(folder) else folder


def all_bundles(named: Sequence[Path]) -> list[Path]:
    """The bundles named and every bundle in the folders named; else every bundle of the newest finished run.

    Raises:
        BadRun: There is no finished run.
        BadBundle: A folder that holds no bundle.
    """
    return [bundle for path in named or [newest_run()] for bundle in _bundles_at(path)]


def training_data(data: Path | None, groups: Path | None, recipe: TrainRecipe) -> Dataset:
    """The data set named, else the built-in phantoms of the recipe. Raises BadData."""
    from edgebrain.data.readers import open_dataset

    if data is None:
        from edgebrain.phantom.generator import builtin_phantoms

        data = builtin_phantoms(recipe.phantom.count, recipe.phantom.seed)
    return open_dataset(data, groups)


def run_data(run: dict[str, Any], data: Path | None) -> Dataset:
    """The data set that a run was trained on, or the same data in another folder. run: the content of run.json."""
    from edgebrain.data.readers import open_dataset

    groups = run["data"]["groups"]
    return open_dataset(data or Path(run["data"]["path"]), Path(groups) if groups else None)


def _is_run(folder: Path) -> bool:
    return (folder / RUN_FILE).is_file() and not (folder / MANIFEST).exists()


def _bundles_at(path: Path) -> list[Path]:
    if (path / MANIFEST).is_file():
        return [path]
    found = find_bundles(path)
    if not found:
        raise BadBundle(f"{path}: is not a bundle and holds none", "pass a bundle or a run with bundles")
    return found
