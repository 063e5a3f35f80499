"""Which layer broke: a quantized bundle and its float parent, layer by layer, in the network's own names."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import keras
import numpy as np

from edgebrain.bundle import Bundle, find_bundles, make_bundle, open_bundle
from edgebrain.compression.formats import OUTPUT_LAYERS, Exported, Probe, keep_float, open_probe, written_operators
from edgebrain.compression.gate import Answers, answer
from edgebrain.compression.prune_finetune import keras_session
from edgebrain.compression.run_inputs import RunInputs
from edgebrain.data.sample import Sample
from edgebrain.errors import BadBundle
from edgebrain.evaluation.bootstrap import mean_interval
from edgebrain.evaluation.scores import ImageScore, group_means
from edgebrain.evaluation.strata import pair_up
from edgebrain.evaluation.verdict import FEWEST_GROUPS, MEASURES, group_means_of
from edgebrain.graph.layers import layer_operators
from edgebrain.model.families import spec_from_json
from edgebrain.model.spec import Spec
from edgebrain.progress import Progress
from edgebrain.runtime.environment import environment
from edgebrain.runtime.session import open_session
from edgebrain.runtime.transform import downsample, to_tensor
from edgebrain.training.float_bundle import open_float_model

SCHEMA = 1
TIMED_SLICES = 8
CONFIDENCE = 0.95
GAINS = ("dice", "accuracy")
NO_GAIN = {f"{name}_{part}": None for name in GAINS for part in ("recovered", "low", "high")}


@dataclass
class Noise:
    """Energy of a signal and of what was added to it, summed over slices."""

    signal: float = 0.0
    noise: float = 0.0

    def add(self, wanted: np.ndarray, got: np.ndarray) -> None:
        """Take in one slice. Arrays of one shape."""
        exact = wanted.astype(np.float64)
        self.signal += float(np.square(exact).sum())
        self.noise += float(np.square(got - exact).sum())

    @property
    def sqnr_db(self) -> float | None:
        """Signal-to-quantization-noise ratio in dB, 10 log10(signal / noise) (Oppenheim and Schafer, Discrete-Time
        Signal Processing, 4.8.3); None where there is no noise or no signal."""
        return 10.0 * math.log10(self.signal / self.noise) if self.signal and self.noise else None


@dataclass
class LayerNoise:
    """own: against the layer in float on the same input. drift: against the float network's layer."""

    own: Noise = field(default_factory=Noise)
    drift: Noise = field(default_factory=Noise)


def explain(run: RunInputs, bundle: Bundle, slices: int, progress: Progress) -> dict[str, Any]:
    """What each layer of a quantized bundle adds, costs and would give back; see docs/how-to/explain-layers.md.

    Args:
        slices: Of the validation side, at most.

    Raises:
        BadBundle: Not quantized, a format that cannot be looked into, or the float parent is not in the run.
    """
    parent, model = open_float_model(_parent_of(run, bundle).path)
    spec = spec_from_json(bundle.manifest["model"])
    samples = run.gate_samples(slices)
    probe = open_probe(bundle, spec)
    tensors = [to_tensor(downsample(sample.image, spec.side, spec.side), bundle.input) for sample in samples]
    retrained = not bundle.lineage["calibration_slices"]
    noise = noise_by_layer(probe, model, spec, samples, tensors, partial(progress, "looking inside"))
    durations, whole_ms = probe.milliseconds(tensors[:TIMED_SLICES])
    stored = probe.stored_bytes()
    answers = answer(open_session(bundle), samples, progress, "scoring the bundle")
    plain = None if retrained else _float_sibling(run, bundle)
    gains = _gains(bundle, plain, spec, samples, answers, progress) if plain is not None else {}
    operators = read_back(bundle).operators
    indices = layer_operators(operators, spec)
    return {
        "schema": SCHEMA,
        "bundle": bundle.name,
        "path": str(bundle.path),
        "manifest_sha256": bundle.manifest_sha256,
        "format": bundle.format,
        "parent": parent.name,
        "data": {"path": str(run.dataset.root), "split": "val", "slices": len(samples)},
        "dice": {
            "parent": _parent_dice(parent, model, samples, progress),
            "bundle": group_means(answers.scores)["dice"],
        },
        "whole_ms": whole_ms,
        "environment": environment(),
        "layers": [
            {
                "layer": layer.name,
                "precision": "int8" if operators[indices[layer.name]].int8 else "float32",
                "sqnr_db": None if retrained else noise[layer.name].own.sqnr_db,
                "drift_db": noise[layer.name].drift.sqnr_db,
                **gains.get(layer.name, NO_GAIN),
                "ms": durations.get(layer.name),
                "macs": layer.macs,
                "bytes": stored[layer.name],
            }
            for layer in spec.layers()
        ],
        "notes": _notes(bundle, probe, retrained, plain is None),
    }


