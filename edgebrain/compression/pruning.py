"""Structured pruning: remove whole channels, give a narrower network with a spec of its own.

A channel's worth is the L1 norm of its filter (Li et al. 2017, "Pruning Filters for Efficient ConvNets"), scaled by
what batch normalisation makes of it. Removing a channel whose output is zero everywhere changes no output.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edgebrain.errors import BadRecipe
from edgebrain.model.spec import Stage, UNetSpec

Weights = dict[str, list[np.ndarray]]
Kept = dict[str, np.ndarray]


def choose_channels(spec: UNetSpec, weights: Weights, share: float) -> Kept:
    """Which output channels of each convolution stay: the worthiest 1 - share of them, at least one.

    Args: share: in [0, 0.9]. Returns: layer name -> sorted positions, int64. The mask, the head and the
    class keep all their outputs.
    Raises BadRecipe: share out of range.
    """
    if not 0.0 <= share <= 0.9:
        raise BadRecipe(f"prune = {share} is not between 0 and 0.9", "0.5 removes half of the channels")
    kept = {}
    for layer in spec.layers():
        if layer.kind == "dense" or layer.name == "mask":
            kept[layer.name] = np.arange(layer.outputs)
            continue
        count = max(1, round(layer.outputs * (1.0 - share)))
        order = np.argsort(-_worth(layer.name, layer.kind, layer.normalised, weights), kind="stable")
        kept[layer.name] = np.sort(order[:count])
    return kept


def cut_channels(spec: UNetSpec, weights: Weights, kept: Kept) -> tuple[UNetSpec, Weights]:
    """The narrower network: its spec, and the weights of the channels that stay.

    Args: weights: by layer name; convolutions (k, k, in, out), transposed ones (k, k, out, in), dense (in, out);
    batch normalisation under NAME_bn as gamma, beta, moving mean, moving variance.
    """
    inputs = _kept_inputs(spec, kept)
    small: Weights = {}
    for layer in spec.layers():
        kernel, *bias = weights[layer.name]
        out, into = kept[layer.name], inputs[layer.name]
        if layer.kind == "up":
            kernel = kernel[:, :, out][:, :, :, into]
        elif layer.kind == "conv":
            kernel = kernel[:, :, into][:, :, :, out]
        else:
            kernel = kernel[into][:, out]
        small[layer.name] = [kernel, *(b[out] for b in bias)]
        if layer.normalised:
            small[f"{layer.name}_bn"] = [values[out] for values in weights[f"{layer.name}_bn"]]
    return _narrower(spec, kept), small


def _kept_inputs(spec: UNetSpec, kept: Kept) -> Kept:
    """Which input channels each layer still gets; a decoder stage gets those of its upsampling, then the skip's."""
    inputs: Kept = {}
    depth = len(spec.encoder)
    last = np.arange(1)
    for level in range(1, depth + 1):
        for place in (1, 2):
            inputs[f"enc{level}_conv{place}"] = last
            last = kept[f"enc{level}_conv{place}"]
    for place in (1, 2):
        inputs[f"mid_conv{place}"] = last
        last = kept[f"mid_conv{place}"]
    deep = last
    for level, stage in zip(range(depth, 0, -1), spec.decoder, strict=True):
        inputs[f"dec{level}_up"] = last
        skip = kept[f"enc{level}_conv2"] + stage.up
        inputs[f"dec{level}_conv1"] = np.concatenate([kept[f"dec{level}_up"], skip])
        inputs[f"dec{level}_conv2"] = kept[f"dec{level}_conv1"]
        last = kept[f"dec{level}_conv2"]
    inputs["mask"] = last
    for place in range(1, len(spec.head) + 1):
        inputs[f"head_dense{place}"] = deep
        deep = kept[f"head_dense{place}"]
    inputs["class"] = deep
    return inputs


def _narrower(spec: UNetSpec, kept: Kept) -> UNetSpec:
    def width(name: str) -> int:
        return len(kept[name])

    depth = len(spec.encoder)
    return replace(
        spec,
        encoder=tuple((width(f"enc{k}_conv1"), width(f"enc{k}_conv2")) for k in range(1, depth + 1)),
        bottleneck=(width("mid_conv1"), width("mid_conv2")),
        decoder=tuple(
            Stage(width(f"dec{k}_up"), (width(f"dec{k}_conv1"), width(f"dec{k}_conv2"))) for k in range(depth, 0, -1)
        ),
    )


def _worth(name: str, kind: str, normalised: bool, weights: Weights) -> np.ndarray:
    """(outputs,) float64; larger is worthier."""
    kernel = np.abs(weights[name][0].astype(np.float64))
    norm = kernel.sum(axis=(0, 1, 3) if kind == "up" else (0, 1, 2))
    if normalised:
        gamma, _, _, variance = (v.astype(np.float64) for v in weights[f"{name}_bn"])
        norm = norm * np.abs(gamma) / np.sqrt(variance + 1e-3)
    return norm
