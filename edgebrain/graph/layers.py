"""Which operator of a written file computes which layer of the network.

Converters rename and fuse, but they keep the order of computation, and the weighted layers of one kind follow each
other in a chain: the n-th convolution of the file is the n-th of the spec. The multiply-adds of each pair must agree.
"""

from __future__ import annotations

from collections.abc import Sequence

from edgebrain.errors import BadBundle
from edgebrain.graph.operator import Operator
from edgebrain.model.spec import Layer, Spec


def layer_operators(operators: Sequence[Operator], spec: Spec) -> dict[str, int]:
    """Which operator computes each layer.

    Args:
        operators: Operators of one file, in the order of computation.
        spec: The network.

    Returns:
        Layer name -> index of its operator, in the spec's order.

    Raises:
        BadBundle: The file does not hold the layers of the spec.
    """
    found: dict[str, int] = {}
    for kind in ("conv", "up", "dense"):
        layers = [layer for layer in spec.layers() if layer.kind == kind]
        indices = [index for index, one in enumerate(operators) if one.layer_kind == kind and one.macs]
        if len(layers) != len(indices):
            raise _mismatch(f"{len(indices)} operators of kind {kind}, and its spec has {len(layers)}")
        for layer, index in zip(layers, indices, strict=True):
            if operators[index].macs != layer.macs:
                raise _mismatch(f"{operators[index].macs} multiply-adds in place of {layer.name}'s {layer.macs}")
            found[layer.name] = index
    return {layer.name: found[layer.name] for layer in spec.layers()}


def layer_of(spec: Spec, name: str) -> Layer:
    """The layer with this name.

    Raises:
        BadBundle: The spec has none.
    """
    known = {layer.name: layer for layer in spec.layers()}
    if name not in known:
        raise BadBundle(f"the network has no layer {name!r}", f"its layers: {', '.join(known)}")
    return known[name]


def _mismatch(what: str) -> BadBundle:
    return BadBundle(f"the model file is not the network of its manifest: it has {what}", "export the model again")
