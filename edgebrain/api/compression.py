"""Compression: a run's float model is exported to TFLite, OpenVINO and ONNX, and what it lost is explained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebrain.api.arguments import AnyPath, check_count, optional_path
from edgebrain.api.defaults import chosen_bundle, run_data
from edgebrain.errors import BadRun
from edgebrain.files import claim_file, write_json
from edgebrain.progress import Notify, Progress, no_notice, no_progress
from edgebrain.runs import newest_run, read_run, run_of

if TYPE_CHECKING:
    from edgebrain.bundle import Bundle
    from edgebrain.compression.quantize import ExportResult
    from edgebrain.compression.run_inputs import RunInputs


def quantize(
    run: AnyPath | None = None,
    recipe: str = "int8",
    *,
    formats: str | Sequence[str] | None = None,
    prune: float | None = None,
    qat: bool | None = None,
    keep_float: str | Sequence[str] | None = None,
    data: AnyPath | None = None,
    out: AnyPath | None = None,
    force: bool = False,
    allow_rejected: bool = False,
    progress: Progress = no_progress,
    notify: Notify = no_notice,
) -> list[ExportResult]:
    """Compress a run's model and export it in each format of the recipe.

    Args:
        run: Run folder; the newest finished one when left out.
        recipe: A shipped recipe's name (int8, fp16, int8-qat ...), or a .toml file.
        formats: Formats to write, such as "tflite", instead of the recipe's; those of installed packages too.
        prune: Share of channels to remove first, in [0, 0.9], instead of the recipe's.
        qat: Quantization-aware training first (TFLite), instead of what the recipe says.
        keep_float: Layers that stay float; "auto" for the fewest with which a refused model passes the gate.
        data: The run's data, where it has moved.
        out: Folder for the bundles; RUN/bundles when left out.
        force: Replace bundles that are there.
        allow_rejected: Go on where a class or a tenth of the masks cannot be used.
        progress: Called with what is being done, the number of steps done and the number in all.
        notify: Called with lines on the data.

    Returns:
        What became of each format, float siblings included; one that failed carries its `error`.

    Raises:
        BadRun, BadRecipe: What was given cannot be used.
        CannotWrite: A bundle is there already.
        MissingExtra: A converter is not installed.

    Example:
        >>> results = edgebrain.quantize("runs/demo-1", formats=["tflite"], out="bundles")
        >>> [result.name for result in results if result.error is None]
        ['tflite-float32', 'tflite-int8']
    """
    from edgebrain.recipe import check_quantize, load_quantize_recipe, replaced

    layers = keep_float if keep_float is None or isinstance(keep_float, str) else ",".join(keep_float)
    names = formats if formats is None else (formats,) if isinstance(formats, str) else tuple(formats)
    parts = {"formats": names, "prune": prune, "qat": qat, "keep_float": layers}
    chosen = replaced(load_quantize_recipe(recipe), "compress", **parts)
    check_quantize(chosen, "the options")
    folder = optional_path(run, "run") or newest_run()
    entry = read_run(folder)
    bundles = optional_path(out, "out") or folder / "bundles"
    from edgebrain.api.keras_backend import import_keras

    import_keras("quantizing", backend="tensorflow")
    from edgebrain.compression.quantize import quantize as compress
    from edgebrain.compression.quantize import refuse_existing
    from edgebrain.data.rejected import left_out

    refuse_existing(chosen, bundles, force)
    # What was allowed when the run was trained is not asked again: the data are the same.
    allowed = allow_rejected or bool(entry["data"].get("allow_rejected"))
    opened = _opened(folder, entry, optional_path(data, "data"), progress, allowed)
    if line := left_out(opened.pack.rejected, len(opened.dataset.records), opened.dataset.root):
        notify(line)
    outcomes = compress(opened, chosen, bundles, force, progress)
    if not chosen.compress.check:
        return outcomes
    return [replace(outcome, device=_on_coral(outcome.bundle)) for outcome in outcomes]


@dataclass(frozen=True)
class Explanation:
    """What an INT8 bundle lost, layer by layer.

    Attributes:
        figures: Layers with their noise, time and the Dice that each would give back in float.
        written: The file in the run folder that holds them.
    """

    figures: dict[str, Any]
    written: Path


def explain(
    bundle: AnyPath | None = None,
    *,
    data: AnyPath | None = None,
    slices: int = 200,
    progress: Progress = no_progress,
) -> Explanation:
    """Say which layer of an INT8 bundle adds the noise, costs the time, and would give Dice back in float.

    The figures are also written to RUN/explain/BUNDLE.json, the next free name.

    Args:
        bundle: INT8 bundle, where `quantize` wrote it; the newest finished run's TFLite one when left out.
        data: The run's data, where it has moved.
        slices: Validation slices to look at, at most.
        progress: Called with what is being done, the number of steps done and the number in all.

    Returns:
        The figures, layer by layer, and the file that holds them.

    Raises:
        BadRun: The bundle lies in no run.
        MissingExtra: TensorFlow is not installed.

    Example:
        >>> found = edgebrain.explain("runs/demo-1/bundles/tflite-int8", slices=8)
        >>> found.figures["layers"][0]["layer"]
        'enc1_conv1'
    """
    check_count(slices, "slices")
    folder = chosen_bundle(optional_path(bundle, "bundle"))
    from edgebrain.bundle import open_bundle

    opened = open_bundle(folder)
    run = run_of(folder)
    if run is None:
        raise BadRun(
            f"{folder}: lies in no run, and explaining needs its float parent and validation slices",
            "name the bundle where `edgebrain quantize` wrote it",
        )
    entry = read_run(run)
    from edgebrain.api.keras_backend import import_keras

    import_keras("explaining", backend="tensorflow")
    from edgebrain.compression.sensitivity import explain as find_sensitive_layers

    inputs = _opened(run, entry, optional_path(data, "data"), progress)
    found = find_sensitive_layers(inputs, opened, slices, progress)
    written = claim_file(run / "explain" / f"{folder.name}.json")
    write_json(written, found)
    return Explanation(found, written)


def _on_coral(bundle: Bundle | None) -> dict[str, Any] | None:
    """What a Coral Edge TPU would run of an int8 bundle; None for a float one, and for a format that failed."""
    from edgebrain.coral.deploy import check

    return None if bundle is None or bundle.precision == "float32" else check(bundle)


def _opened(
    run: Path, entry: dict[str, Any], data: Path | None, progress: Progress, allow_rejected: bool = False
) -> RunInputs:
    """The run with its data, packed. entry: the content of its run.json."""
    from edgebrain.compression.run_inputs import open_run

    dataset = run_data(entry, data)
    return open_run(run, dataset, entry["data"]["groups"], entry["data"]["sha256"], progress, allow_rejected)
