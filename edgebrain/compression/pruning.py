"""Structured pruning: remove whole channels, which gives a narrower network with a spec of its own.

A channel's importance is the L1 norm of its filter (Li et al. 2017, "Pruning Filters for Efficient ConvNets"), scaled
by what batch normalisation makes of it. Removing a channel whose output is zero everywhere changes no output.
"""

from __future__ import annotations

import numpy as np

from edgebrain.errors import BadRecipe
from edgebrain.model.spec import Spec

Weights = dict[str, list[np.ndarray]]
"""Layer -> its arrays: convolutions (k, k, in, out), transposed ones (k, k, out, in), dense (in, out), each followed by
its bias; batch normalisation under NAME_bn as gamma, beta, moving mean, moving variance."""

KeepIndices = dict[str, np.ndarray]
"""Layer -> sorted indices of its kept output channels, int64."""


def choose_channels(spec: Spec, weights: Weights, share: float) -> KeepIndices:
    """Choose which output channels of each convolution stay: the most important ones, at least one a layer.

    Args:
        spec: The network.
        weights: Its weights.
        share: Share of the channels to remove, in [0, 0.9].

    Returns:
        Kept channels; the mask and the dense layers keep all of theirs.

    Raises:
        BadRecipe: The share is out of range.
    """
    if not 0.0 <= share <= 0.9:
        raise BadRecipe(f"prune = {share} is not between 0 and 0.9", "0.5 removes half of the channels")
    keep = {}
    for layer in spec.layers():
        if layer.kind == "dense" or layer.name == "mask":
            keep[layer.name] = np.arange(layer.outputs)
            continue
        count = max(1, round(layer.outputs * (1.0 - share)))
        order = np.argsort(-_importance(layer.name, layer.kind, layer.normalised, weights), kind="stable")
        keep[layer.name] = np.sort(order[:count])
    return keep


def cut_channels(spec: Spec, weights: Weights, keep: KeepIndices) -> tuple[Spec, Weights]:
    """Remove the channels that are not kept, from the layers that compute them and from those that read them.

    Args:
        spec: The network.
        weights: Its weights.
        keep: Kept output channels.

    Returns:
        The narrower network and its weights.

    Raises:
        BadRecipe: Networks of this family cannot be pruned.
    """
    inputs = spec.input_channels(keep)
    small: Weights = {}
    for layer in spec.layers():
        kernel, *bias = weights[layer.name]
        kept, read = keep[layer.name], inputs[layer.name]
        if layer.kind == "up":
            kernel = kernel[:, :, kept][:, :, :, read]
        elif layer.kind == "conv":
            kernel = kernel[:, :, read][:, :, :, kept]
        else:
            kernel = kernel[read][:, kept]
        small[layer.name] = [kernel, *(values[kept] for values in bias)]
        if layer.normalised:
            small[f"{layer.name}_bn"] = [values[kept] for values in weights[f"{layer.name}_bn"]]
    return spec.with_outputs({name: len(indices) for name, indices in keep.items()}), small


def _importance(name: str, kind: str, normalised: bool, weights: Weights) -> np.ndarray:
    """Importance of each output channel, (outputs,) float64; larger is more important."""
    kernel = np.abs(weights[name][0].astype(np.float64))
    norm = kernel.sum(axis=(0, 1, 3) if kind == "up" else (0, 1, 2))
    if normalised:
        gamma, _, _, variance = (v.astype(np.float64) for v in weights[f"{name}_bn"])
        norm = norm * np.abs(gamma) / np.sqrt(variance + 1e-3)
    return norm
