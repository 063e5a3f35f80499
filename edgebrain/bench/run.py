"""The bench: starts a worker for each bundle and thread count, tells them in turn what to do, and adds up.

It only listens: what predicts, times and scores is the runtime, in processes of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from edgebrain.bench.claims import check_claims
from edgebrain.bench.judge import verdict_of
from edgebrain.bench.lane import Lane
from edgebrain.bench.lineage import Family, with_roots
from edgebrain.bench.noise import doubts
from edgebrain.bench.schema import SCHEMA
from edgebrain.bench.slices import spread
from edgebrain.bench.suite import Suite
from edgebrain.bundle import Bundle
from edgebrain.data.sample import Record
from edgebrain.evaluation.scores import FIGURES, group_means, summarise
from edgebrain.runtime.latency import SETTLE, WARM_UP
from edgebrain.targets.worker import Worker

# Queries a worker answers before it is the next one's turn: long enough to settle, short enough that a slow minute of
# the machine hits all alike.
BLOCK = 32
DROPS = ("dice", "accuracy")

Progress = Callable[[str, int, int], None]


def run_bench(
    bundles: Sequence[Path],
    records: Sequence[Record],
    threads: Sequence[int],
    queries: int,
    target: str = "cpu",
    data: Mapping[str, Any] | None = None,
    suite: Suite | None = None,
    progress: Progress = lambda what, done, total: None,
) -> dict[str, Any]:
    """Measure and score bundles, and the float roots of their lineages, on one target.

    Args: records: the slices to score; the timed ones are taken from them. threads: thread counts. queries: timed
    queries of each row. data: what the report says of the slices. suite: the margins of the verdict. progress: told
    (what, done, total).
    Returns: a report of `bench.schema`.
    Raises WorkerFailed: a worker died. AnswersDiffer: the timed run did not answer what the scored run did.
    BadBundle: a file is not what its manifest claims, or what a worker said; also MissingExtra and BadImage.
    """
    family = with_roots(bundles)
    uncounted = [note for note in map(check_claims, family.bundles) if note is not None]
    with ExitStack() as workers:
        lanes = _open(family.bundles, threads, target, workers, progress)
        for bundle in family.bundles:
            _score(_first(lanes, bundle), records, progress)
        rounds = _time_in_turns(lanes, spread(records, queries), queries, progress)
        _share_scores(lanes, records, progress)
        for lane in lanes:
            lane.peak_rss_mib = lane.worker.close()["peak_rss_mib"]
    declared = suite or Suite()
    scored = list({id(lane.scores): lane for lane in lanes}.values())
    verdicts = []
    for done, lane in enumerate(scored):
        progress("judging", done, len(scored))
        verdicts.append(verdict_of(lane, _root_lane(lane, lanes, family), declared))
    progress("judging", len(scored), len(scored))
    rows = [_row(lane, _root_lane(lane, lanes, family), _place(lane, scored), verdicts, target) for lane in lanes]
    return {
        "schema": SCHEMA,
        "environment": lanes[0].environment,
        "protocol": _protocol(queries, rounds, list(threads), min(queries, len(records))),
        "suite": declared.as_json(),
        "data": dict(data or {"slices": len(records)}),
        "results": rows,
        "images": [_images(lane) for lane in scored],
        "notes": [*family.notes, *uncounted, *_same_answers(scored), *doubts(rows)],
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


def _share_scores(lanes: Sequence[Lane], records: Sequence[Record], progress: Progress) -> None:
    """Give every lane its scores: another thread count's, where the outputs were the same to the byte, else its own."""
    for lane in lanes:
        first = _first(lanes, lane.bundle)
        if lane is not first and lane.same_outputs(first.outputs):
            lane.scores, lane.outputs = first.scores, first.outputs
        elif lane is not first:
            _score(lane, records, progress)
        lane.refuse_other_answers()


def _same_answers(scored: Sequence[Lane]) -> list[str]:
    return [
        f"{lane.bundle.name}, {lane.threads} threads: one and the same answer to all {len(lane.outputs)} slices"
        for lane in scored
        if lane.answers_alike
    ]


def _first(lanes: Sequence[Lane], bundle: Bundle) -> Lane:
    """The lane of a bundle at the first thread count, which is scored."""
    return next(lane for lane in lanes if lane.bundle is bundle)


def _root_lane(lane: Lane, lanes: Sequence[Lane], family: Family) -> Lane | None:
    """The lane of the float root, which a lane is compared with: itself for a root, None where it is not here."""
    root = family.root(lane.bundle)
    return None if root is None else lane if root is lane.bundle else _first(lanes, root)


def _place(lane: Lane, scored: Sequence[Lane]) -> int:
    """Which of the scored lanes has this lane's scores."""
    return next(place for place, one in enumerate(scored) if one.scores is lane.scores)


def _row(
    lane: Lane, root: Lane | None, place: int, verdicts: Sequence[Mapping[str, Any]], target: str
) -> dict[str, Any]:
    bundle = lane.bundle
    quality = summarise(lane.scores, bundle.classes)
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
        "images": place,
        **group_means(lane.scores),
        "slice_means": {name: quality[name] for name in FIGURES},
        "macro_f1": quality["macro_f1"],
        "f1": quality["f1"],
        "confusion": quality["confusion"],
        "counts": {**quality["counts"], "groups": len({score.group for score in lane.scores})},
        "float_parent": None if root is None else root.bundle.name,
        "drop": drop_of(None if root is None else group_means(root.scores), group_means(lane.scores)),
        "verdict": verdicts[place],
    }


def drop_of(root: Mapping[str, Any] | None, row: Mapping[str, Any]) -> dict[str, float | None]:
    """How much is lost against the float root, as a fraction of 1; None where it is not here."""
    known = {key: (None if root is None else root[key], row[key]) for key in DROPS}
    return {key: None if a is None or b is None else a - b for key, (a, b) in known.items()}


def _images(lane: Lane) -> dict[str, Any]:
    rows = [{**score.as_json(), "outputs_sha256": lane.outputs[score.name]} for score in lane.scores]
    return {"bundle": lane.bundle.name, "path": str(lane.bundle.path), "threads": lane.threads, "scores": rows}


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
