"""The bench: starts a worker for each bundle and thread count, tells them in turn what to do, and adds up.

It only listens: what predicts, times and scores is the runtime, in processes of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from edgebrain.bench.lane import Lane
from edgebrain.bench.lineage import root_of, with_roots
from edgebrain.bench.schema import SCHEMA
from edgebrain.bench.slices import spread
from edgebrain.bundle import Bundle
from edgebrain.data.sample import Record
from edgebrain.evaluation.scores import summarise
from edgebrain.runtime.latency import SETTLE, WARM_UP
from edgebrain.targets.worker import Worker

# Queries a worker answers before it is the next one's turn: long enough to settle, short enough that a slow minute of
# the machine hits all alike.
BLOCK = 32
# Different slices in the timed queries; they stay in the worker's memory, some 25 kB each.
TIMED_SLICES = 96
# Above these a row is called noisy: share of CPU time taken by the host; last quarter against first.
MOST_STEAL, MOST_DRIFT = 0.03, 0.10
QUALITY = (
    "dice",
    "iou",
    "pixel_accuracy",
    "sensitivity",
    "specificity",
    "accuracy",
    "macro_f1",
    "healthy_marked",
    "missed_tumours",
)

Progress = Callable[[str, int, int], None]


def run_bench(
    bundles: Sequence[Path],
    records: Sequence[Record],
    threads: Sequence[int],
    queries: int,
    target: str = "cpu",
    data: Mapping[str, Any] | None = None,
    progress: Progress = lambda what, done, total: None,
) -> dict[str, Any]:
    """Measure and score bundles, and the float roots of their lineages, on one target.

    Args: records: the slices to score; the timed ones are taken from them. threads: thread counts. queries: timed
    queries of each row. data: what the report says of the slices. progress: told (what, done, total).
    Returns: a report of `bench.schema`.
    Raises WorkerFailed: a worker died. BadBundle, MissingExtra, BadImage: what a worker or a record said.
    """
    chosen, notes = with_roots(bundles)
    with ExitStack() as workers:
        lanes = _open(chosen, threads, target, workers, progress)
        for bundle in chosen:
            _score(_first(lanes, bundle), records, progress)
        rounds = _time_in_turns(lanes, spread(records, TIMED_SLICES), queries, progress)
        notes += _share_scores(lanes, records, progress)
        for lane in lanes:
            lane.peak_rss_mib = lane.worker.close()["peak_rss_mib"]
    rows = [_row(lane, _first(lanes, lane.bundle), lanes, chosen, target) for lane in lanes]
    return {
        "schema": SCHEMA,
        "environment": lanes[0].environment,
        "protocol": _protocol(queries, rounds, list(threads), min(TIMED_SLICES, len(records))),
        "data": dict(data or {"slices": len(records)}),
        "results": rows,
        "images": [_images(_first(lanes, bundle)) for bundle in chosen],
        "notes": notes + _doubts(rows),
    }


def _open(
    bundles: Sequence[Bundle], threads: Sequence[int], target: str, workers: ExitStack, progress: Progress
) -> list[Lane]:
    lanes: list[Lane] = []
    for bundle in bundles:
        for count in threads:
            progress("starting workers", len(lanes), len(bundles) * len(threads))
            lanes.append(Lane.start(bundle, count, workers.enter_context(Worker(target))))
    progress("starting workers", len(lanes), len(lanes))
    return lanes


def _score(lane: Lane, records: Sequence[Record], progress: Progress) -> None:
    lane.score(records, lambda done: progress(f"scoring {lane.bundle.name}", done, len(records)))


def _time_in_turns(lanes: Sequence[Lane], records: Sequence[Record], queries: int, progress: Progress) -> int:
    """Blocks of queries, each worker in turn, another one first in each round. Returns: number of rounds."""
    rounds = -(-queries // BLOCK)
    for turn in range(rounds):
        # Equal blocks, not full ones and a small rest.
        start, end = (queries * edge // rounds for edge in (turn, turn + 1))
        block = [records[place % len(records)] for place in range(start, end)]
        first = turn % len(lanes)
        for lane in (*lanes[first:], *lanes[:first]):
            lane.time(block)
        progress("timing", turn + 1, rounds)
    return rounds


def _share_scores(lanes: Sequence[Lane], records: Sequence[Record], progress: Progress) -> list[str]:
    """Give every lane its scores: another thread count's, where the outputs were the same to the byte, else its own."""
    notes = []
    for lane in lanes:
        first = _first(lanes, lane.bundle)
        if lane is not first and lane.same_outputs(first.outputs):
            lane.scores, lane.outputs = first.scores, first.outputs
        elif lane is not first:
            _score(lane, records, progress)
        if not lane.same_outputs(lane.outputs):
            notes.append(f"{lane.bundle.name}, {lane.threads} threads: the outputs differ from one query to the next")
    return notes


