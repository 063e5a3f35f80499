"""The mixed-precision fallback: the fewest layers in float with which a refused int8 model passes the gate."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from edgebrain.compression.gate import Answers, GateResult, judge
from edgebrain.errors import GateRefused
from edgebrain.model.spec import Spec
from edgebrain.progress import Progress
from edgebrain.recipe import GatePart
from edgebrain.runtime.session import Session

ROUNDS = 15
AnswersWith = Callable[[Sequence[str]], Answers]
"""The answers of the model in which the layers of these names compute in float."""


def layers_to_keep(
    name: str, spec: Spec, parent: Answers, answers_with: AnswersWith, gate: GatePart, progress: Progress
) -> list[str]:
    """Find the layers that have to stay float.

    Each layer is tried alone. Where none is enough, the best ones are added one by one, and then those are taken back
    that are not needed after all.

    Args:
        name: The bundle, for messages.
        spec: The network.
        parent: The float parent's answers on the gate's slices.
        answers_with: Runs the model with some layers in float.
        gate: The gate's limits.
        progress: Called for each layer that is tried alone.

    Returns:
        Layer names in the spec's order.

    Raises:
        GateRefused: Not even every layer in float is enough.
    """
    layers = list(spec.layers())
    tell = partial(progress, f"one layer of {name} in float at a time")

    def result_with(kept: Sequence[str]) -> GateResult:
        return judge(parent, answers_with(kept), gate.max_dice_drop, gate.min_agreement)

    alone: dict[str, GateResult] = {}
    for done, layer in enumerate(layers):
        tell(done, len(layers))
        alone[layer.name] = result_with([layer.name])
    tell(len(layers), len(layers))
    enough = [layer for layer in layers if not alone[layer.name].reasons]
    if enough:
        return [min(enough, key=lambda layer: layer.macs).name]
    ranked = sorted(alone, key=lambda layer: -_closeness(alone[layer]))
    kept = _first_enough(name, ranked, result_with)
    for candidate in [*kept]:
        rest = [one for one in kept if one != candidate]
        if rest and not result_with(rest).reasons:
            kept = rest
    return [layer.name for layer in layers if layer.name in kept]


def slowdown(int8: Session, mixed: Session, images: Sequence[np.ndarray]) -> float:
    """How many times as long the mixed model's inference takes as the int8 model's.

    Medians of runs in turn, on one thread of this machine.

    Args:
        int8: The int8 model.
        mixed: The model with layers in float.
        images: Slices, (H, W) uint8 each.
    """
    durations: dict[int, list[int]] = {0: [], 1: []}
    for turn in range(ROUNDS):
        for index, session in enumerate((int8, mixed)):
            stages = session.predict(images[turn % len(images)]).stage_ns
            # The first turn loads weights and grows buffers.
            if turn:
                durations[index].append(stages["inference"])
    return statistics.median(durations[1]) / statistics.median(durations[0])


def _first_enough(name: str, ranked: Sequence[str], result_with: Callable[[Sequence[str]], GateResult]) -> list[str]:
    """The shortest list of best-ranked layers with which the model passes."""
    last: GateResult | None = None
    for count in range(2, len(ranked) + 1):
        last = result_with(ranked[:count])
        if not last.reasons:
            return list(ranked[:count])
    reasons = "; ".join(last.reasons) if last else ""
    raise GateRefused(
        f"{name}: refused even with every layer in float: {reasons}",
        "what is left is not the rounding of weights; more calibration slices may help",
    )


def _closeness(result: GateResult) -> float:
    """How near a model is to its parent, larger is nearer: the sum of the two figures that the gate limits."""
    return (result.dice or 0.0) + result.agreement
