from __future__ import annotations

import hashlib

import numpy as np
import pytest
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebrain.bundle import SOFTMAX, Port
from edgebrain.errors import BadBundle
from edgebrain.runtime.transform import (
    dequantize,
    downsample,
    resize_exact,
    threshold_mask,
    to_class_probabilities,
    to_probability,
    to_tensor,
)
from tests.runtime.pictures import grey

INT8 = Port("x", (1, 16, 16, 1), "int8", 1 / 255, -128)
FLOAT = Port("x", (1, 16, 16, 1), "float32")
sides = st.integers(1, 300)


@given(height=sides, width=sides, level=st.integers(0, 255))
@settings(max_examples=60, deadline=None)
def test_an_even_slice_stays_even_at_any_size(height: int, width: int, level: int) -> None:
    small = downsample(np.full((height, width), level, np.uint8), 16, 32)
    assert small.shape == (16, 32) and small.dtype == np.uint8
    assert (small == level).all()


def test_a_whole_factor_is_the_mean_of_each_block_rounded_half_up() -> None:
    image = grey(64, 48)
    blocks = image.reshape(16, 4, 16, 3).astype(float).mean(axis=(1, 3))
    assert np.array_equal(downsample(image, 16, 16), np.floor(blocks + 0.5).astype(np.uint8))


def test_a_slice_of_the_right_size_is_left_as_it_is() -> None:
    image = grey(16, 16)
    assert np.array_equal(downsample(image, 16, 16), image)


def test_a_fine_grid_does_not_alias_when_it_is_shrunk() -> None:
    grid = np.indices((160, 160)).sum(axis=0) % 2 * 255
    assert np.ptp(downsample(grid.astype(np.uint8), 16, 16).astype(int)) <= 1


def test_every_grey_value_is_stored_as_the_formula_says() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert np.array_equal(to_tensor(levels, INT8).ravel(), np.arange(256) - 128)
    assert np.allclose(to_tensor(levels, FLOAT).ravel(), np.arange(256) / 255, atol=1e-7)


def test_an_input_scale_below_the_brightest_pixel_clips_and_does_not_wrap() -> None:
    narrow = Port("x", (1, 16, 16, 1), "int8", 0.5 / 255, -128)
    assert to_tensor(np.full((16, 16), 255, np.uint8), narrow).max() == 127


def test_a_stored_probability_becomes_the_nearest_of_256_levels() -> None:
    raw = np.array([-128, -127, 0, 127], np.int8)
    port = Port("x", (4,), "int8", 1 / 256, -128)
    assert to_probability(raw, port).tolist() == [0, 1, 128, 254]
    assert to_probability(np.float32([-0.1, 0.5, 1.2]), FLOAT).tolist() == [0, 128, 255]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_output_that_is_no_number_is_an_error(value: float) -> None:
    with pytest.raises(BadBundle, match="NaN or infinity"):
        dequantize(np.float32([0.0, value]), FLOAT)


@given(st.lists(st.integers(-128, 127), min_size=4, max_size=4), st.floats(0.001, 2.0), st.integers(-128, 127))
def test_scores_become_probabilities_as_scipy_computes_them(stored: list[int], scale: float, zero_point: int) -> None:
    port = Port("class", (1, 4), "int8", scale, zero_point, SOFTMAX)
    raw = np.array([stored], np.int8)
    found = to_class_probabilities(raw, port)
    np.testing.assert_allclose(found, scipy.special.softmax(dequantize(raw, port).ravel()), atol=6e-7)
    assert found.sum() == pytest.approx(1.0, abs=1e-5)
    np.testing.assert_array_equal(found, np.round(found, 6), "what exp gives behind is another thing elsewhere")


def test_a_pixel_is_lesion_from_the_threshold_on() -> None:
    assert threshold_mask(np.uint8([[127, 128, 129]]), 0.5).tolist() == [[False, True, True]]
    assert threshold_mask(np.uint8([[0, 254, 255]]), 0.999).tolist() == [[False, False, True]]


def test_growing_keeps_the_range_and_the_size_asked_for() -> None:
    grown = resize_exact(grey(16, 16), 100, 37)
    assert grown.shape == (100, 37)
    assert grown.min() >= grey(16, 16).min() and grown.max() <= grey(16, 16).max()


def bilinear(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bilinear resize in float64, pixel centres at halves, edges repeated: an independent reference."""
    rows, columns = image.shape

    def taps(size: int, target: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        place = np.clip((np.arange(target) + 0.5) * size / target - 0.5, 0, size - 1)
        low = np.floor(place).astype(int)
        return low, np.minimum(low + 1, size - 1), place - low

    top, bottom, down = taps(rows, height)
    left, right, across = taps(columns, width)
    real = image.astype(np.float64)
    upper = real[top][:, left] * (1 - across) + real[top][:, right] * across
    lower = real[bottom][:, left] * (1 - across) + real[bottom][:, right] * across
    return np.floor(upper * (1 - down[:, None]) + lower * down[:, None] + 0.5)


@pytest.mark.parametrize("size", [(128, 128), (256, 384), (300, 500)])
def test_resizing_is_bilinear_to_one_grey_value(size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (217, 369), dtype=np.uint8)
    # Weights of eight bits: a grey value may be off by one, never by more.
    assert np.abs(resize_exact(image, *size) - bilinear(image, *size)).max() <= 1


def test_the_bytes_are_the_same_on_every_processor() -> None:
    numbers = (np.arange(301 * 207, dtype=np.uint64) * 2654435761 + 12345) >> np.uint64(13)
    image = (numbers % 256).astype(np.uint8).reshape(301, 207)
    assert hashlib.sha256(downsample(image, 128, 128).tobytes()).hexdigest()[:16] == "2830530fb553bd50"
    assert hashlib.sha256(resize_exact(image[:128, :128], 217, 369).tobytes()).hexdigest()[:16] == "7fa4b181e5dd40cd"
