from __future__ import annotations

import pytest

from edgebrain.graph import Operator, int8_mac_share


def operator(inputs: tuple[str, ...], weight: str, macs: int) -> Operator:
    return Operator("name", "CONV", 1, inputs, weight, "int8", macs)


@pytest.mark.parametrize(
    ("inputs", "weight", "int8"),
    [
        (("int8",), "int8", True),
        (("uint8",), "int8", True),
        (("float32",), "int8", False),
        (("int8",), "float32", False),
        (("int8",), "int4", False),
        (("int8", "int8"), "", True),
        (("int8", "float32"), "", False),
        ((), "", False),
    ],
)
def test_an_operator_is_int8_where_all_that_it_multiplies_is(inputs: tuple[str, ...], weight: str, int8: bool) -> None:
    assert operator(inputs, weight, 1).int8 is int8


def test_the_share_is_of_multiplies_and_0_where_there_are_none() -> None:
    whole, float_ = operator(("int8",), "int8", 30), operator(("float32",), "float32", 10)
    assert int8_mac_share([whole, float_]) == 0.75
    assert int8_mac_share([float_]) == 0.0
    assert int8_mac_share([]) == int8_mac_share([operator(("int8",), "int8", 0)]) == 0.0
