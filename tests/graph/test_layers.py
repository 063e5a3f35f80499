"""Operators of a file are matched with the layers of the network by kind, order and multiply-adds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgebrain.errors import BadBundle
from edgebrain.graph import Operator
from edgebrain.graph.layers import layer_of, layer_operators
from edgebrain.model.families.unet import UNetSpec

SPEC = UNetSpec.of_width(2, side=16)


def written() -> list[Operator]:
    """A file of the network: each layer's operator, with one without weights behind it."""
    relu = Operator("relu", "RELU", 1, ("int8",), "", "int8", 0)
    layers = [
        Operator(f"x/{layer.name}", "ANY", 1, ("int8",), "int8", "int8", layer.macs, layer.kind)
        for layer in SPEC.layers()
    ]
    return [one for operator in layers for one in (operator, relu)]


def test_each_layer_is_found_in_the_order_of_the_spec() -> None:
    found = layer_operators(written(), SPEC)
    assert list(found) == [layer.name for layer in SPEC.layers()]
    assert list(found.values()) == list(range(0, 2 * len(found), 2))


def test_operators_of_other_kinds_may_stand_between() -> None:
    """Converters move the dense layers in front of the decoder: the order holds within a kind."""
    operators = written()
    dense = [one for one in operators if one.layer_kind == "dense"]
    found = layer_operators([*dense, *(one for one in operators if one.layer_kind != "dense")], SPEC)
    assert [found[name] for name in ("head_dense1", "head_dense2", "class")] == [0, 1, 2]


@pytest.mark.parametrize("name", ["enc1_conv2", "dec1_up", "class"])
def test_a_layer_of_another_size_is_named(name: str) -> None:
    operators = written()
    index = next(index for index, one in enumerate(operators) if one.name == f"x/{name}")
    operators[index] = replace(operators[index], macs=operators[index].macs + 1)
    with pytest.raises(BadBundle, match=f"multiply-adds in place of {name}'s {layer_of(SPEC, name).macs}"):
        layer_operators(operators, SPEC)


def test_a_layer_too_few_is_counted() -> None:
    with pytest.raises(BadBundle, match="2 operators of kind up, and its spec has 3"):
        layer_operators([one for one in written() if one.name != "x/dec2_up"], SPEC)


def test_a_layer_that_does_not_exist_is_answered_with_those_that_do() -> None:
    with pytest.raises(BadBundle, match="no layer 'dec9_up'") as caught:
        layer_of(SPEC, "dec9_up")
    assert "enc1_conv1, enc1_conv2" in caught.value.hint
