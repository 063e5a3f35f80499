"""The bench: for each target, starts a worker for each bundle and thread count, tells them in turn what to do, adds up.

It only listens: what predicts, times and scores is the runtime, in processes of its own. Targets are measured one after
the other, so that none disturbs another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from edgebrain.benchmarking.judge import verdict_of
from edgebrain.benchmarking.lineage import Family, with_roots
from edgebrain.benchmarking.measurement import Lane
from edgebrain.benchmarking.noise import doubts
from edgebrain.benchmarking.resume import asked_for, take_up
from edgebrain.benchmarking.schema import SCHEMA
from edgebrain.benchmarking.slices import spread
from edgebrain.benchmarking.suite import Suite
from edgebrain.benchmarking.target_run import BLOCK, HERE, Place, Progress
from edgebrain.benchmarking.verify_bundle import check_claims
from edgebrain.bundle import Bundle
from edgebrain.data.sample import Record
from edgebrain.errors import EdgebrainError
from edgebrain.evaluation.scores import FIGURES, group_means, summarise
from edgebrain.runtime.engines import runs_here
from edgebrain.runtime.latency import SETTLE, WARM_UP
from edgebrain.targets import refuse_doubles
from edgebrain.targets.slices import Slice

DROPS = ("dice", "accuracy")


def run_bench(
    bundles: Sequence[Path],
    records: Sequence[Record],
    threads: Sequence[int],
    queries: int,
    targets: Sequence[str] = (HERE,),
    data: Mapping[str, Any] | None = None,
    suite: Suite | None = None,
    progress: Progress = lambda what, done, total: None,
    earlier: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Measure and score bundles on targets, one after the other, and the float roots of their lineages on this machine.

    Where a target is another machine, everything is scored here too: a drop there has a part of quantization (float
    here, int8 here) and a part of the device (int8 here, int8 there).
    Args: records: the slices to score; the timed ones are taken from them. threads: thread counts; empty for those of
    each target's file, or 1. queries: timed queries of each row. data: what the report says of the slices. suite: the
    margins of the verdict. progress: told (what, done, total). earlier: a report of the same bench, of which targets
    that were measured to the end are not measured again, and what was measured on others before they were lost is kept.
    Returns: a report of `bench.schema`; a target that failed stands in its `failures`, with the rows of the others and
    what was measured before.
    Raises: the problem of the first target where none was measured: WorkerFailed: a worker died. AnswersDiffer: the
    timed run did not answer what the scored run did. TargetFailed. BadBundle: a file is not what its manifest claims,
    or what a worker said; also MissingExtra and BadImage. BadTarget: two targets of one name.
    """
    refuse_doubles(targets)
    family = with_roots(bundles)
    uncounted = [note for note in map(check_claims, family.bundles) if note is not None]
    slices = [Slice.of(record.image_path, record.name) for record in records]
    asked = [Place(name) for name in targets]
    with ExitStack() as open_targets:
        for place in asked:
            # Before anything is measured: who is told of a missing device after an hour has lost it.
            take_up(place, earlier, family.bundles)
            place.locate(open_targets)
            place.prepare(family.bundles, slices)
        places = [*_reference(asked, earlier, family.bundles, slices, open_targets), *asked]
        for place in places:
            place.measure(records, spread(records, queries), threads, queries, progress)
    if not any(place.lanes for place in asked):
        raise next(place.problem for place in asked if place.problem)
    report = _report(places, family, records, queries, data, suite or Suite(), uncounted, progress)
    return {**report, "asked": asked_for(bundles, targets, threads)}


def _reference(
    asked: Sequence[Place],
    earlier: Mapping[str, Any] | None,
    bundles: Sequence[Bundle],
    slices: Sequence[Slice],
    open_targets: ExitStack,
) -> list[Place]:
    """This machine, to be scored only, where other machines were asked for and it was not."""
    place = Place(HERE, timed=False)
    take_up(place, earlier, bundles)
    runs = [one for one in bundles if runs_here(one.format, "cpu")]
    reached = any(one.problem is None for one in asked)
    if any(one.here for one in asked) or not (place.done or (reached and runs)):
        return []
    place.locate(open_targets)
    place.prepare(runs, slices)
    return [place]


def _report(
    places: Sequence[Place],
    family: Family,
    records: Sequence[Record],
    queries: int,
    data: Mapping[str, Any] | None,
    suite: Suite,
    notes: Sequence[str],
    progress: Progress,
) -> dict[str, Any]:
    here = next((place for place in places if place.here), Place(HERE))

    def root_of(place: Place, lane: Lane) -> Lane | None:
        root = family.root(lane.bundle)
        return lane if place.here and root is lane.bundle else here.find(root)

    lanes = [(place, lane) for place in places for lane in place.lanes]
    scored = list({id(lane.scores): (place, lane) for place, lane in reversed(lanes)}.values())[::-1]
    verdicts = []
    for done, (place, lane) in enumerate(scored):
        progress("judging", done, len(scored))
        verdicts.append(verdict_of(lane, root_of(place, lane), suite))
    progress("judging", len(scored), len(scored))
    rows = []
    for place, lane in lanes:
        number = next(number for number, (_, one) in enumerate(scored) if one.scores is lane.scores)
        row = _row(place, lane, root_of(place, lane), here.find(lane.bundle))
        rows.append({**row, "images": number, "verdict": verdicts[number]})
    measured = [place for place in places if place.environment is not None]
    return {
        "schema": SCHEMA,
        "environment": measured[0].environment,
        "environments": {place.name: place.environment for place in measured},
        "protocol": _protocol(queries, max(place.rounds for place in places), lanes, min(queries, len(records))),
        "suite": suite.as_json(),
        "data": dict(data or {"slices": len(records)}),
        "results": rows,
        "images": [_images(place, lane) for place, lane in scored],
        "failures": [_failure(place, place.problem) for place in places if place.problem is not None],
        "notes": [
            *family.notes,
            *notes,
            *(note for place in places for note in place.notes),
            *_of_places(places),
            *_same_answers([lane for _, lane in scored]),
            *doubts(rows),
        ],
    }


