"""Does `edgebrain compare` keep its word? Reruns must be "no difference", a slow-down of 5 % must be found.

    python benchmarks/noise.py                                      # simulated machines
    python benchmarks/noise.py BUNDLE PARTNER --pictures FOLDER     # and real reruns on this one

Simulated durations have what real ones have: a drift that all processes of a machine share, a level of each process's
own (where it lies in memory), noise of single blocks, and queries that something else delayed. Promised: on a quiet
machine at least 95 % of reruns are "no difference" and at least 95 % of planted slow-downs of 5 % are found. On a loud
machine the first must still hold; how little can then be found is told by the noise.

Real: the two bundles are timed in turn as `edgebrain bench` does it, again and again in fresh processes, and every run
is compared with every other; a slow-down is planted by making one run's durations longer.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import combinations, pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

HOME = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(HOME))

from edgebrain.evaluation.latency_change import LatencyChange, block_levels, latency_change  # noqa: E402

ROUNDS, BLOCK, PLANTED = 22, 32, 1.05
PROMISE = 0.95


@dataclass(frozen=True)
class Machine:
    """drift: standard deviation of the shared drift, which forgets a tenth of itself a round. process: of a process's
    own level. block: of a block's. query: of a query's. delayed: share of queries that take up to three times as long.
    """

    name: str
    drift: float
    process: float
    block: float
    query: float = 0.02
    delayed: float = 0.02
    quiet: bool = True


MACHINES = (
    Machine("quiet", drift=0.01, process=0.003, block=0.003),
    Machine("quiet, drifting by 5 %", drift=0.05, process=0.003, block=0.003),
    Machine("quiet, every tenth query delayed", drift=0.01, process=0.003, block=0.003, delayed=0.1),
    Machine("loud", drift=0.15, process=0.02, block=0.05, delayed=0.2, quiet=False),
    Machine("very loud", drift=0.25, process=0.05, block=0.15, delayed=0.4, quiet=False),
)


def simulate(machine: Machine, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """One run of a bundle and its partner: (ROUNDS, BLOCK) durations in ms each."""
    drift = np.empty(ROUNDS)
    drift[0] = rng.normal(0.0, machine.drift)
    for turn in range(1, ROUNDS):
        drift[turn] = 0.9 * drift[turn - 1] + np.sqrt(1 - 0.81) * rng.normal(0.0, machine.drift)
    return _lane(machine, 2.0, drift, rng), _lane(machine, 5.0, drift, rng)


def _lane(machine: Machine, base_ms: float, drift: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    level = drift + rng.normal(0.0, machine.process) + rng.normal(0.0, machine.block, ROUNDS)
    single = np.abs(rng.normal(0.0, machine.query, (ROUNDS, BLOCK)))
    late = np.where(rng.random((ROUNDS, BLOCK)) < machine.delayed, rng.uniform(1.0, 3.0, (ROUNDS, BLOCK)), 1.0)
    return base_ms * np.exp(level[:, np.newaxis] + single) * late


def compared(
    one: Sequence[np.ndarray], other: Sequence[np.ndarray], partner: bool, slower: float = 1.0
) -> LatencyChange:
    """`other` against `one`; each (bundle, partner) durations. slower: planted on the bundle of `other`."""
    before, after = block_levels(one[0]), block_levels(np.asarray(other[0]) * slower)
    if partner:
        before, after = before - block_levels(one[1]), after - block_levels(other[1])
    return latency_change(before, after, partner)


def simulated(machine: Machine, pairs: int, seed: int, partner: bool) -> tuple[float, float, float]:
    """Share of reruns without a difference, share of planted slow-downs found, median noise."""
    rng = np.random.default_rng(seed)
    runs = [(simulate(machine, rng), simulate(machine, rng)) for _ in range(pairs)]
    return _shares([(one, other) for one, other in runs], partner)


def _shares(pairs: Sequence[tuple[Sequence[np.ndarray], Sequence[np.ndarray]]], partner: bool) -> tuple[float, ...]:
    again = [compared(one, other, partner) for one, other in pairs]
    planted = [compared(one, other, partner, PLANTED) for one, other in pairs]
    found = [one.found and one.change > 0 for one in planted]
    return (
        1.0 - float(np.mean([one.found for one in again])),
        float(np.mean(found)),
        float(np.median([one.noise for one in again])),
    )


def measure(bundles: Sequence[Path], pictures: Path, runs: int) -> list[tuple[list[list[int]], ...]]:
    """Real runs in fresh processes: of each bundle its blocks of durations in ns."""
    from edgebrain.runtime.latency import SETTLE, WARM_UP
    from edgebrain.targets.slices import Slice, write_listing
    from edgebrain.targets.worker import Worker

    files = sorted(path for path in pictures.rglob("*") if path.suffix in (".jpg", ".png") and "mask" not in str(path))
    slices = [Slice.of(path) for path in files[: ROUNDS * BLOCK]]
    found = []
    for _ in range(runs):
        blocks: tuple[list[list[int]], ...] = tuple([] for _ in bundles)
        with ExitStack() as stack:
            listing = write_listing(Path(stack.enter_context(TemporaryDirectory())), slices)
            workers = [stack.enter_context(Worker()) for _ in bundles]
            for worker, bundle in zip(workers, bundles, strict=True):
                worker.open(bundle)
                worker.hold(listing)
            for turn in range(ROUNDS):
                block = [place % len(slices) for place in range(turn * BLOCK, (turn + 1) * BLOCK)]
                for place in range(len(workers)) if turn % 2 else reversed(range(len(workers))):
                    answer = workers[place].time(block, BLOCK, SETTLE if turn else WARM_UP)
                    blocks[place].append(answer["predict_ns"])
        found.append(blocks)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", nargs="*", type=Path, help="a bundle and its float32 partner")
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--runs", type=int, default=12)
    parser.add_argument("--pairs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(f"$ python {shlex.join(sys.argv)}")
    print(f"{'':<46} {'rerun: no difference':>21} {'5 % slower: found':>18} {'noise':>7}")
    kept = True
    for machine in MACHINES:
        for partner in (True, False):
            again, found, noise = simulated(machine, options.pairs, options.seed, partner)
            # Alone, a drift looks like a difference and makes the noise larger; what it hides is told, not promised.
            promised = again >= PROMISE and (found >= PROMISE or not machine.quiet or not partner)
            kept &= promised
            _tell(f"{machine.name}, {'with a partner' if partner else 'alone'}", again, found, noise, promised)
    if len(options.bundles) == 2:
        runs = measure(options.bundles, options.pictures, options.runs)
        arrays = [tuple(np.array(lane, float) for lane in run) for run in runs]
        for name, pairs in (
            ("all pairs", list(combinations(arrays, 2))),
            ("neighbours", list(pairwise(arrays))),
        ):
            again, found, noise = _shares(pairs, True)
            kept &= again >= PROMISE
            _tell(f"this machine, {len(runs)} runs, {name} ({len(pairs)})", again, found, noise, again >= PROMISE)
    return 0 if kept else 1


def _tell(name: str, again: float, found: float, noise: float, kept: bool) -> None:
    word = "kept" if kept else "MISSED"
    print(f"{name:<46} {100 * again:20.1f}% {100 * found:17.1f}% {100 * noise:6.1f}% {word}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
