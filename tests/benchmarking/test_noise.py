from __future__ import annotations

from typing import Any

import pytest

from edgebrain.benchmarking.noise import doubts, invalid_because, noise_of


def block(predict_ns: int = 100, **after: Any) -> dict[str, Any]:
    before = {"ticks": {"total": 0, "steal": 0}, "frequency_mhz": 600.0}
    state = {"governor": "ondemand", "frequency_mhz": None, "temperature_c": None, "ticks": {"total": 100, "steal": 0}}
    return {"predict_ns": [predict_ns] * 32, "before": before, "after": {**state, **after}}


def noise(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"bundle": "a", "target": "cpu", "threads": 1, "noise": noise_of(blocks), "invalid": invalid_because(blocks)}


def test_clock_and_heat_are_told_as_they_were_under_load() -> None:
    found = noise_of([block(frequency_mhz=2400.0, temperature_c=50.0), block(frequency_mhz=2300.0, temperature_c=61.5)])
    assert found["frequency_mhz"] == [2300.0, 2400.0] and found["temperature_c"] == [50.0, 61.5]
    assert found["governor"] == "ondemand" and found["steal_share"] == 0.0 and found["drift"] == 0.0


def test_what_cannot_be_read_is_not_known() -> None:
    assert set(noise_of([]).values()) == {None}
    assert noise_of([block()])["frequency_mhz"] is None


@pytest.mark.parametrize(
    ("blocks", "words"),
    [
        (
            [block(frequency_mhz=2400.0), block(frequency_mhz=1500.0)],
            "throttled: the clock went between 2400 and 1500 MHz",
        ),
        ([block(temperature_c=82.0)], "hot: 82 degrees"),
        ([block(governor="powersave")], "governor powersave"),
        ([block(ticks={"total": 100, "steal": 9})], "the host took 9 % of the CPU"),
        # Too short a row for a share: it is told, and does not decide.
        ([block(ticks={"total": 99, "steal": 20})], "the host took 20 % of the CPU"),
        ([block(100), block(100), block(130), block(130)], "drift +30 %"),
    ],
)
def test_a_disturbed_row_is_called_noisy_with_its_reason(blocks: list[dict[str, Any]], words: str) -> None:
    (note,) = doubts([noise(block()), noise(*blocks)])
    assert note.startswith("noisy") and words in note and note.count(" at 1 ") == 1


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (0x1, 0x1, "under-voltage"),
        (0x0, 0x2, "clock capped"),
        (0x4, 0x0, "throttled"),
        (0x8, 0x8, "soft temperature limit"),
        # It came and went within the block.
        (0x0, 0x10000, "under-voltage"),
        (0x10000, 0x50000, "throttled"),
    ],
)
def test_a_row_on_a_board_that_is_held_back_is_invalid_and_says_why(before: int, after: int, said: str) -> None:
    held = block(throttled=after)
    held["before"]["throttled"] = before
    assert invalid_because([block(throttled=0), held]) == (
        f"the board was held back ({said}) in 1 of 2 blocks: mend power supply or cooling"
    )
    (note,) = doubts([noise(held)])
    assert note.startswith("invalid, these durations do not count: a at 1: ") and said in note


def test_a_row_of_which_the_host_took_more_than_a_tenth_is_invalid_and_no_longer_called_noisy() -> None:
    stolen = [block(ticks={"total": 200, "steal": 10}), block(ticks={"total": 400, "steal": 120})]
    assert invalid_because(stolen) == "the host took 22 % of the CPU: measure again when it is quiet"
    (note,) = doubts([noise(*stolen)])
    assert note.startswith("invalid, these durations do not count: a at 1: the host took 22 %")


@pytest.mark.parametrize("throttled", [None, 0x0, 0xF0000])
def test_what_happened_before_the_row_began_does_not_make_it_invalid(throttled: int | None) -> None:
    quiet = block(throttled=throttled)
    quiet["before"]["throttled"] = throttled
    assert invalid_because([quiet]) is None and doubts([noise(quiet)]) == []


def test_a_quiet_row_raises_no_doubt() -> None:
    assert doubts([noise(block(frequency_mhz=2400.0, temperature_c=70.0), block(frequency_mhz=2250.0))]) == []
