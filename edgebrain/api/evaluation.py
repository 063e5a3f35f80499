"""Scoring one bundle on labelled slices, beside what copying the nearest training slice scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebrain.api.arguments import AnyPath, check_count, optional_path
from edgebrain.api.defaults import float_bundle
from edgebrain.files import claim_folder, refuse_to_overwrite, write_bytes, write_json
from edgebrain.progress import Progress, no_progress
from edgebrain.runs import run_of

if TYPE_CHECKING:
    from edgebrain.bundle import Bundle
    from edgebrain.data.sample import Record

FIGURES, PICTURE = "evaluation.json", "confusion.png"


@dataclass(frozen=True)
class Evaluation:
    """The figures of a bundle on labelled slices.

    Attributes:
        report: Everything that evaluation.json holds: `summary`, `by_class`, `by_plane`, `images`, `copying`, `data`.
        out: Folder with evaluation.json and confusion.png.
    """

    report: dict[str, Any]
    out: Path


def evaluate(
    bundle: AnyPath | None = None,
    data: AnyPath | None = None,
    *,
    split: str = "test",
    engine: str | None = None,
    threads: int = 1,
    out: AnyPath | None = None,
    allow_rejected: bool = False,
    force: bool = False,
    progress: Progress = no_progress,
) -> Evaluation:
    """Score a bundle on labelled slices at their own size: Dice, IoU, accuracy, F1, confusion.

    Args:
        bundle: A bundle, or a run (its float one); the newest finished run when left out.
        data: Folder of a data set; the run's own when left out.
        split: Side: train, val, test or all.
        engine: The interpreter; the first installed one that reads the bundle when left out.
        threads: CPU threads of the interpreter.
        out: Folder for the figures; RUN/evaluation/BUNDLE-SPLIT when left out.
        allow_rejected: Go on where a class or a tenth of the masks cannot be used.
        force: Replace the figures in `out`.
        progress: Called with "scoring", the number of slices done and the number in all.

    Returns:
        The figures, and the folder that they were written to.

    Raises:
        BadBundle, BadData: What was given cannot be used.
        CannotWrite: Figures lie in `out` already.

    Example:
        >>> edgebrain.evaluate("runs/demo-1").report["summary"]["dice"] > 0.9
        True
    """
    check_count(threads, "threads")
    target = optional_path(out, "out")
    if target is not None:
        refuse_to_overwrite(target / FIGURES, force)
    from edgebrain.benchmarking.slices import choose_slices
    from edgebrain.bundle import open_bundle
    from edgebrain.reporting.charts import confusion_png
    from edgebrain.settings import as_builtins

    folder = float_bundle(optional_path(bundle, "bundle"))
    opened, run = open_bundle(folder), run_of(folder)
    folder_of_data = optional_path(data, "data")
    slices, data_facts = choose_slices(run, folder_of_data, split, bundles=[opened], allow_rejected=allow_rejected)
    records, facts = [one.record for one in slices], as_builtins(data_facts)
    report = _scored(opened, records, facts, engine, threads, progress)
    report["copying"] = _copying(run, facts, [record.name for record in records], opened.input.shape[1])
    target = target or claim_folder((run or Path()) / "evaluation" / f"{folder.name}-{split}")
    summary = report["summary"]
    write_json(target / FIGURES, report)
    picture = confusion_png(summary["confusion"], summary["classes"], f"{opened.name}, {split}")
    write_bytes(target / PICTURE, picture)
    return Evaluation(report, target)


def _scored(
    bundle: Bundle,
    records: Sequence[Record],
    facts: dict[str, Any],
    engine: str | None,
    threads: int,
    progress: Progress,
) -> dict[str, Any]:
    """The figures of a bundle, named as in a bench report, and its score on each slice."""
    from edgebrain.runtime.engines import choose_engine

    if choose_engine(bundle, engine) == "keras":
        from edgebrain.api.keras_backend import import_keras

        import_keras("a float Keras bundle")
    from edgebrain.evaluation.score import score_session
    from edgebrain.evaluation.scores import by, summarise
    from edgebrain.runtime.session import open_session

    session = open_session(bundle, engine, threads)
    scores = []
    for done, record in enumerate(records, start=1):
        scores += score_session(session, [record.load()])
        progress("scoring", done, len(records))
    return {
        "schema": 1,
        "bundle": bundle.name,
        "path": str(bundle.path),
        "manifest_sha256": bundle.manifest_sha256,
        "format": bundle.format,
        "precision": bundle.precision,
        "runs": session.engine.describe(),
        "data": facts,
        "summary": summarise(scores, bundle.classes),
        "by_class": {name: summarise(part, bundle.classes) for name, part in by(scores, "label").items()},
        "by_plane": {name: summarise(part, bundle.classes) for name, part in by(scores, "plane").items()},
        "images": [score.as_json() for score in scores],
        "mask_encoding": facts["mask_encoding"],
        "rejected": facts["rejected"],
        "left_out": facts["left_out"],
    }


def _copying(run: Path | None, facts: dict[str, Any], judged: Sequence[str], side: int) -> dict[str, Any] | None:
    """What copying the nearest training slice scores on the same slices; None where no training side is known.

    judged: names of the slices that were scored. side: the network's input side in px.
    """
    from edgebrain.auditing.leakage import copy_baselines
    from edgebrain.data.pack import open_pack
    from edgebrain.data.readers import open_dataset
    from edgebrain.data.split import Split

    if run is None or facts["source"] != "the run's split" or facts["split"] not in ("val", "test"):
        return None
    split = Split.read(run / "split.json")
    pack = open_pack(open_dataset(Path(facts["path"])), side)
    # Masks may have been broken since the run was started: what cannot be used has nothing to copy.
    known = set(pack.names)
    train = [name for name in split.names_of("train") if name in known]
    return copy_baselines(pack, pack.index(train), pack.index(list(judged)))[0].as_json() if train else None
