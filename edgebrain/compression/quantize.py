"""A run's float model -> perhaps pruned, perhaps retrained -> exported to each format -> through the gate.

Each format's float32 sibling is written too, because a speed-up is only fair against the same runtime.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from edgebrain.bundle import CALIBRATION, Bundle, make_bundle, write_bundle
from edgebrain.capture_output import capture_output
from edgebrain.compression.calibration import Calibration, check_calibration, choose_calibration, refuse_unread
from edgebrain.compression.formats import Exported, format_module, keep_float
from edgebrain.compression.gate import Answers, GateResult, admit, answer
from edgebrain.compression.manifest import compressed_manifest, refuse_float_file
from edgebrain.compression.mixed_precision import AnswersWith, layers_to_keep, slowdown
from edgebrain.compression.prune_finetune import keras_session, pruned
from edgebrain.compression.qat import train_quantization_aware
from edgebrain.compression.run_inputs import RunInputs
from edgebrain.compression.saved_model import save_model
from edgebrain.data.sample import Sample
from edgebrain.errors import EdgebrainError, GateRefused
from edgebrain.files import refuse_to_overwrite
from edgebrain.graph.layers import layer_of
from edgebrain.model.families import spec_from_json
from edgebrain.model.network import weights_by_layer
from edgebrain.model.spec import Spec
from edgebrain.progress import Progress
from edgebrain.recipe import AUTO, QuantizeRecipe
from edgebrain.runtime.session import open_session
from edgebrain.training.float_bundle import open_float_model, scores_json

# Behind the name of an int8 bundle in which some layers are float.
MIXED = "mixed"


@dataclass(frozen=True)
class ExportResult:
    """What became of one bundle.

    Attributes:
        name: What it is called.
        bundle: The written bundle; None where an error stopped it.
        gate: The gate's figures; None where an error stopped it.
        error: What stopped it.
        note: Which layers stayed float, why, and what it costs.
        device: What would run on the device that the recipe checks for; None where it names none.
    """

    name: str
    bundle: Bundle | None = None
    gate: GateResult | None = None
    error: EdgebrainError | None = None
    note: str = ""
    device: Mapping[str, Any] | None = None


def quantize(run: RunInputs, recipe: QuantizeRecipe, out: Path, force: bool, progress: Progress) -> list[ExportResult]:
    """Compress a run as the recipe says.

    A format that fails or is refused does not stop the others.

    Args:
        run: The finished run with its data.
        recipe: What to do.
        out: Folder for the bundles, which are called FORMAT-VARIANT there.
        force: Replace bundles that are there.
        progress: Called with what is being done.

    Returns:
        One result a bundle, in the order of the recipe's formats, float32 siblings first.

    Raises:
        CannotWrite: A bundle is there already and `force` is not given.
        BadBundle: A layer that is to stay float does not exist.
        BadData: The calibration images cannot be used.
    """
    refuse_existing(recipe, out, force)
    calibration = None
    if recipe.compress.precision == "int8":
        calibration = choose_calibration(run.pack, run.split, recipe.calibration)
        check_calibration(calibration, run.pack, run.split)
    # Fail fast: report a misspelt layer before anything is converted.
    named_layers(recipe, run.recipe.model.spec())
    samples = run.gate_samples(recipe.gate.slices)
    parent, model = open_float_model(run.path / "float")
    answers = answer(keras_session(parent, model), samples, progress, "float model")
    if recipe.compress.prune:
        parent, model, answers = pruned(run, recipe, out, parent, model, answers, samples, force, progress)
    export = _Export(run, recipe, out, force, parent, model, answers, samples, calibration, progress)
    with tempfile.TemporaryDirectory(prefix="edgebrain-saved-") as folder:
        saved = Path(folder, "saved_model")
        with capture_output():
            save_model(model, parent.input.shape[1], saved)
        return [result for name in recipe.compress.formats for result in export.write(name, saved)]


def refuse_existing(recipe: QuantizeRecipe, out: Path, force: bool) -> None:
    """Check for bundles that are there, before any work.

    Raises:
        CannotWrite: A bundle that the recipe would write exists and `force` is not given.
    """
    variant = variant_name(recipe)
    for name in recipe.compress.formats:
        refuse_to_overwrite(out / f"{name}-{variant}", force)
        if recipe.compress.keep_float:
            refuse_to_overwrite(out / f"{name}-{variant}-{MIXED}", force)


def named_layers(recipe: QuantizeRecipe, spec: Spec) -> list[str]:
    """The layers that the recipe keeps in float by name; empty for none, and for `auto`.

    Raises:
        BadBundle: The network has no such layer.
    """
    asked = recipe.compress.keep_float
    return [] if asked in ("", AUTO) else [layer_of(spec, layer.strip()).name for layer in asked.split(",")]


def variant_name(recipe: QuantizeRecipe) -> str:
    """int8, int8-qat, int8-prune50, fp16 ...: what follows the format in a bundle's name."""
    compress = recipe.compress
    parts: list[str] = [compress.precision]
    if compress.prune:
        parts.append(f"prune{round(compress.prune * 100)}")
    if compress.qat:
        parts.append("qat")
    return "-".join(parts)