def _first(lanes: Sequence[Lane], bundle: Bundle) -> Lane:
    """The lane of a bundle at the first thread count, which is scored."""
    return next(lane for lane in lanes if lane.bundle is bundle)


def _row(lane: Lane, scored: Lane, lanes: Sequence[Lane], bundles: Sequence[Bundle], target: str) -> dict[str, Any]:
    bundle = lane.bundle
    quality = summarise(lane.scores, bundle.classes)
    root = root_of(bundle, bundles)
    return {
        "bundle": bundle.name,
        "path": str(bundle.path),
        "manifest_sha256": bundle.manifest_sha256,
        "format": bundle.format,
        "precision": bundle.precision,
        "target": target,
        "threads": lane.threads,
        "runs": lane.opened["runs"],
        "size_bytes": bundle.model_bytes,
        "parameters": int(bundle.manifest["parameters"]),
        "macs": int(bundle.manifest["macs"]),
        "int8_mac_share": bundle.manifest["int8_mac_share"],
        "load_ms": lane.opened["load_ms"],
        **lane.timing(),
        "rss_after_load_mib": lane.opened["rss_mib"],
        "peak_rss_mib": lane.peak_rss_mib,
        **{key: quality[key] for key in QUALITY},
        "f1": quality["f1"],
        "confusion": quality["confusion"],
        "counts": quality["counts"],
        "float_parent": root.name if root is not None else None,
        "drop": _drop(quality, None if root is None else _first(lanes, root), root is bundle),
    }


def _drop(quality: Mapping[str, Any], root: Lane | None, is_root: bool) -> dict[str, float | None]:
    """How much is lost against the float root, as a fraction of 1; 0 for the root itself, None where it is not here."""
    if root is None:
        return {"dice": None, "accuracy": None}
    there = quality if is_root else summarise(root.scores, root.bundle.classes)
    known = {key: (there[key], quality[key]) for key in ("dice", "accuracy")}
    return {key: None if a is None or b is None else a - b for key, (a, b) in known.items()}


def _images(lane: Lane) -> dict[str, Any]:
    rows = [{**score.as_json(), "outputs_sha256": lane.outputs[score.name]} for score in lane.scores]
    return {"bundle": lane.bundle.name, "path": str(lane.bundle.path), "scores": rows}


def _protocol(queries: int, rounds: int, threads: list[int], timed_slices: int) -> dict[str, Any]:
    return {
        "queries": queries,
        "rounds": rounds,
        "block": BLOCK,
        "warm_up": WARM_UP,
        "settle": SETTLE,
        "timed_slices": timed_slices,
        "threads": threads,
        "batch": 1,
    }


def _doubts(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """One sentence on the rows whose durations should not be trusted, or none."""
    doubtful = []
    for row in rows:
        steal, drift = row["noise"]["steal_share"], row["noise"]["drift"]
        reasons = []
        if steal is not None and steal > MOST_STEAL:
            reasons.append(f"the host took {100 * steal:.0f} % of the CPU")
        if drift is not None and abs(drift) > MOST_DRIFT:
            reasons.append(f"drift {100 * drift:+.0f} %")
        if reasons:
            doubtful.append(f"{row['bundle']} at {row['threads']} ({', '.join(reasons)})")
    return [f"noisy, measure again on a quiet machine: {'; '.join(doubtful)}"] if doubtful else []
