"""What disturbed a row's durations: the host, drift, a falling clock, heat. What cannot be read is None."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from edgebrain.runtime.latency import drift, steal_share

# Above these a row is called noisy: share of CPU time taken by the host; last quarter against first.
MOST_STEAL, MOST_DRIFT = 0.03, 0.10
# Above this it does not count: one query in ten may have waited for the host, so p90 says nothing of the bundle. Asked
# only where there were ticks enough, hundredths of a second of each core, that one of them is no more than 1 %.
INVALID_STEAL, ENOUGH_TICKS = 0.10, 100
# A clock that fell by more than this while measuring, and the heat at which small boards begin to slow down (a
# Raspberry Pi at 80 degrees: raspberrypi.com/documentation, "Frequency management and thermal control").
CLOCK_FALL = 0.10
HOT_C = 80.0
SLOW_GOVERNOR = "powersave"
# Bits of `vcgencmd get_throttled`, now; the same 16 bits higher: at some time since the board started.
THROTTLED = {0: "under-voltage", 1: "clock capped", 2: "throttled", 3: "soft temperature limit"}
SINCE_START = 16


def noise_of(blocks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The noise of a row, from its blocks of `worker.time`.

    Returns: steal_share, drift (fractions), governor (the last), frequency_mhz, temperature_c: [lowest, highest] just
    after a block, when the clock is as the load made it; None where nothing could be read.
    """
    return {
        "steal_share": _stolen(blocks),
        "drift": drift(list(chain.from_iterable(block["predict_ns"] for block in blocks))),
        "governor": blocks[-1]["after"].get("governor") if blocks else None,
        "frequency_mhz": _range(block["after"].get("frequency_mhz") for block in blocks),
        "temperature_c": _range(block["after"].get("temperature_c") for block in blocks),
    }


def invalid_because(blocks: Sequence[Mapping[str, Any]]) -> str | None:
    """Why a row's durations do not count, and what to do: the board says that it was held back before, after or within
    a block, or the host took too much of the CPU."""
    stolen = _stolen(blocks, ENOUGH_TICKS)
    if stolen is not None and stolen > INVALID_STEAL:
        return f"the host took {100 * stolen:.0f} % of the CPU: measure again when it is quiet"
    spans = [(block["before"].get("throttled") or 0, block["after"].get("throttled") or 0) for block in blocks]
    # What began and ended within a block is left only in the upper bits.
    bits = [before | after | ((after & ~before) >> SINCE_START) for before, after in spans]
    said = [word for bit, word in THROTTLED.items() if any(one >> bit & 1 for one in bits)]
    held = sum(any(one >> bit & 1 for bit in THROTTLED) for one in bits)
    if not said:
        return None
    held_back = f"the board was held back ({', '.join(said)}) in {held} of {len(bits)} blocks"
    return f"{held_back}: mend power supply or cooling"


def _stolen(blocks: Sequence[Mapping[str, Any]], least_ticks: int = 1) -> float | None:
    return steal_share(((block["before"].get("ticks"), block["after"].get("ticks")) for block in blocks), least_ticks)


def doubts(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """One sentence on the rows whose durations do not count, one on those that should not be trusted, or none."""
    several = len({row["target"] for row in rows}) > 1

    def who(row: Mapping[str, Any]) -> str:
        where = f" on {row['target']}" if several else ""
        return f"{row['bundle']}{where} at {row['threads']}"

    invalid = [f"{who(row)}: {row['invalid']}" for row in rows if row["invalid"]]
    doubtful = []
    for row in rows:
        if not row["invalid"] and (reasons := _reasons(row["noise"])):
            doubtful.append(f"{who(row)} ({', '.join(reasons)})")
    return [
        *([f"invalid, these durations do not count: {'; '.join(invalid)}"] if invalid else []),
        *([f"noisy, measure again on a quiet machine: {'; '.join(doubtful)}"] if doubtful else []),
    ]


def _reasons(noise: Mapping[str, Any]) -> list[str]:
    reasons = []
    if noise["steal_share"] is not None and noise["steal_share"] > MOST_STEAL:
        reasons.append(f"the host took {100 * noise['steal_share']:.0f} % of the CPU")
    if noise["drift"] is not None and abs(noise["drift"]) > MOST_DRIFT:
        reasons.append(f"drift {100 * noise['drift']:+.0f} %")
    if (clock := noise["frequency_mhz"]) is not None and clock[0] < (1.0 - CLOCK_FALL) * clock[1]:
        reasons.append(f"throttled: the clock went between {clock[1]:.0f} and {clock[0]:.0f} MHz")
    if (heat := noise["temperature_c"]) is not None and heat[1] >= HOT_C:
        reasons.append(f"hot: {heat[1]:.0f} degrees")
    if noise["governor"] == SLOW_GOVERNOR:
        reasons.append(f"governor {SLOW_GOVERNOR}: the clock may be held at its lowest")
    return reasons


def _range(values: Any) -> list[float] | None:
    known = [float(value) for value in values if value is not None]
    return [min(known), max(known)] if known else None