@dataclass(frozen=True)
class _Export:
    """One parent model, written to formats one after the other."""

    run: RunInputs
    recipe: QuantizeRecipe
    out: Path
    force: bool
    parent: Bundle
    model: Any
    parent_answers: Answers
    samples: list[Sample]
    calibration: Calibration | None
    progress: Progress

    def write(self, format_name: str, saved: Path) -> Iterator[ExportResult]:
        """The float32 sibling of a format, unless it is there already, and the compressed model."""
        compress = self.recipe.compress
        sibling = f"{format_name}-float32" + (f"-prune{round(compress.prune * 100)}" if compress.prune else "")
        export = partial(self._exported, format_name, saved)
        if self.force or not (self.out / sibling).exists():
            yield self._result(sibling, format_name, partial(export, "float32"), "float32", None)
        name = f"{format_name}-{variant_name(self.recipe)}"
        # Each format's observers are counted for themselves.
        calibration = self.calibration.unread() if self.calibration is not None else None
        if compress.precision == "fp16":
            yield self._result(name, format_name, partial(export, "float16"), "float16", None)
        elif compress.qat:
            yield self._result(name, format_name, self._quantization_aware, "int8", None)
        elif compress.keep_float:
            yield self._with_float_layers(name, format_name, export, calibration)
        else:
            yield self._result(name, format_name, partial(export, "int8", calibration), "int8", calibration)

    def _exported(
        self, format_name: str, saved: Path, precision: str, calibration: Calibration | None = None
    ) -> Exported:
        return format_module(format_name).export(saved, self.parent.input.shape[1], precision, calibration)

    def _with_float_layers(
        self, name: str, format_name: str, export: Callable[..., Exported], calibration: Calibration | None
    ) -> ExportResult:
        """int8 with the layers in float that the recipe names, or, for `auto`, those that the gate asks for."""
        spec = spec_from_json(self.parent.manifest["model"])
        mixed_name = f"{name}-{MIXED}"
        int8 = export("int8", calibration)
        refused = ""
        if self.recipe.compress.keep_float == AUTO:
            result = self._result(name, format_name, lambda: int8, "int8", calibration)
            if not isinstance(result.error, GateRefused):
                return replace(result, note="passes the gate as it is: nothing stays float")
            refused = f"{result.error.message}\n"
        plain = export("float32")

        def draft(layers: Sequence[str]) -> tuple[Exported, Bundle]:
            mixed = keep_float(format_name, int8, plain, spec, layers)
            manifest = self._manifest(mixed_name, format_name, mixed, "int8", calibration)
            return mixed, make_bundle(self.out / mixed_name, manifest, dict(mixed.contents))

        try:
            layers = self._layers_in_float(
                mixed_name, spec, lambda kept: answer(open_session(draft(kept)[1]), self.samples)
            )
            mixed, bundle = draft(layers)
        except EdgebrainError as error:
            return ExportResult(mixed_name, error=error)
        result = self._result(mixed_name, format_name, lambda: mixed, "int8", calibration)
        return replace(result, note=refused + self._cost(layers, draft([])[1], bundle))

    def _layers_in_float(self, name: str, spec: Spec, answers_with: AnswersWith) -> list[str]:
        if named := named_layers(self.recipe, spec):
            return named
        return layers_to_keep(name, spec, self.parent_answers, answers_with, self.recipe.gate, self.progress)

    def _cost(self, layers: Sequence[str], int8: Bundle, mixed: Bundle) -> str:
        """What the layers in float cost, in words."""
        images = [sample.image for sample in self.samples]
        times = slowdown(open_session(int8), open_session(mixed), images)
        more = (mixed.model_bytes - int8.model_bytes) / 1024
        lost = int8.manifest["int8_mac_share"] - mixed.manifest["int8_mac_share"]
        return (
            f"{', '.join(layers)} stays float: {lost:.1%} of the multiply-adds, {more:+.0f} KiB, "
            f"{times:.2f} times as long as all int8, here on one thread"
        )

    def _quantization_aware(self) -> Exported:
        # Imported here because a run that exports other formats alone needs no interpreter of TFLite.
        from edgebrain.compression.formats.tflite import described

        part, train = self.recipe.finetune, self.run.recipe.train
        task = {
            "data": str(self.run.dataset.root),
            "groups": self.run.groups,
            "split": str(self.run.path / "split.json"),
            "epochs": part.qat_epochs,
            "learning_rate": part.qat_learning_rate,
            "batch": train.batch,
            "seed": train.seed,
            "class_weight": train.class_weight,
            "mask_cross_entropy": train.mask_cross_entropy,
            "augment": asdict(self.run.recipe.augment),
        }
        spec = spec_from_json(self.parent.manifest["model"])
        progress = partial(self.progress, "quantization-aware training")
        return described(train_quantization_aware(spec, weights_by_layer(self.model), task, progress))

    def _result(
        self,
        name: str,
        format_name: str,
        make: Callable[[], Exported],
        precision: str,
        calibration: Calibration | None,
    ) -> ExportResult:
        """Export, check and write one bundle; an error becomes a part of the result."""
        self.progress(f"writing {name}", 0, 2)
        try:
            exported = make()
            self.progress(f"writing {name}", 1, 2)
            return self._through_the_gate(name, format_name, exported, precision, calibration)
        except EdgebrainError as error:
            return ExportResult(name, error=error)
        finally:
            self.progress(f"writing {name}", 2, 2)

    def _through_the_gate(
        self, name: str, format_name: str, exported: Exported, precision: str, calibration: Calibration | None
    ) -> ExportResult:
        contents: dict[str, bytes] = dict(exported.contents)
        if precision == "int8":
            refuse_float_file(name, exported.operators)
        if calibration is not None:
            refuse_unread(calibration)
            contents[CALIBRATION] = calibration.csv
        manifest = self._manifest(name, format_name, exported, precision, calibration)
        draft = make_bundle(self.out / name, manifest, contents)
        limits = self.recipe.gate.max_dice_drop, self.recipe.gate.min_agreement
        answers, gate = admit(name, self.parent_answers, open_session(draft), self.samples, *limits)
        contents["scores.json"] = scores_json(answers.scores, self.run.split.sha256, "val")
        return ExportResult(name, write_bundle(draft.path, manifest, contents, self.force), gate)

    def _manifest(
        self, name: str, format_name: str, exported: Exported, precision: str, calibration: Calibration | None
    ) -> dict[str, Any]:
        full_name = f"{self.run.path.name}-{name}"
        return compressed_manifest(full_name, format_name, exported, precision, self.parent, self.recipe, calibration)
