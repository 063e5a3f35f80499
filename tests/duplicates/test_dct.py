from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebrain.duplicates.dct import BAND, dct_of, invariant_descriptors, unit_vectors, unit_vectors_of_transforms
from edgebrain.duplicates.similarity import details_of, dihedral_transforms


def smooth(seed: int, count: int = 3) -> np.ndarray:
    return details_of(np.random.default_rng(seed).uniform(0, 255, (count, 32, 32)))


@given(st.integers(0, 1000), st.sampled_from([6, 10, BAND]))
@settings(max_examples=20, deadline=None)
def test_the_states_of_a_spectrum_are_the_coefficients_of_the_states(seed: int, band: int) -> None:
    details = smooth(seed)
    wanted = np.stack([unit_vectors(dct_of(turned), band) for turned in dihedral_transforms(details)])
    assert unit_vectors_of_transforms(dct_of(details), band) == pytest.approx(wanted, abs=1e-5)


@given(st.integers(0, 1000), st.sampled_from([6, 10, BAND]))
@settings(max_examples=20, deadline=None)
def test_all_states_have_one_description_and_strangers_have_others(seed: int, band: int) -> None:
    details = smooth(seed)
    own = invariant_descriptors(dct_of(details), band)
    for turned in dihedral_transforms(details):
        assert invariant_descriptors(dct_of(turned), band) == pytest.approx(own, abs=1e-5)
    assert np.linalg.norm(own[0] - own[1]) > 0.01


def test_descriptors_are_never_further_apart_than_coefficients() -> None:
    coefficients = dct_of(smooth(1, 20))
    descriptors_apart = np.linalg.norm(
        invariant_descriptors(coefficients, BAND)[:, None] - invariant_descriptors(coefficients, BAND), axis=2
    )
    apart = np.linalg.norm((coefficients[:, None] - coefficients).reshape(20, 20, -1), axis=2)
    assert (descriptors_apart <= apart + 1e-5).all()
    assert np.linalg.norm(invariant_descriptors(coefficients, BAND), axis=1) == pytest.approx(
        np.linalg.norm(coefficients.reshape(20, -1), axis=1), rel=1e-4
    )


def test_a_spectrum_keeps_its_band_only_and_an_empty_one_stays_empty() -> None:
    coefficients = dct_of(np.concatenate([smooth(2), np.zeros((1, 32, 32), np.float32)]))
    down, right = np.indices(coefficients.shape[1:])
    assert not coefficients[:, down + right > BAND].any() and not coefficients[:, 0, 0].any()
    assert np.linalg.norm(unit_vectors(coefficients, BAND), axis=1) == pytest.approx([1, 1, 1, 0], abs=1e-5)
