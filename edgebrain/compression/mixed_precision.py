"""The mixed-precision fallback: the fewest layers in float with which a refused int8 model passes the gate."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

import numpy as np

from edgebrain.compression.gate import Answers, Verdict, judge
from edgebrain.errors import GateRefused
from edgebrain.model.spec import UNetSpec
from edgebrain.recipe import GatePart
from edgebrain.runtime.session import Session

ROUNDS = 15
Ask = Callable[[Sequence[str]], Answers]


def layers_to_keep(
    name: str, spec: UNetSpec, parent: Answers, ask: Ask, gate: GatePart, told: Callable[[int, int], None]
) -> list[str]:
    """The layers that have to stay float, in the spec's order.

    Each layer is tried alone. Where none is enough, the best ones are added one by one, and then those are taken back
    that are not needed after all. ask: the answers of the model with these layers in float.
    Raises GateRefused: not even every layer in float is enough.
    """
    layers = list(spec.layers())

    def verdict(kept: Sequence[str]) -> Verdict:
        return judge(parent, ask(kept), gate.max_dice_drop, gate.min_agreement)

    alone: dict[str, Verdict] = {}
    for done, layer in enumerate(layers):
        told(done, len(layers))
        alone[layer.name] = verdict([layer.name])
    told(len(layers), len(layers))
    enough = [layer for layer in layers if not alone[layer.name].reasons]
    if enough:
        return [min(enough, key=lambda layer: layer.macs).name]
    ranked = sorted(alone, key=lambda layer: -_closeness(alone[layer]))
    kept = _first_enough(name, ranked, verdict)
    for spare in [*kept]:
        rest = [one for one in kept if one != spare]
        if rest and not verdict(rest).reasons:
            kept = rest
    return [layer.name for layer in layers if layer.name in kept]


def _first_enough(name: str, ranked: Sequence[str], verdict: Callable[[Sequence[str]], Verdict]) -> list[str]:
    last: Verdict | None = None
    for count in range(2, len(ranked) + 1):
        last = verdict(ranked[:count])
        if not last.reasons:
            return list(ranked[:count])
    reasons = "; ".join(last.reasons) if last else ""
    raise GateRefused(
        f"{name}: refused even with every layer in float: {reasons}",
        "what is left is not the rounding of weights; more calibration slices may help",
    )


def _closeness(verdict: Verdict) -> float:
    """How near to the parent, the larger the nearer: the two figures that the gate limits."""
    return (verdict.dice or 0.0) + verdict.agreement


def slowdown(int8: Session, mixed: Session, images: Sequence[np.ndarray]) -> float:
    """How many times as long the mixed model's engine takes: medians of runs in turns, one thread, on this machine."""
    durations: dict[int, list[int]] = {0: [], 1: []}
    for turn in range(ROUNDS):
        for place, session in enumerate((int8, mixed)):
            stages = session.predict(images[turn % len(images)]).stage_ns
            # The first turn loads weights and grows buffers.
            if turn:
                durations[place].append(stages["engine"])
    return statistics.median(durations[1]) / statistics.median(durations[0])