def noise_by_layer(
    probe: Probe,
    model: Any,
    spec: Spec,
    samples: Sequence[Sample],
    tensors: Sequence[np.ndarray],
    progress: Callable[[int, int], None],
) -> dict[str, LayerNoise]:
    """Each layer's noise, summed over slices.

    Args:
        probe: Looks into the bundle.
        model: The float network.
        spec: Its layers.
        samples: The slices, (H, W) uint8 each.
        tensors: The same slices as the bundle takes them, (1, side, side, 1) each.
        progress: Called with slices done and slices in all.

    Returns:
        Layer -> its own noise and the drift that reaches it.
    """
    names = [layer.name for layer in spec.layers()]
    inside = keras.Model(model.input, [_end_of(model, name).output for name in names])
    found = {name: LayerNoise() for name in names}
    for done, (sample, tensor) in enumerate(zip(samples, tensors, strict=True), start=1):
        grey = downsample(sample.image, spec.side, spec.side).astype(np.float32) / np.float32(255.0)
        wanted = dict(zip(names, inside(grey[None, ..., None], training=False), strict=True))
        for name, tensors_of in probe.layer_tensors(tensor).items():
            found[name].own.add(np.asarray(_layer(model, name, tensors_of.inputs)), tensors_of.outputs)
            found[name].drift.add(np.asarray(wanted[name]), tensors_of.outputs)
        progress(done, len(samples))
    return found


def read_back(bundle: Bundle) -> Exported:
    """A written bundle as its exporter left it."""
    contents = {name: data for name, data in bundle.contents.items() if name.startswith("model.")}
    operators = written_operators(bundle.format, contents)
    return Exported(contents, bundle.input, {role: bundle.output(role) for role in OUTPUT_LAYERS}, operators)


def with_float(bundle: Bundle, int8: Exported, plain: Exported, spec: Spec, layers: Sequence[str]) -> Bundle:
    """The bundle with some layers in float, in memory only."""
    mixed = keep_float(bundle.format, int8, plain, spec, layers)
    return make_bundle(bundle.path, bundle.manifest, dict(mixed.contents))


def _gains(
    bundle: Bundle, plain: Exported, spec: Spec, samples: list[Sample], answers: Answers, progress: Progress
) -> dict[str, dict[str, float | None]]:
    int8, names = read_back(bundle), [layer.name for layer in spec.layers()]
    found = {}
    for done, name in enumerate(names):
        progress("one layer in float at a time", done, len(names))
        alone = answer(open_session(with_float(bundle, int8, plain, spec, [name])), samples)
        # As many questions as layers: the intervals hold together (Bonferroni).
        found[name] = _recovered(alone.scores, answers.scores, 1.0 - (1.0 - CONFIDENCE) / len(names))
    progress("one layer in float at a time", len(names), len(names))
    return found


def _recovered(alone: Sequence[ImageScore], bundle: Sequence[ImageScore], confidence: float) -> dict[str, float | None]:
    """Dice and accuracy that come back, means over groups with their intervals."""
    found: dict[str, float | None] = dict(NO_GAIN)
    for name in GAINS:
        lost, _ = group_means_of(pair_up(alone, bundle), MEASURES[name])
        if len(lost):
            found[f"{name}_recovered"] = float(lost.mean())
        if len(lost) >= FEWEST_GROUPS:
            low, high = (float(end) for end in mean_interval(lost, confidence))
            # Without an end where hardly a slice differs.
            found[f"{name}_low"], found[f"{name}_high"] = (end if math.isfinite(end) else None for end in (low, high))
    return found


def _layer(model: Any, name: str, given: np.ndarray) -> Any:
    """A layer with what belongs to it (normalisation, ReLU), alone, in float. given: (1, ...) real."""
    value = model.get_layer(name)(given.astype(np.float32))
    for part in (f"{name}_bn", f"{name}_relu"):
        if any(layer.name == part for layer in model.layers):
            value = model.get_layer(part)(value, training=False)
    return value


def _end_of(model: Any, name: str) -> Any:
    """The last Keras layer of a layer."""
    relu = f"{name}_relu"
    return model.get_layer(relu if any(layer.name == relu for layer in model.layers) else name)


def _parent_of(run: RunInputs, bundle: Bundle) -> Bundle:
    if bundle.precision not in ("int8", "mixed"):
        raise BadBundle(f"{bundle.path}: is {bundle.precision}, nothing in it is quantized", "name an int8 bundle")
    wanted = bundle.lineage["parent"]
    for path in find_bundles(run.path):
        candidate = open_bundle(path)
        if candidate.manifest_sha256 == wanted:
            return candidate
    raise BadBundle(f"{bundle.path}: its float parent is not in {run.path}", "quantize that run again")


def _float_sibling(run: RunInputs, bundle: Bundle) -> Exported | None:
    """The float32 file of the same format and parent, read back; None where it is not in the run."""
    for path in find_bundles(run.path):
        other = open_bundle(path)
        kin = other.lineage.get("parent") == bundle.lineage["parent"]
        if kin and (other.format, other.precision) == (bundle.format, "float32"):
            return read_back(other)
    return None


def _parent_dice(parent: Bundle, model: Any, samples: list[Sample], progress: Progress) -> float | None:
    answers = answer(keras_session(parent, model), samples, progress, "scoring the float parent")
    return group_means(answers.scores)["dice"]


def _notes(bundle: Bundle, probe: Probe, retrained: bool, alone: bool) -> list[str]:
    notes = []
    if retrained:
        notes.append(
            "retrained while it was quantized: its layers have no float counterparts, so only drift, "
            "time and bytes are given"
        )
    elif alone:
        notes.append(
            f"no float32 {bundle.format} bundle is in the run, so what a layer in float gives back is not known"
        )
    if probe.note:
        notes.append(probe.note)
    return notes
