"""A run's float model -> perhaps pruned, perhaps retrained -> exported once -> each format, through the gate.

Each format's float32 sibling is written too: a speed-up is only fair against the same runtime.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from edgebrain.bundle import CALIBRATION, Bundle, make_bundle, write_bundle
from edgebrain.capture_output import quiet
from edgebrain.compression.calibration import Calibration, check_choice, choose_calibration, refuse_unseen
from edgebrain.compression.exporters import Exported, exporter
from edgebrain.compression.exporters.tflite import described
from edgebrain.compression.gate import Answers, Verdict, admit, answer
from edgebrain.compression.mixed_precision import Ask, layers_to_keep, slowdown
from edgebrain.compression.prune_finetune import keras_session, pruned
from edgebrain.compression.qat import train_quantization_aware
from edgebrain.compression.run_inputs import Progress, Run
from edgebrain.compression.saved_model import save_model
from edgebrain.compression.selective_float import mixer
from edgebrain.data.sample import Sample
from edgebrain.errors import EdgebrainError, GateRefused
from edgebrain.files import refuse_to_overwrite
from edgebrain.graph import Operator, int8_mac_share
from edgebrain.graph.layers import layer_of, layer_operators
from edgebrain.model.network import weights_by_layer
from edgebrain.model.spec import UNetSpec
from edgebrain.recipe import AUTO, QuantizeRecipe
from edgebrain.runtime.session import open_session
from edgebrain.training.float_bundle import open_float_model, scores_json
from edgebrain.training.precision import versions

# Behind the name of an int8 bundle in which some layers are float.
MIXED = "mixed"


@dataclass(frozen=True)
class Outcome:
    """What became of one format: its bundle and the gate's verdict, or the error that stopped it.

    note: what stayed float, why, and what it costs. device: what would run on the device that the recipe checks for.
    """

    name: str
    bundle: Bundle | None
    verdict: Verdict | None
    error: EdgebrainError | None = None
    note: str = ""
    device: Mapping[str, Any] | None = None


def quantize(run: Run, recipe: QuantizeRecipe, out: Path, force: bool, progress: Progress) -> list[Outcome]:
    """Compress a run as the recipe says; bundles go to out/FORMAT-VARIANT.

    A format that fails or is refused does not stop the others. Raises CannotWrite: a bundle is there already and
    `force` is not given.
    """
    refuse_existing(recipe, out, force)
    variant = variant_name(recipe)
    calibration = choose_calibration(run.pack, run.split, recipe.calibration) if variant.startswith("int8") else None
    if calibration is not None:
        check_choice(calibration, run.pack, run.split)
    # Before anything is converted: a layer that is misspelt is no reason to wait.
    named_layers(recipe, run.recipe.model.spec())
    samples = run.gate_samples(recipe.gate.slices)
    parent, model = open_float_model(run.path / "float")
    parent_says = answer(keras_session(parent, model), samples, lambda d, t: progress("float model", d, t))
    if recipe.compress.prune:
        parent, model, parent_says = pruned(run, recipe, out, parent, model, parent_says, samples, force, progress)
    task = _Task(run, recipe, out, force, parent, model, parent_says, samples, calibration, progress)
    with tempfile.TemporaryDirectory(prefix="edgebrain-saved-") as folder:
        saved = Path(folder, "saved_model")
        with quiet():
            save_model(model, parent.input.shape[1], saved)
        return [outcome for name in recipe.compress.formats for outcome in task.both(name, saved)]


def refuse_existing(recipe: QuantizeRecipe, out: Path, force: bool) -> None:
    """Raises CannotWrite: a bundle that the recipe would write is there already and `force` is not given."""
    variant = variant_name(recipe)
    for name in recipe.compress.formats:
        refuse_to_overwrite(out / f"{name}-{variant}", force)
        if recipe.compress.keep_float:
            refuse_to_overwrite(out / f"{name}-{variant}-{MIXED}", force)


def named_layers(recipe: QuantizeRecipe, spec: UNetSpec) -> list[str]:
    """The layers that the recipe keeps in float by name; empty for none, and for `auto`. Raises BadBundle: no such."""
    asked = recipe.compress.keep_float
    return [] if asked in ("", AUTO) else [layer_of(spec, layer.strip()).name for layer in asked.split(",")]


def variant_name(recipe: QuantizeRecipe) -> str:
    """int8, int8-qat, int8-prune50, fp16 ...: what stands behind the format in a bundle's name."""
    compress = recipe.compress
    parts: list[str] = [compress.precision]
    if compress.prune:
        parts.append(f"prune{round(compress.prune * 100)}")
    if compress.qat:
        parts.append("qat")
    return "-".join(parts)


