"""What disturbed a row's durations: the host, drift, a falling clock, heat. What cannot be read is None."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import chain

from edgebrain.benchmarking.report import Note
from edgebrain.benchmarking.report_environment import Ticks
from edgebrain.benchmarking.report_row import Block, Noise, RowFigures
from edgebrain.runtime.latency import drift, steal_share

# Above these a row is called noisy: share of CPU time taken by the host; last quarter against first.
MOST_STEAL, MOST_DRIFT = 0.03, 0.10
# Above this a row does not count: one query in ten may have waited for the host, so p90 does not describe the bundle.
# Asked only where there were ticks enough (hundredths of a second of each core) that one of them is at most 1 %.
INVALID_STEAL, ENOUGH_TICKS = 0.10, 100
# A clock that fell by more than this while measuring, and the heat at which small boards begin to slow down (a
# Raspberry Pi at 80 degrees: raspberrypi.com/documentation, "Frequency management and thermal control").
CLOCK_FALL = 0.10
HOT_C = 80.0
SLOW_GOVERNOR = "powersave"
# Bits of `vcgencmd get_throttled`, now; the same 16 bits higher: at some time since the board started.
THROTTLED = {0: "under-voltage", 1: "clock capped", 2: "throttled", 3: "soft temperature limit"}
SINCE_START = 16


def noise_of(blocks: Sequence[Block]) -> Noise:
    """The noise of a row, from its blocks.

    Clock (MHz) and temperature (degrees Celsius) are read just after a block, when the clock is as the load made it.
    """
    return Noise(
        steal_share=_stolen(blocks),
        drift=drift(list(chain.from_iterable(block.predict_ns for block in blocks))),
        governor=blocks[-1].after.governor if blocks else None,
        frequency_mhz=_range(block.after.frequency_mhz for block in blocks),
        temperature_c=_range(block.after.temperature_c for block in blocks),
    )


def invalid_because(blocks: Sequence[Block]) -> str | None:
    """Why a row's durations do not count, and what to do; None where they count.

    They do not where the board reports that it was held back before, after or within a block, or where the host of a
    virtual machine took too much of the CPU.
    """
    stolen = _stolen(blocks, ENOUGH_TICKS)
    if stolen is not None and stolen > INVALID_STEAL:
        return f"the host took {100 * stolen:.0f} % of the CPU: measure again when it is quiet"
    states = [(block.before.throttled or 0, block.after.throttled or 0) for block in blocks]
    # What began and ended within a block is left only in the upper bits.
    bits = [before | after | ((after & ~before) >> SINCE_START) for before, after in states]
    causes = [word for bit, word in THROTTLED.items() if any(one >> bit & 1 for one in bits)]
    held = sum(any(one >> bit & 1 for bit in THROTTLED) for one in bits)
    if not causes:
        return None
    held_back = f"the board was held back ({', '.join(causes)}) in {held} of {len(bits)} blocks"
    return f"{held_back}: mend power supply or cooling"


def doubts(rows: Sequence[RowFigures]) -> Iterator[Note]:
    """A note on the rows whose durations do not count, and one on those that should not be trusted."""
    several = len({row.target for row in rows}) > 1

    def named(row: RowFigures) -> str:
        where = f" on {row.target}" if several else ""
        return f"{row.bundle}{where} at {row.threads}"

    invalid = [f"{named(row)}: {row.invalid}" for row in rows if row.invalid]
    reasons = [(row, _reasons(row.noise)) for row in rows if not row.invalid]
    doubtful = [f"{named(row)} ({', '.join(found)})" for row, found in reasons if found]
    if invalid:
        yield Note("invalid", f"invalid, these durations do not count: {'; '.join(invalid)}")
    if doubtful:
        yield Note("noisy", f"noisy, measure again on a quiet machine: {'; '.join(doubtful)}")


def _stolen(blocks: Sequence[Block], least_ticks: int = 1) -> float | None:
    return steal_share(((_ticks(block.before.ticks), _ticks(block.after.ticks)) for block in blocks), least_ticks)


def _ticks(ticks: Ticks | None) -> dict[str, int] | None:
    return None if ticks is None else asdict(ticks)


def _reasons(noise: Noise) -> list[str]:
    reasons = []
    if noise.steal_share is not None and noise.steal_share > MOST_STEAL:
        reasons.append(f"the host took {100 * noise.steal_share:.0f} % of the CPU")
    if noise.drift is not None and abs(noise.drift) > MOST_DRIFT:
        reasons.append(f"drift {100 * noise.drift:+.0f} %")
    if (clock := noise.frequency_mhz) is not None and clock[0] < (1.0 - CLOCK_FALL) * clock[1]:
        reasons.append(f"throttled: the clock went between {clock[1]:.0f} and {clock[0]:.0f} MHz")
    if (heat := noise.temperature_c) is not None and heat[1] >= HOT_C:
        reasons.append(f"hot: {heat[1]:.0f} degrees")
    if noise.governor == SLOW_GOVERNOR:
        reasons.append(f"governor {SLOW_GOVERNOR}: the clock may be held at its lowest")
    return reasons


def _range(values: Iterable[float | None]) -> tuple[float, float] | None:
    known = [value for value in values if value is not None]
    return (min(known), max(known)) if known else None
