"""A bench whose target was lost goes on: what its report holds of each target becomes lanes again."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgebrain.benchmarking.measurement import Lane
from edgebrain.benchmarking.schema import machines
from edgebrain.benchmarking.suite import Suite
from edgebrain.benchmarking.target_run import WENT_ON, Place
from edgebrain.bundle import Bundle
from edgebrain.errors import BadReport
from edgebrain.evaluation.scores import ImageScore
from edgebrain.evaluation.verdict import Margins, Sampling

# Of one entry of a report's images: the scores, the hashes of the raw outputs, and of mask and class.
Kept = tuple[list[ImageScore], dict[str, str], dict[str, str]]
ANEW = "measure anew, without --resume"


@dataclass(frozen=True)
class Asked:
    """What a bench is asked for. threads: empty for the targets' own. data: None for the run's own. slices: how many of
    the side are taken, None for all. allow_rejected: however many of them cannot be used."""

    bundles: list[Path]
    targets: list[str]
    threads: list[int]
    queries: int
    data: Path | None
    split: str
    slices: int | None
    suite: Suite
    allow_rejected: bool = False


def asked_for(bundles: Sequence[Path], targets: Sequence[str], threads: Sequence[int]) -> dict[str, Any]:
    """What a report keeps of it; the rest stands in its protocol, data and suite."""
    return {"bundles": list(map(str, bundles)), "targets": list(targets), "threads": list(threads)}


def asked_again(report: Mapping[str, Any], name: str) -> Asked:
    """What to ask for again. Raises BadReport: nothing is left to measure, or it does not say what was asked."""
    asked = report.get("asked")
    if asked is None:
        raise BadReport(f"{name}: does not say what was asked for, it is older than --resume", ANEW)
    if not report["failures"]:
        raise BadReport(f"{name}: nothing is left to measure, no target failed", ANEW)
    if not asked["bundles"] or not report["data"].get("content_sha256"):
        raise BadReport(f"{name}: does not say on which bundles and slices it measured", ANEW)
    for path in asked["bundles"]:
        if not Path(path).exists():
            raise BadReport(f"{name}: {path} is not here", "go to the folder in which that bench was started")
    suite = report["suite"]
    return Asked(
        [Path(path) for path in asked["bundles"]],
        asked["targets"],
        asked["threads"],
        report["protocol"]["queries"],
        Path(report["data"]["path"]),
        report["data"]["split"],
        # Those that were left out were among the slices that were asked for.
        report["data"]["slices"] + len(report["data"].get("rejected") or ()),
        Suite(suite["name"], Margins(**suite["margins"]), Sampling(**suite["sampling"]), suite["source"]),
        # Whatever was left out, the slices are held against those that were measured on.
        allow_rejected=True,
    )


def refuse_other_slices(report: Mapping[str, Any], facts: Mapping[str, Any], name: str) -> None:
    """Raises BadReport: the slices of that side, their masks, labels or groups are not those that were measured on."""
    for key, what in (("names_sha256", "other slices"), ("content_sha256", "other pictures, masks, labels or groups")):
        if facts[key] != report["data"][key]:
            raise BadReport(f"{name}: {facts['path']} now holds {what} than were measured on", ANEW)


def take_up(place: Place, earlier: Mapping[str, Any] | None, bundles: Sequence[Bundle]) -> None:
    """Give a place what an earlier report holds of it. Raises BadReport: a bundle was changed since."""
    if earlier is None:
        return
    rows = [row for row in earlier["results"] if row["target"] == place.name]
    if not rows:
        return
    scores: dict[int, Kept] = {}
    place.lanes = [_lane(row, earlier, place, bundles, scores) for row in rows]
    place.rounds = max(len(lane.blocks) for lane in place.lanes)
    place.done = all(failure["target"] != place.name for failure in earlier["failures"])
    place.was_emulated = any(row["emulated"] for row in rows)
    name = re.escape(place.name)
    mine = re.compile(rf"{name}: {WENT_ON}|.*: (not measured|no throughput) on {name}[,:]")
    place.notes = [note for note in earlier["notes"] if mine.match(note) and (place.done or WENT_ON in note)]


def _lane(
    row: Mapping[str, Any],
    report: Mapping[str, Any],
    place: Place,
    bundles: Sequence[Bundle],
    scores: dict[int, Kept],
) -> Lane:
    """scores: those read so far, by their place in the report: rows that share them go on sharing them."""
    bundle = next((one for one in bundles if one.manifest_sha256 == row["manifest_sha256"]), None)
    if bundle is None:
        raise BadReport(f"{row['path']}: is not the bundle that was measured: it was written again since", ANEW)
    if row["images"] not in scores:
        entries = report["images"][row["images"]]["scores"]
        judged = [ImageScore.from_json(entry) for entry in entries]
        scores[row["images"]] = judged, _by_name(entries, "outputs_sha256"), _by_name(entries, "answer_sha256")
    judged, outputs, answers = scores[row["images"]]
    return Lane(
        bundle,
        row["threads"],
        None,
        {"runs": row["runs"], "load_ms": row["load_ms"], "rss_mib": row["rss_after_load_mib"]},
        machines(report)[place.name],
        blocks=list(row["blocks"]),
        scores=judged,
        outputs=outputs,
        answers=answers,
        peak_rss_mib=row["peak_rss_mib"],
        throughput=list(row.get("throughput") or ()),
    )


def _by_name(entries: Sequence[Mapping[str, Any]], key: str) -> dict[str, str]:
    """A hash of each slice; none of those that an older report lacks."""
    return {entry["name"]: entry[key] for entry in entries if key in entry}
