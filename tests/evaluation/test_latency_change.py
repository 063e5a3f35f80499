from __future__ import annotations

import numpy as np
import pytest

from edgebrain.errors import BadData
from edgebrain.evaluation.latency_change import FEWEST_BLOCKS, MATERIAL, block_levels, latency_change


def run(seed: int, slower: float = 1.0, block: float = 0.005, rounds: int = 22) -> np.ndarray:
    """Levels of a run whose blocks disagree by `block`."""
    rng = np.random.default_rng(seed)
    return np.log(2.0 * slower) + rng.normal(0.0, block, rounds)


def test_a_blocks_level_is_where_its_fast_queries_are() -> None:
    blocks = [[1.0] * 20 + [50.0] * 12, [2.0] * 32]
    assert block_levels(blocks) == pytest.approx(np.log([1.0, 2.0]))


def test_a_slow_down_of_five_percent_is_found_and_measured() -> None:
    for seed in range(50):
        found = latency_change(run(seed), run(seed + 1000, 1.05), has_partner=True)
        assert found.found and found.low < 0.05 + 0.005 and found.high > 0.05 - 0.005
        assert found.change == pytest.approx(0.05, abs=0.01)
        faster = latency_change(run(seed, 1.05), run(seed + 1000), has_partner=True)
        assert faster.found and faster.change < 0


def test_a_rerun_is_no_difference() -> None:
    assert not any(latency_change(run(seed), run(seed + 1000), has_partner=True).found for seed in range(200))


def test_what_is_too_small_to_matter_is_no_difference_however_sure() -> None:
    found = latency_change(run(0, block=1e-6), run(1, 1.01, block=1e-6), has_partner=True)
    assert found.low > 0 and not found.found and found.noise == pytest.approx(MATERIAL)


def test_what_single_blocks_disagree_about_is_noise_and_more_so_without_a_partner() -> None:
    one, other = run(0, block=0.1), run(1, 1.12, block=0.1)
    together, alone = latency_change(one, other, has_partner=True), latency_change(one, other, has_partner=False)
    assert together.change == alone.change
    assert np.log1p(alone.noise) == pytest.approx(1.625 * np.log1p(together.noise))
    assert not together.found


def test_too_few_blocks_or_none_are_refused() -> None:
    with pytest.raises(BadData, match="5 blocks of queries; a difference needs 6"):
        latency_change(run(0), run(1, rounds=FEWEST_BLOCKS - 1), has_partner=True)
    for blocks in ([], [[]], [[1.0, 0.0]]):
        with pytest.raises(BadData):
            block_levels(blocks)


def test_runs_of_other_lengths_can_be_compared() -> None:
    assert latency_change(run(0, rounds=6), run(1, 1.3, rounds=40), has_partner=True).found
