"""Slices a second where several are answered in one call, as a GPU is asked; each answer is held against the scored."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle, islice
from typing import Any

from edgebrain.benchmarking.measurement import Lane
from edgebrain.runtime.latency import WARM_UP
from edgebrain.targets import Target
from edgebrain.targets.worker import Worker

BATCHES = (1, 8, 32)
# However few slices are asked for: the mean of fewer calls would be a guess.
FEWEST_CALLS = 10


def throughput(lane: Lane, target: Target, batch: int, names: Sequence[str], queries: int) -> dict[str, Any]:
    """Ask for at least `queries` slices, `batch` in a call, in a worker of its own: it must not count as the lane's
    memory, and where it dies the lane does not.

    Args: lane: scored. names: of the slices, asked for in turn. Returns: a row's entry of `bench.schema`.
    Raises EdgebrainError: the engine cannot answer so many in one call. WorkerFailed. AnswersDiffer: some had none.
    """
    calls = max(FEWEST_CALLS, -(-queries // batch))
    with Worker(target.start(lane.bundle), target.where) as worker:
        worker.open(target.path(lane.bundle), target.engine(lane.bundle), lane.threads, target.device, batch)
        worker.hold(target.listing)
        answer = worker.together([lane.places[name] for name in names], calls, WARM_UP)
        worker.close()
    asked = list(islice(cycle(names), calls * batch))
    lane.refuse_skipped(len(answer["outputs_sha256"]), len(asked))
    answered = zip(asked, answer["outputs_sha256"], strict=True)
    return {
        "batch": batch,
        "slices": len(asked),
        "slices_per_s": 1e9 * len(asked) / sum(answer["call_ns"]),
        "slices_differing": len({name for name, sha256 in answered if lane.outputs[name] != sha256}),
        **{key: answer[key] for key in ("call_ns", "before", "after")},
    }
