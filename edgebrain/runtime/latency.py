"""Durations and the figures that they support: warm-up, percentiles, drift, and how much the host took away.

Each percentile is a time that really occurred. p25 and p50 are the nearest rank: the smallest duration that at least
p % of the queries did not exceed. p90 and p99 are MLPerf's early stopping estimate: an upper bound, which fewer
queries make larger, never smaller. A percentile is given only when enough queries were made.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import cycle, islice
from pathlib import Path
from statistics import fmean, median
from typing import Any

from edgebrain.runtime.image import decode
from edgebrain.runtime.session import Session

# Uncounted queries after a model was loaded (first calls compile, allocate and fill caches), and before each further
# block, when another process has just had the caches.
WARM_UP = 10
SETTLE = 2
# Queries without which a percentile is a guess. p90 and p99: where the early stopping rule below begins. p50 and p25:
# p ** n <= 1 % for the farther side.
QUERIES_NEEDED = {25: 17, 50: 7, 90: 64, 99: 662}
PENALISED = (90, 99)
CONFIDENCE = 0.99
MS = 1e-6  # ns -> ms


@dataclass(frozen=True)
class Query:
    """One timed query.

    Attributes:
        predict_ns: Preprocessing, engine and postprocessing, in ns.
        engine_ns: The interpreter alone, in ns.
        decode_ns: File bytes to slice, before the query, in ns.
        outputs_sha256: Hash of the raw outputs.
    """

    predict_ns: int
    engine_ns: int
    decode_ns: int
    outputs_sha256: str


def time_queries(session: Session, files: Sequence[tuple[str, bytes]], queries: int) -> list[Query]:
    """Ask a session `queries` times, a different slice each time as long as there are any.

    Args:
        session: The opened bundle.
        files: Name and content of PNG, JPEG or TIFF pictures; decoded one by one, outside the timed part.
        queries: How many queries to time.
    """
    timed = []
    for name, data in islice(cycle(files), queries):
        _, prediction = session.predict_file(data, name)
        stages = prediction.stage_ns
        timed.append(Query(prediction.predict_ns, stages["inference"], stages["decode"], prediction.outputs_sha256))
    return timed


@dataclass(frozen=True)
class Call:
    """Slices answered in one call.

    Attributes:
        call_ns: Preprocessing of each slice, one call of the engine, postprocessing of each, in ns; without decoding.
        outputs_sha256: Hash of the raw outputs, one a slice.
    """

    call_ns: int
    outputs_sha256: tuple[str, ...]


def time_batched(session: Session, files: Sequence[tuple[str, bytes]], calls: int) -> list[Call]:
    """Ask a session `calls` times for as many slices as it answers in one call, over the files in turn.

    Args:
        session: The opened bundle.
        files: Name and content of pictures; decoded outside the timed part.
        calls: How many calls to time.
    """
    timed, turn = [], cycle(files)
    for _ in range(calls):
        images = [decode(data, name) for name, data in islice(turn, session.slices)]
        predictions = session.predict_batch(images)
        timed.append(Call(predictions[0].predict_ns, tuple(one.outputs_sha256 for one in predictions)))
    return timed


def percentile(durations: Sequence[float], p: int) -> float | None:
    """The percentile, or None where fewer queries were made than it needs.

    Args:
        durations: One a query, in any unit.
        p: 25 or 50 (nearest rank), 90 or 99 (MLPerf's estimate: the largest but `over_latency` - 1).
    """
    count = len(durations)
    if count < QUERIES_NEEDED[p]:
        return None
    index = count - over_latency(count, p) if p in PENALISED else math.ceil(p / 100 * count) - 1
    return sorted(durations)[index]


@cache
def over_latency(queries: int, p: int) -> int:
    """How many queries may exceed the true percentile p, so that the latency they reach is not reached by chance.

    The largest t for which P(Binomial(queries, 1 - p %) <= t) is below 1 %. The estimate is the t-th largest duration,
    so that t - 1 are discarded: 0 of 64 and 172 of 2,048 for p90, 0 of 662 for p99. 0 where there are too few queries.
    Source: MLPerf Inference, loadgen/early_stopping.cc and results.cc (single stream, confidence 0.99, tolerance 0),
    github.com/mlcommons/inference; the rule: inference_policies/inference_rules.adoc, "Early stopping".
    """
    over = 1.0 - p / 100
    sum_so_far, t = 0.0, -1
    while sum_so_far < 1.0 - CONFIDENCE and t < queries:
        t += 1
        sum_so_far += _binomial(queries, t, over)
    return max(0, t - 1)


def _binomial(count: int, hits: int, share: float) -> float:
    """Probability of so many hits; by logarithms, because the factorials of thousands overflow."""
    ways = math.lgamma(count + 1) - math.lgamma(hits + 1) - math.lgamma(count - hits + 1)
    return math.exp(ways + hits * math.log(share) + (count - hits) * math.log1p(-share))


def summary_ms(durations_ns: Sequence[int]) -> dict[str, float | None]:
    """p25, p50, p90, p99 and mean in ms; None where there were too few queries."""
    in_ms = [duration * MS for duration in durations_ns]
    return {
        **{f"p{p}": percentile(in_ms, p) for p in QUERIES_NEEDED},
        "mean": fmean(in_ms) if in_ms else None,
    }


def drift(durations_ns: Sequence[int]) -> float | None:
    """How much slower the last quarter's median is than the first's, as a fraction; None with fewer than 64 queries."""
    quarter = len(durations_ns) // 4
    if quarter < 16:
        return None
    return median(durations_ns[-quarter:]) / median(durations_ns[:quarter]) - 1.0


def cpu_ticks(source: Path = Path("/proc/stat")) -> dict[str, int] | None:
    """Ticks that all CPUs together have spent since boot: total, and stolen by the host. None where not readable."""
    try:
        fields = [int(field) for field in source.read_text().split("\n", 1)[0].split()[1:9]]
    except (OSError, ValueError):
        return None
    # user nice system idle iowait irq softirq steal; guest time, which follows, is part of user already.
    return {"total": sum(fields), "steal": fields[7]} if len(fields) == 8 else None


def steal_share(
    spans: Iterable[tuple[dict[str, int] | None, dict[str, int] | None]], least_ticks: int = 1
) -> float | None:
    """Share of the CPU time that the host of a virtual machine took away, in [0, 1].

    Args:
        spans: Ticks before and after each span, as `cpu_ticks` gives them.
        least_ticks: Where the spans are together shorter (in hundredths of a second of each core), a single tick would
            be a large share, and the result is None.

    Returns:
        The share; None also where nothing was readable.
    """
    known: list[tuple[dict[str, Any], dict[str, Any]]] = [(a, b) for a, b in spans if a is not None and b is not None]
    total = sum(after["total"] - before["total"] for before, after in known)
    return sum(after["steal"] - before["steal"] for before, after in known) / total if total >= least_ticks else None
