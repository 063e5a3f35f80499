"""Weights in and out of the float bundle."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgebrain.errors import BadBundle
from edgebrain.model.families.unet import UNetSpec
from tests.instruction_sets import skip_bfloat16_under_a_cap
from tests.networks import FinishedRun
from tests.runtime.pictures import bright_disc

SPEC = UNetSpec.of_width(2, side=16)


def test_weights_travel_through_bytes_unchanged() -> None:
    import keras

    from edgebrain.model.network import load_weights, weights_by_layer, weights_bytes

    first, second = SPEC.build(keras), SPEC.build(keras)
    content = weights_bytes(first)
    load_weights(second, content, "copy")
    for name, arrays in weights_by_layer(first).items():
        for a, b in zip(arrays, weights_by_layer(second)[name], strict=True):
            np.testing.assert_array_equal(a, b)
    assert weights_bytes(second) == content


def test_weights_of_another_network_are_refused_by_name() -> None:
    import keras

    from edgebrain.model.network import load_weights, weights_bytes

    content = weights_bytes(UNetSpec.of_width(3, side=16).build(keras))
    with pytest.raises(BadBundle, match="here: its weights do not fit"):
        load_weights(SPEC.build(keras), content, "here")


def test_nan_weights_are_refused_with_the_layer() -> None:
    import keras

    from edgebrain.model.network import load_weights, weights_bytes

    model = SPEC.build(keras)
    layer = model.get_layer("mid_conv1")
    layer.set_weights([np.full_like(layer.get_weights()[0], np.nan)])
    with pytest.raises(BadBundle, match="mid_conv1 holds NaN"):
        load_weights(SPEC.build(keras), weights_bytes(model), "here")


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_outputs_are_probabilities_in_float32_under_any_policy(policy: str) -> None:
    import keras

    if policy == "mixed_bfloat16":
        skip_bfloat16_under_a_cap()
    keras.mixed_precision.set_global_policy(policy)
    try:
        model = SPEC.build(keras)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    mask, label = (np.asarray(output) for output in model(np.random.default_rng(0).random((3, 16, 16, 1))))
    assert mask.shape == (3, 16, 16, 1) and mask.dtype == np.float32
    assert 0.0 <= mask.min() <= mask.max() <= 1.0
    np.testing.assert_allclose(label.sum(axis=1), 1.0, atol=1e-5)


@pytest.mark.delicate
def test_the_keras_engine_answers_several_slices_in_one_call(computed: FinishedRun) -> None:
    from edgebrain.runtime.session import open_session

    images = [bright_disc(40 + number, 50) for number in range(8)]
    alone = open_session(computed.run / "float")
    together = open_session(computed.run / "float", slices=8)
    found = together.predict_batch(images)
    assert together.engine.run(np.zeros((8, 64, 64, 1), np.float32))["mask"].shape == (8, 64, 64, 1)
    for one, image in zip(found, images, strict=True):
        expected = alone.predict(image)
        assert one.mask.shape == image.shape
        # Kernels may sum in another order at another batch.
        assert np.allclose(one.class_probabilities, expected.class_probabilities, atol=1e-5)
        assert np.abs(one.probability.astype(int) - expected.probability).max() <= 1


def test_the_keras_engine_answers_as_predict_does_without_its_overhead(computed: FinishedRun) -> None:
    from edgebrain.runtime.session import open_session

    engine = open_session(computed.run / "float").engine
    tensor = np.random.default_rng(0).random((1, 64, 64, 1), np.float32)
    mask, label = engine._model.predict(tensor, batch_size=1, verbose=0)

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("predict builds a data pipeline at each call")

    engine._model.predict = refuse
    found = engine.run(tensor)
    assert np.array_equal(found["mask"], mask) and np.array_equal(found["class"], label)
    assert engine.describe()["call"] == "predict_on_batch"


def test_the_keras_engine_tells_where_it_computes_and_refuses_a_fall_to_the_cpu(computed: FinishedRun) -> None:
    from edgebrain.errors import EdgebrainError
    from edgebrain.runtime.session import open_session

    assert open_session(computed.run / "float").describe()["device"] == "cpu"
    with pytest.raises(EdgebrainError, match="asked for device 'gpu', and it executes on the cpu"):
        open_session(computed.run / "float", device="gpu")
