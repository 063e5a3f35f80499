"""Which operator of a written file computes which layer of the network.

Converters rename and fuse, but they keep the order of computation, and the weighted layers of one kind follow each
other in a chain: the n-th convolution of the file is the n-th of the spec. The multiply-adds of each pair must agree.
"""

from __future__ import annotations

from collections.abc import Sequence

from edgebrain.errors import BadBundle
from edgebrain.graph.operator import Operator
from edgebrain.model.spec import Layer, UNetSpec

# Kind of a spec's layer -> what the formats call its operator.
KINDS = {
    "conv": ("CONV_2D", "Convolution", "Conv"),
    "up": ("TRANSPOSE_CONV", "ConvolutionBackpropData", "ConvTranspose"),
    "dense": ("FULLY_CONNECTED", "MatMul", "Gemm"),
}


def layer_operators(operators: Sequence[Operator], spec: UNetSpec) -> dict[str, int]:
    """Layer name -> place of its operator, in the spec's order.

    Args: operators: of one file, in the order of computation.
    Raises BadBundle: the file does not hold the layers of the spec.
    """
    found: dict[str, int] = {}
    for kind, names in KINDS.items():
        layers = [layer for layer in spec.layers() if layer.kind == kind]
        places = [place for place, one in enumerate(operators) if one.kind in names and one.macs]
        if len(layers) != len(places):
            raise _unlike(f"{len(places)} operators of kind {kind}, and its spec has {len(layers)}")
        for layer, place in zip(layers, places, strict=True):
            if operators[place].macs != layer.macs:
                raise _unlike(f"{operators[place].macs} multiply-adds in place of {layer.name}'s {layer.macs}")
            found[layer.name] = place
    return {layer.name: found[layer.name] for layer in spec.layers()}


def layer_of(spec: UNetSpec, name: str) -> Layer:
    """The layer with this name. Raises BadBundle: the spec has none."""
    known = {layer.name: layer for layer in spec.layers()}
    if name not in known:
        raise BadBundle(f"the network has no layer {name!r}", f"its layers: {', '.join(known)}")
    return known[name]


def _unlike(what: str) -> BadBundle:
    return BadBundle(f"the model file is not the network of its manifest: it has {what}", "export the model again")