@dataclass(frozen=True)
class _Task:
    """One parent model on its way to bundles."""

    run: Run
    recipe: QuantizeRecipe
    out: Path
    force: bool
    parent: Bundle
    model: Any
    parent_says: Answers
    samples: list[Sample]
    calibration: Calibration | None
    progress: Progress

    def both(self, name: str, saved: Path) -> list[Outcome]:
        """The float32 sibling of a format, unless it is there already, and the compressed model."""
        suffix = f"-prune{round(self.recipe.compress.prune * 100)}" if self.recipe.compress.prune else ""
        sibling = f"{name}-float32{suffix}"
        outcomes = []
        if self.force or not (self.out / sibling).exists():
            outcomes.append(self._outcome(sibling, lambda: self._plain(name, saved, "float32"), "float32", None))
        precision = "float16" if self.recipe.compress.precision == "fp16" else "int8"
        calibration = self.calibration.afresh() if self.calibration is not None else None
        if self.recipe.compress.keep_float:
            return [*outcomes, self._with_float(name, saved, calibration)]
        make = self._aware if self.recipe.compress.qat else lambda: self._plain(name, saved, precision, calibration)
        return [*outcomes, self._outcome(f"{name}-{variant_name(self.recipe)}", make, precision, calibration)]

    def _plain(self, name: str, saved: Path, precision: str, calibration: Calibration | None = None) -> Exported:
        return exporter(name).export(saved, self.parent.input.shape[1], precision, calibration)

    def _with_float(self, name: str, saved: Path, calibration: Calibration | None) -> Outcome:
        """int8 with the layers in float that the recipe names, or, for `auto`, those that the gate asks for."""
        spec = UNetSpec.from_json(self.parent.manifest["model"])
        plain_name = f"{name}-{variant_name(self.recipe)}"
        mixed_name = f"{plain_name}-{MIXED}"
        int8 = self._plain(name, saved, "int8", calibration)
        refused = ""
        if self.recipe.compress.keep_float == AUTO:
            outcome = self._outcome(plain_name, lambda: int8, "int8", calibration)
            if not isinstance(outcome.error, GateRefused):
                return replace(outcome, note="passes the gate as it is: nothing stays float")
            refused = f"{outcome.error.message}\n"
        plain = self._plain(name, saved, "float32")

        def draft(layers: Sequence[str]) -> tuple[Exported, Bundle]:
            mixed = mixer(name).keep_float(int8, plain, spec, layers)
            return mixed, make_bundle(
                self.out / mixed_name, self._manifest(mixed_name, mixed, "int8", calibration), dict(mixed.contents)
            )

        try:
            layers = self._layers_in_float(
                mixed_name, spec, lambda kept: answer(open_session(draft(kept)[1]), self.samples)
            )
        except EdgebrainError as error:
            return Outcome(mixed_name, None, None, error)
        mixed, bundle = draft(layers)
        outcome = self._outcome(mixed_name, lambda: mixed, "int8", calibration)
        return replace(outcome, note=refused + self._cost(layers, draft([])[1], bundle))

    def _layers_in_float(self, name: str, spec: UNetSpec, ask: Ask) -> list[str]:
        if named := named_layers(self.recipe, spec):
            return named
        told = partial(self.progress, f"one layer of {name} in float at a time")
        return layers_to_keep(name, spec, self.parent_says, ask, self.recipe.gate, told)

    def _cost(self, layers: Sequence[str], int8: Bundle, mixed: Bundle) -> str:
        images = [sample.image for sample in self.samples]
        times = slowdown(open_session(int8), open_session(mixed), images)
        more = (mixed.model_bytes - int8.model_bytes) / 1024
        lost = int8.manifest["int8_mac_share"] - mixed.manifest["int8_mac_share"]
        return (
            f"{', '.join(layers)} stays float: {lost:.1%} of the multiply-adds, {more:+.0f} KiB, "
            f"{times:.2f} times as long as all int8, here on one thread"
        )

    def _aware(self) -> Exported:
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
        spec = UNetSpec.from_json(self.parent.manifest["model"])
        content = train_quantization_aware(
            spec, weights_by_layer(self.model), task, lambda d, t: self.progress("quantization-aware training", d, t)
        )
        return described(content)

    def _outcome(
        self, name: str, make: Callable[[], Exported], precision: str, calibration: Calibration | None
    ) -> Outcome:
        self.progress(f"writing {name}", 0, 2)
        try:
            exported = make()
            self.progress(f"writing {name}", 1, 2)
            return self._through_the_gate(name, exported, precision, calibration)
        except EdgebrainError as error:
            return Outcome(name, None, None, error)
        finally:
            self.progress(f"writing {name}", 2, 2)

    def _through_the_gate(
        self, name: str, exported: Exported, precision: str, calibration: Calibration | None
    ) -> Outcome:
        contents: dict[str, bytes] = dict(exported.contents)
        if precision == "int8":
            _refuse_float(name, exported.operators)
        if calibration is not None and not self.recipe.compress.qat:
            refuse_unseen(calibration)
            contents[CALIBRATION] = calibration.csv
        manifest = self._manifest(name, exported, precision, calibration)
        draft = make_bundle(self.out / name, manifest, contents)
        gate = self.recipe.gate
        says, verdict = admit(
            name, self.parent_says, open_session(draft), self.samples, gate.max_dice_drop, gate.min_agreement
        )
        contents["scores.json"] = scores_json(says.scores, self.run.split.sha256, "val")
        return Outcome(name, write_bundle(draft.path, manifest, contents, self.force), verdict)

    def _manifest(
        self, name: str, exported: Exported, precision: str, calibration: Calibration | None
    ) -> dict[str, Any]:
        share = int8_mac_share(exported.operators)
        lineage = {
            **self.parent.lineage,
            "parent": self.parent.manifest_sha256,
            "recipe": {"name": self.recipe.name, "sha256": self.recipe.sha256},
            "calibration_sha256": calibration.sha256 if calibration else None,
            "calibration_slices": len(calibration.images) if calibration else 0,
            "calibration_seen": calibration.seen if calibration else 0,
            "versions": {**versions(), **_converter_versions()},
        }
        if self.recipe.compress.qat:
            lineage |= {"calibration_sha256": None, "calibration_slices": 0, "calibration_seen": 0}
        return {
            **{key: self.parent.manifest[key] for key in ("model", "postprocess", "parameters", "macs")},
            "name": f"{self.run.path.name}-{name}",
            "format": name.split("-")[0],
            "precision": "mixed" if precision == "int8" and share < 1.0 else precision,
            "input": {**exported.input.as_json(), "slice": self.parent.manifest["input"]["slice"]},
            "outputs": {role: port.as_json() for role, port in exported.outputs.items()},
            "int8_mac_share": share,
            "kept_float": _kept_float(exported.operators, self.parent) if precision == "int8" else [],
            "operators": _operator_counts(exported.operators),
            "lineage": lineage,
        }