def _of_places(places: Sequence[Place]) -> Iterator[str]:
    """What a reader must know of each target's rows."""
    for place in places:
        if place.lanes and not place.timed:
            yield f"{place.name}: scored for the comparison and not timed; add --target {place.name} to time it"
        elif place.lanes and place.emulated:
            yield f"{place.name}: emulated, so nothing was timed; its scores count"
        if place.problem is not None:
            kept = f"; kept is what was measured before, {place.rounds} rounds" if place.lanes else ""
            yield f"{place.name} failed: {place.problem.message}{kept}"


def _failure(place: Place, problem: EdgebrainError) -> dict[str, Any]:
    return {"target": place.name, "message": problem.message, "hint": problem.hint, "rows": len(place.lanes)}


def _same_answers(scored: Sequence[Lane]) -> list[str]:
    return [
        f"{lane.bundle.name}, {lane.threads} threads: one and the same answer to all {len(lane.outputs)} slices"
        for lane in scored
        if lane.answers_alike
    ]


def _row(place: Place, lane: Lane, root: Lane | None, twin: Lane | None) -> dict[str, Any]:
    """root: the float root's lane here; twin: this bundle's lane here, itself on this machine; or None."""
    bundle, real = lane.bundle, not place.emulated
    quality = summarise(lane.scores, bundle.classes)
    return {
        "bundle": bundle.name,
        "path": str(bundle.path),
        "manifest_sha256": bundle.manifest_sha256,
        "format": bundle.format,
        "precision": bundle.precision,
        "target": place.name,
        "emulated": place.emulated,
        "threads": lane.threads,
        "runs": lane.opened["runs"],
        "size_bytes": bundle.model_bytes,
        "parameters": int(bundle.manifest["parameters"]),
        "macs": int(bundle.manifest["macs"]),
        "int8_mac_share": bundle.manifest["int8_mac_share"],
        # Neither a duration nor the memory of an emulator says anything of the machine that it plays.
        "load_ms": lane.opened["load_ms"] if real else None,
        **lane.timing(),
        "rss_after_load_mib": lane.opened["rss_mib"] if real else None,
        "peak_rss_mib": lane.peak_rss_mib if real else None,
        "throughput": lane.throughput or None,
        **group_means(lane.scores),
        "slice_means": {name: quality[name] for name in FIGURES},
        "macro_f1": quality["macro_f1"],
        "f1": quality["f1"],
        "confusion": quality["confusion"],
        "counts": {**quality["counts"], "groups": len({score.group for score in lane.scores})},
        "float_parent": None if root is None else root.bundle.name,
        "drop": drop_of(None if root is None else group_means(root.scores), group_means(lane.scores)),
        "device_drop": None if place.here or twin is None else _device_drop(twin, lane),
    }


def _device_drop(here: Lane, there: Lane) -> dict[str, Any]:
    """What the device adds to a bundle's drop, and on how many slices its raw outputs are other than here."""
    differing = sum(there.outputs[name] != sha256 for name, sha256 in here.outputs.items())
    return {**drop_of(group_means(here.scores), group_means(there.scores)), "slices_differing": differing}


def drop_of(root: Mapping[str, Any] | None, row: Mapping[str, Any]) -> dict[str, float | None]:
    """How much is lost against the float root, as a fraction of 1; None where it is not here."""
    known = {key: (None if root is None else root[key], row[key]) for key in DROPS}
    return {key: None if a is None or b is None else a - b for key, (a, b) in known.items()}


def _images(place: Place, lane: Lane) -> dict[str, Any]:
    rows = [
        {
            **score.as_json(),
            "outputs_sha256": lane.outputs[score.name],
            # An older report, which this bench went on with, lacks them.
            **({"answer_sha256": lane.answers[score.name]} if score.name in lane.answers else {}),
        }
        for score in lane.scores
    ]
    return {
        "bundle": lane.bundle.name,
        "path": str(lane.bundle.path),
        "target": place.name,
        "threads": lane.threads,
        "scores": rows,
    }


def _protocol(queries: int, rounds: int, lanes: Sequence[tuple[Place, Lane]], timed_slices: int) -> dict[str, Any]:
    return {
        "queries": queries,
        "rounds": rounds,
        "block": BLOCK,
        "warm_up": WARM_UP,
        "settle": SETTLE,
        "timed_slices": timed_slices,
        "threads": sorted({lane.threads for _, lane in lanes}),
        "batch": 1,
    }
