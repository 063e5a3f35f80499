from __future__ import annotations

from dataclasses import astuple, replace
from typing import Any

import pytest

from edgebrain.benchmarking.noise import doubts, invalid_because, noise_of
from edgebrain.benchmarking.report_row import Block, Row
from edgebrain.errors import BadReport
from edgebrain.settings import from_builtins
from tests.benchmarking import factories


def block(predict_ns: int = 100, throttled: int | None = None, **after: Any) -> Block:
    found = factories.block(
        [predict_ns] * 32,
        before=factories.state(frequency_mhz=600.0, throttled=throttled),
        after=factories.state(**{"governor": "ondemand", "ticks": {"total": 100, "steal": 0}, **after}),
    )
    return from_builtins(found, Block, "block", BadReport)


def throttling(before: int | None, after: int | None) -> Block:
    """A block with the board's bits before and after it."""
    found = block(throttled=before)
    return replace(found, after=replace(found.after, throttled=after))


def noisy(*blocks: Block) -> Row:
    (row,) = factories.typed_rows(factories.row(bundle="a"))
    return replace(row, noise=noise_of(blocks), invalid=invalid_because(blocks))


def test_clock_and_heat_are_told_as_they_were_under_load() -> None:
    found = noise_of([block(frequency_mhz=2400.0, temperature_c=50.0), block(frequency_mhz=2300.0, temperature_c=61.5)])
    assert found.frequency_mhz == (2300.0, 2400.0) and found.temperature_c == (50.0, 61.5)
    assert found.governor == "ondemand" and found.steal_share == 0.0 and found.drift == 0.0


def test_what_cannot_be_read_is_not_known() -> None:
    assert set(astuple(noise_of([]))) == {None}
    assert noise_of([block()]).frequency_mhz is None


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
def test_a_disturbed_row_is_called_noisy_with_its_reason(blocks: list[Block], words: str) -> None:
    (note,) = doubts([noisy(block()), noisy(*blocks)])
    assert note.text.startswith("noisy") and words in note.text and note.text.count(" at 1 ") == 1


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
    held = throttling(before, after)
    assert invalid_because([throttling(0, 0), held]) == (
        f"the board was held back ({said}) in 1 of 2 blocks: mend power supply or cooling"
    )
    (note,) = doubts([noisy(held)])
    assert note.text.startswith("invalid, these durations do not count: a at 1: ") and said in note.text


def test_a_row_of_which_the_host_took_more_than_a_tenth_is_invalid_and_no_longer_called_noisy() -> None:
    stolen = [block(ticks={"total": 200, "steal": 10}), block(ticks={"total": 400, "steal": 120})]
    assert invalid_because(stolen) == "the host took 22 % of the CPU: measure again when it is quiet"
    (note,) = doubts([noisy(*stolen)])
    assert note.text.startswith("invalid, these durations do not count: a at 1: the host took 22 %")


@pytest.mark.parametrize("throttled", [None, 0x0, 0xF0000])
def test_what_happened_before_the_row_began_does_not_make_it_invalid(throttled: int | None) -> None:
    quiet = throttling(throttled, throttled)
    assert invalid_because([quiet]) is None and list(doubts([noisy(quiet)])) == []


def test_a_quiet_row_raises_no_doubt() -> None:
    rows = [noisy(block(frequency_mhz=2400.0, temperature_c=70.0), block(frequency_mhz=2250.0))]
    assert list(doubts(rows)) == []
