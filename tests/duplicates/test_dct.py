from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebrain.duplicates.dct import BAND, described, in_all_states, spectra_of, unit
from edgebrain.duplicates.similarity import details_of, states


def smooth(seed: int, count: int = 3) -> np.ndarray:
    return details_of(np.random.default_rng(seed).uniform(0, 255, (count, 32, 32)))


@given(st.integers(0, 1000), st.sampled_from([6, 10, BAND]))
@settings(max_examples=20, deadline=None)
def test_the_states_of_a_spectrum_are_the_spectra_of_the_states(seed: int, band: int) -> None:
    details = smooth(seed)
    wanted = np.stack([unit(spectra_of(turned), band) for turned in states(details)])
    assert in_all_states(spectra_of(details), band) == pytest.approx(wanted, abs=1e-5)


@given(st.integers(0, 1000), st.sampled_from([6, 10, BAND]))
@settings(max_examples=20, deadline=None)
def test_all_states_have_one_description_and_strangers_have_others(seed: int, band: int) -> None:
    details = smooth(seed)
    own = described(spectra_of(details), band)
    for turned in states(details):
        assert described(spectra_of(turned), band) == pytest.approx(own, abs=1e-5)
    assert np.linalg.norm(own[0] - own[1]) > 0.01


def test_descriptions_are_never_further_apart_than_spectra() -> None:
    spectra = spectra_of(smooth(1, 20))
    described_apart = np.linalg.norm(described(spectra, BAND)[:, None] - described(spectra, BAND), axis=2)
    apart = np.linalg.norm((spectra[:, None] - spectra).reshape(20, 20, -1), axis=2)
    assert (described_apart <= apart + 1e-5).all()
    assert np.linalg.norm(described(spectra, BAND), axis=1) == pytest.approx(
        np.linalg.norm(spectra.reshape(20, -1), axis=1), rel=1e-4
    )


def test_a_spectrum_keeps_its_band_only_and_an_empty_one_stays_empty() -> None:
    spectra = spectra_of(np.concatenate([smooth(2), np.zeros((1, 32, 32), np.float32)]))
    down, right = np.indices(spectra.shape[1:])
    assert not spectra[:, down + right > BAND].any() and not spectra[:, 0, 0].any()
    assert np.linalg.norm(unit(spectra, BAND), axis=1) == pytest.approx([1, 1, 1, 0], abs=1e-5)
