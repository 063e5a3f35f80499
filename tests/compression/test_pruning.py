"""Channel surgery: removing channels that are zero anyway changes no output bit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebrain.compression.pruning import KeepIndices, Weights, choose_channels, cut_channels
from edgebrain.errors import BadRecipe
from edgebrain.model.families.unet import UPSAMPLINGS, Stage, UNetSpec

SPEC = UNetSpec(
    encoder=((4, 5), (8, 8)),
    bottleneck=(12, 16),
    decoder=(Stage(8, (8, 7)), Stage(6, (5, 4))),
    head=(8, 6),
    side=16,
)


def whole_number_network(seed: int = 0, spec: UNetSpec = SPEC) -> tuple[Any, Weights]:
    """A network whose every sum is exact, in any order: small whole numbers, and scales by powers of two."""
    import keras

    from edgebrain.model.network import set_weights_by_layer, weights_by_layer

    model = spec.build(keras)
    rng = np.random.default_rng(seed)
    weights = weights_by_layer(model)
    for name, arrays in weights.items():
        if name.endswith("_bn"):
            width = len(arrays[0])
            # Variance 1 - epsilon: the square root is exactly one.
            variance = np.full(width, 1.0 - 1e-3)
            shift = rng.integers(0, 3, width).astype(np.float32)
            weights[name] = [np.ones(width, np.float32), shift, np.zeros(width, np.float32), variance]
        else:
            # Few weights, so that whole numbers stay far below 2 ** 24 through all layers.
            signs = [rng.integers(0, 2, a.shape) * 2 - 1 for a in arrays]
            weights[name] = [(s * (rng.random(s.shape) < 0.08)).astype(np.float32) for s in signs]
    set_weights_by_layer(model, weights)
    return model, weights


def with_zeroed_channels(weights: Weights, kept: KeepIndices, spec: UNetSpec) -> Weights:
    """The same network with the outputs of all other channels forced to zero."""
    zeroed = {name: [array.copy() for array in arrays] for name, arrays in weights.items()}
    for layer in spec.layers():
        gone = np.setdiff1d(np.arange(layer.outputs), kept[layer.name])
        if layer.normalised:
            for place in (0, 1, 2):
                zeroed[f"{layer.name}_bn"][place][gone] = 0.0
        elif layer.kind == "up":
            zeroed[layer.name][0][:, :, gone] = 0.0
        elif layer.name.endswith("_up"):
            zeroed[layer.name][0][..., gone] = 0.0
    return zeroed


@pytest.fixture
def in_float64() -> Iterator[None]:
    """In float32 some processors convolve by Winograd's algorithm, which is not exact for whole numbers."""
    import keras

    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_dtype_policy("float32")


@pytest.mark.delicate
@pytest.mark.usefixtures("in_float64")
@pytest.mark.parametrize("upsampling", UPSAMPLINGS)
@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
def test_cutting_zero_channels_changes_no_output_bit(share: float, upsampling: str) -> None:
    import keras

    from edgebrain.model.network import set_weights_by_layer

    whole = replace(SPEC, upsampling=upsampling)
    model, weights = whole_number_network(spec=whole)
    kept = choose_channels(whole, weights, share)
    zeroed = with_zeroed_channels(weights, kept, whole)
    set_weights_by_layer(model, zeroed)
    spec, small = cut_channels(whole, zeroed, kept)
    narrow = spec.build(keras)
    set_weights_by_layer(narrow, small)
    # The last layers before the squashing, so that no saturated sigmoid hides a difference.
    inside = ["dec1_conv2_relu", "head_pool"]
    batch = np.random.default_rng(1).integers(0, 3, (4, 16, 16, 1)).astype(np.float32)
    for name in inside:
        before = keras.Model(model.inputs, model.get_layer(name).output).predict_on_batch(batch)
        after = keras.Model(narrow.inputs, narrow.get_layer(name).output).predict_on_batch(batch)
        layer = "dec1_conv2" if name.startswith("dec1") else "mid_conv2"
        assert before.any(), "the test would compare zeros"
        assert np.abs(before).max() < 2**23 and (before * 16 % 1 == 0).all(), "sums would be rounded"
        np.testing.assert_array_equal(before[..., kept[layer]], after)
    for before, after in zip(model.predict_on_batch(batch), narrow.predict_on_batch(batch), strict=True):
        np.testing.assert_array_equal(before, after)
    assert narrow.count_params() == spec.parameters < whole.parameters


def test_nothing_cut_is_the_same_network() -> None:
    _, weights = whole_number_network()
    spec, same = cut_channels(SPEC, weights, choose_channels(SPEC, weights, 0.0))
    assert spec == SPEC
    for name, arrays in weights.items():
        for a, b in zip(arrays, same[name], strict=True):
            np.testing.assert_array_equal(a, b)


@given(st.floats(0.0, 0.9))
def test_every_layer_keeps_its_share_and_at_least_one_channel(share: float) -> None:
    rng = np.random.default_rng(2)
    weights: Weights = {}
    for layer in SPEC.layers():
        shape = {"conv": (3, 3, layer.inputs, layer.outputs), "up": (2, 2, layer.outputs, layer.inputs)}
        size = shape.get(layer.kind, (layer.inputs, layer.outputs))
        weights[layer.name] = [rng.normal(size=size)]
        weights[f"{layer.name}_bn"] = [np.ones(layer.outputs) for _ in range(4)]
    for layer in SPEC.layers():
        kept = choose_channels(SPEC, weights, share)[layer.name]
        if layer.kind == "dense" or layer.name == "mask":
            assert len(kept) == layer.outputs
        else:
            assert len(kept) == max(1, round(layer.outputs * (1 - share)))
            assert list(kept) == sorted(set(kept))


def test_the_channels_with_the_largest_filters_stay() -> None:
    _, weights = whole_number_network()
    weights["enc1_conv1"][0][..., [1, 3]] = 100.0
    assert choose_channels(SPEC, weights, 0.5)["enc1_conv1"].tolist() == [1, 3]
    # A large filter that batch normalisation scales to nothing is worth nothing.
    weights["enc1_conv1_bn"][0][3] = 0.0
    assert 3 not in choose_channels(SPEC, weights, 0.5)["enc1_conv1"]


def test_an_impossible_share_is_refused() -> None:
    with pytest.raises(BadRecipe, match="not between"):
        choose_channels(SPEC, {}, 1.0)
