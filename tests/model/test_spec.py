"""The spec alone must say what Keras would count."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebrain.errors import BadRecipe
from edgebrain.model.families import spec_from_json
from edgebrain.model.families.unet import UPSAMPLINGS, Stage, UNetSpec
from edgebrain.recipe import ModelPart

widths = st.integers(1, 9)
pairs = st.tuples(widths, widths)
specs = st.builds(
    UNetSpec,
    encoder=st.tuples(pairs, pairs),
    bottleneck=pairs,
    decoder=st.tuples(st.builds(Stage, widths, pairs), st.builds(Stage, widths, pairs)),
    head=pairs,
    side=st.sampled_from([8, 16, 32]),
    upsampling=st.sampled_from(UPSAMPLINGS),
)


def test_full_network_has_the_reference_size() -> None:
    spec = UNetSpec()
    # 1,970,661 with a bias in each of the three transposed convolutions (128 + 64 + 32), which ours leave out.
    assert spec.parameters == 1_970_661 - 128 - 64 - 32
    assert spec.macs == 2_295_374_080


def test_half_width_is_a_recipe_of_width_sixteen() -> None:
    assert UNetSpec.of_width(32) == UNetSpec()
    assert UNetSpec.of_width(16).encoder == ((16, 16), (32, 32), (64, 64))


@given(specs)
def test_any_spec_survives_json(spec: UNetSpec) -> None:
    assert UNetSpec.from_json(json.loads(json.dumps(spec.as_json()))) == spec


@settings(max_examples=5, deadline=None)
@given(specs)
def test_parameters_equal_those_of_the_built_network(spec: UNetSpec) -> None:
    import keras

    assert spec.build(keras).count_params() == spec.parameters


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"side": 100}, "cannot be halved"),
        ({"bottleneck": (0, 4)}, "below 1"),
        ({"dropout": 1.0}, "not in"),
        ({"encoder": ((4, 4),)}, "stages"),
        ({"upsampling": "bicubic"}, "use transposed or nearest"),
    ],
)
def test_impossible_networks_are_refused(change: dict[str, object], said: str) -> None:
    with pytest.raises(BadRecipe, match=said):
        UNetSpec(**change)  # type: ignore[arg-type]


def test_a_manifest_with_an_unknown_key_is_refused() -> None:
    with pytest.raises(BadRecipe, match="unknown key 'depth'"):
        UNetSpec.from_json({**UNetSpec().as_json(), "depth": 4})


def test_manifests_find_their_family_by_architecture_and_the_oldest_name_none() -> None:
    entry = json.loads(json.dumps(UNetSpec.of_width(8).as_json()))
    assert entry["architecture"] == "unet-multitask"
    assert spec_from_json(entry) == UNetSpec.of_width(8)
    assert spec_from_json({key: value for key, value in entry.items() if key != "architecture"}) == UNetSpec.of_width(8)
    with pytest.raises(BadRecipe, match="architecture 'resnet' is not known"):
        spec_from_json({**entry, "architecture": "resnet"})


def test_a_recipe_names_its_family_and_the_unet_is_the_usual_one() -> None:
    assert ModelPart(width=8).spec() == UNetSpec.of_width(8)
    with pytest.raises(BadRecipe, match=r"model.family = 'unett' is not known") as caught:
        ModelPart(family="unett").spec()
    assert caught.value.hint == "did you mean unet?"