def _refuse_float(name: str, operators: tuple[Operator, ...]) -> None:
    """Raises GateRefused: a file that was to be int8 and multiplies in float throughout."""
    if int8_mac_share(operators):
        return
    weighted = [operator for operator in operators if operator.macs]
    weights = {operator.weight for operator in weighted}
    given = {dtype for operator in weighted for dtype in operator.inputs}
    raise GateRefused(
        f"{name}: refused: not one multiply-add of the written file is int8 (weights {', '.join(sorted(weights))}, "
        f"activations {', '.join(sorted(given))})",
        "nothing was written; give the converter calibration images and ask for integer operators only",
    )


def _kept_float(operators: tuple[Operator, ...], parent: Bundle) -> list[str]:
    """Layers, by the network's names, that multiply in float."""
    places = layer_operators(operators, UNetSpec.from_json(parent.manifest["model"]))
    return [layer for layer, place in places.items() if not operators[place].int8]


def _operator_counts(operators: tuple[Operator, ...]) -> dict[str, int]:
    """Operator and version -> how many, as read from the file."""
    counts: dict[str, int] = {}
    for operator in operators:
        key = f"{operator.kind} v{operator.version}" if operator.version else operator.kind
        counts[key] = counts.get(key, 0) + 1
    return dict(sorted(counts.items()))


def _converter_versions() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in ("openvino", "nncf", "onnx", "onnxruntime", "tf2onnx", "tensorflow-model-optimization"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
