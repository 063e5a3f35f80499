"""A bench whose target was lost goes on: what its report holds of each target is restored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgebrain.benchmarking.measurement import Measurement, Opened
from edgebrain.benchmarking.report import DataFacts, Note, Report, Request, ScoredBundle
from edgebrain.benchmarking.report_row import Row
from edgebrain.benchmarking.suite import Suite
from edgebrain.benchmarking.target_run import Earlier
from edgebrain.bundle import Bundle
from edgebrain.errors import BadReport
from edgebrain.evaluation.scores import ImageScore

MEASURE_ANEW = "measure anew, without --resume"
# Notes that still hold after a bench went on: of a target that was done all that concern its measurement, of one that
# was lost only that it had been resumed before. The rest is noted again where it is found again.
KEPT_KINDS = {True: ("not-measured", "no-throughput", "resumed"), False: ("resumed",)}

# Of one entry of a report's images: the scores, the hashes of the raw outputs, and of mask and class.
Restored = tuple[list[ImageScore], dict[str, str], dict[str, str]]


@dataclass(frozen=True)
class BenchRequest:
    """What a bench is asked for.

    Attributes:
        bundles: Bundles to measure.
        targets: Where to measure them.
        threads: Thread counts; empty for the targets' own.
        queries: Timed queries of each row.
        data: Data folder; None for the run's own.
        split: Side: train, val, test or all.
        slices: How many slices of the side are taken; None for all.
        suite: The margins of the verdict.
        allow_rejected: Go on however many of the slices cannot be used.
    """

    bundles: list[Path]
    targets: list[str]
    threads: list[int]
    queries: int
    data: Path | None
    split: str
    slices: int | None
    suite: Suite
    allow_rejected: bool = False

    @classmethod
    def from_report(cls, report: Report, name: str) -> BenchRequest:
        """Ask for the same as an earlier bench did.

        Raises:
            BadReport: Nothing is left to measure, or the report does not hold what was asked for.
        """
        request, data, suite = report.request, report.data, report.suite
        if request is None:
            raise BadReport(f"{name}: does not hold what was asked for, it is older than --resume", MEASURE_ANEW)
        if not report.failures:
            raise BadReport(f"{name}: nothing is left to measure, no target failed", MEASURE_ANEW)
        if not request.bundles or not data.content_sha256 or data.path is None or data.split is None:
            raise BadReport(f"{name}: does not hold on which bundles and slices it measured", MEASURE_ANEW)
        for path in request.bundles:
            if not Path(path).exists():
                raise BadReport(f"{name}: {path} is not here", "go to the folder in which that bench was started")
        return cls(
            bundles=[Path(path) for path in request.bundles],
            targets=list(request.targets),
            threads=list(request.threads),
            queries=report.protocol.queries,
            data=Path(data.path),
            split=data.split,
            # Those that were left out were among the slices that were asked for.
            slices=data.slices + len(data.rejected),
            suite=Suite(suite.name, suite.margins, suite.sampling, suite.source),
            # Whatever is left out, the slices are compared with those that were measured on.
            allow_rejected=True,
        )


def as_request(bundles: Sequence[Path], targets: Sequence[str], threads: Sequence[int]) -> Request:
    """What a report keeps of a request; the rest is in its protocol, data and suite."""
    return Request(tuple(map(str, bundles)), tuple(targets), tuple(threads))


def refuse_other_slices(report: Report, facts: DataFacts, name: str) -> None:
    """Compare the slices of that side with those that were measured on.

    Raises:
        BadReport: The slices, their masks, labels or groups are other ones.
    """
    if facts.names_sha256 != report.data.names_sha256:
        what = "slices"
    elif facts.content_sha256 != report.data.content_sha256:
        what = "pictures, masks, labels or groups"
    else:
        return
    raise BadReport(f"{name}: {facts.path} now holds other {what} than were measured on", MEASURE_ANEW)


def restore(target: str, report: Report | None, bundles: Sequence[Bundle]) -> Earlier:
    """What an earlier bench measured on a target.

    Args:
        target: The target's name in reports.
        report: That bench's; None where there is none.
        bundles: Those to measure now.

    Raises:
        BadReport: A bundle was written again since.
    """
    rows = [] if report is None else [row for row in report.results if row.target == target]
    if report is None or not rows:
        return Earlier()
    # Rows that share their scores in the report go on sharing them.
    scores = {index: _scores(report.images[index]) for index in {row.images for row in rows}}
    done = all(failure.target != target for failure in report.failures)
    return Earlier(
        measurements=tuple(_measurement(row, report, bundles, scores[row.images]) for row in rows),
        done=done,
        emulated=any(row.emulated for row in rows),
        notes=tuple(_kept_notes(report, target, done)),
    )


def _kept_notes(report: Report, target: str, done: bool) -> Iterator[Note]:
    yield from (note for note in report.notes if note.target == target and note.kind in KEPT_KINDS[done])
    if any(note.kind == "unclassified" for note in report.notes):
        yield Note("resumed", f"{target}: the notes of the earlier report, of schema 2, are left out", target)


def _measurement(row: Row, report: Report, bundles: Sequence[Bundle], restored: Restored) -> Measurement:
    bundle = next((one for one in bundles if one.manifest_sha256 == row.manifest_sha256), None)
    if bundle is None:
        raise BadReport(f"{row.path}: is not the bundle that was measured: it was written again since", MEASURE_ANEW)
    scores, outputs, answers = restored
    return Measurement(
        bundle,
        row.threads,
        None,
        Opened(row.runs, row.load_ms, row.rss_after_load_mib),
        report.environments[row.target],
        blocks=list(row.blocks),
        scores=scores,
        outputs=outputs,
        answers=answers,
        peak_rss_mib=row.peak_rss_mib,
        throughput=list(row.throughput),
    )


def _scores(entry: ScoredBundle) -> Restored:
    """Scores, hashes of the raw outputs, and hashes of mask and class; older reports lack the last."""
    outputs = {one.name: one.outputs_sha256 for one in entry.scores if one.outputs_sha256 is not None}
    answers = {one.name: one.answer_sha256 for one in entry.scores if one.answer_sha256 is not None}
    return entry.image_scores(), outputs, answers
