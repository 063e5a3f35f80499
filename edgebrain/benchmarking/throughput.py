"""Slices a second where one call answers several, as a GPU is used; each answer is compared with the scored one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle, islice

from edgebrain.benchmarking.measurement import Measurement
from edgebrain.benchmarking.report_row import Throughput
from edgebrain.errors import WorkerFailed
from edgebrain.runtime.latency import WARM_UP
from edgebrain.settings import from_builtins
from edgebrain.targets import Target
from edgebrain.targets.worker import Worker

BATCHES = (1, 8, 32)
# However few slices are requested: the mean of fewer calls would be a guess.
FEWEST_CALLS = 10


def measure_throughput(
    measured: Measurement, target: Target, batch: int, names: Sequence[str], queries: int
) -> Throughput:
    """Ask for at least `queries` slices, `batch` in a call.

    The worker is one of its own: it must not count as the measurement's memory, and may die without ending it.

    Args:
        measured: A bundle that was scored.
        target: Where it runs.
        batch: Slices in a call.
        names: Slices to ask for, in turn.
        queries: Slices to ask for in all, at least.

    Raises:
        EdgebrainError: The engine cannot answer so many slices in one call.
        WorkerFailed: The worker died.
        AnswersDiffer: Some slices were not answered.
    """
    calls = max(FEWEST_CALLS, -(-queries // batch))
    with Worker(target.start(measured.bundle), target.where) as worker:
        bundle = measured.bundle
        worker.open(target.path(bundle), target.engine(bundle), measured.threads, target.device, batch)
        worker.hold(target.listing)
        answer = worker.time_batched([measured.index_of[name] for name in names], calls, WARM_UP)
        worker.close()
    requested = list(islice(cycle(names), calls * batch))
    hashes = answer["outputs_sha256"]
    measured.refuse_skipped(len(hashes), len(requested))
    differing = {name for name, sha256 in zip(requested, hashes, strict=True) if measured.outputs[name] != sha256}
    figures = {
        "batch": batch,
        "slices": len(requested),
        "slices_per_s": 1e9 * len(requested) / sum(answer["call_ns"]),
        "slices_differing": len(differing),
    }
    return from_builtins({**answer, **figures}, Throughput, "worker", WorkerFailed, extra=True)
