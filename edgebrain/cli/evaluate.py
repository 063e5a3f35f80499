"""`edgebrain evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def evaluate(
    bundle: Annotated[Path | None, typer.Argument(help="Bundle, or a run (its float one); else the newest.")] = None,
    data: Annotated[Path | None, typer.Option(help="Data folder; the run's own when left out.")] = None,
    split: Annotated[str, typer.Option(help="Side: train, val, test or all.")] = "test",
    engine: Annotated[str | None, typer.Option(help="Instead of the format's usual engine.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads of the engine.")] = 1,
    out: Annotated[Path | None, typer.Option(help="Folder for the figures; RUN/evaluation/BUNDLE-SPLIT.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures there too; - for stdout.")] = None,
    allow_rejected: Annotated[
        bool, typer.Option("--allow-rejected", help="Go on where a class or a tenth of the masks cannot be used.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace what --out and --json name.")] = False,
) -> None:
    """Score a bundle on labelled slices at their own size: Dice, IoU, accuracy, F1, confusion.

    Example: edgebrain evaluate runs/demo-1/float --split test
    """
    from edgebrain.benchmarking.slices import choose_slices
    from edgebrain.bundle import open_bundle
    from edgebrain.cli.progress import Bars
    from edgebrain.cli.sources import copying_line
    from edgebrain.data.masks import MaskEncoding
    from edgebrain.files import canonical_json, claim_folder, refuse_to_overwrite, write_bytes, write_json
    from edgebrain.reporting.charts import confusion_png
    from edgebrain.reporting.evaluation import evaluation_text
    from edgebrain.runs import RUN_FILE, newest_run, run_of
    from edgebrain.settings import as_builtins

    for file in (json_file, out / "evaluation.json" if out else None):
        if file is not None and file != Path("-"):
            refuse_to_overwrite(file, force)
    folder = bundle or newest_run()
    folder = folder / "float" if (folder / RUN_FILE).is_file() else folder
    opened = open_bundle(folder)
    run = run_of(folder)
    chosen, data_facts = choose_slices(run, data, split, bundles=[opened], allow_rejected=allow_rejected)
    records, facts = [one.record for one in chosen], as_builtins(data_facts)
    with Bars() as bars:
        report = _scored(opened, records, facts, engine, threads, bars)
        report["copying"] = _copying(run, facts, [record.name for record in records], opened.input.shape[1])
    out = out or claim_folder((run or Path()) / "evaluation" / f"{folder.name}-{split}")
    summary = report["summary"]
    picture = confusion_png(summary["confusion"], summary["classes"], f"{opened.name}, {split}")
    write_json(out / "evaluation.json", report)
    write_bytes(out / "confusion.png", picture)
    if json_file == Path("-"):
        print(canonical_json(report), end="")
        return
    if json_file is not None:
        write_json(json_file, report)
    print(f"{opened.name} on {facts['path']}, {split} side ({facts['source']})")
    print(MaskEncoding.from_json(facts["mask_encoding"]).describe())
    if facts["left_out"]:
        print(facts["left_out"])
    print(evaluation_text(report))
    if report["copying"] is not None:
        print(copying_line(report["copying"]))
    print(f"{out}: evaluation.json, confusion.png")


def _copying(run: Path | None, facts: dict[str, Any], judged: list[str], side: int) -> dict[str, Any] | None:
    """What copying the nearest training slice scores on the same slices; None where no training side is known.

    judged: names of the slices that were scored.
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
    return copy_baselines(pack, pack.index(train), pack.index(judged))[0].as_json() if train else None


def _scored(
    bundle: Any, records: list[Any], facts: dict[str, Any], engine: str | None, threads: int, bars: Any
) -> dict[str, Any]:
    """The figures of a bundle, named as in a bench report, and its score on each slice; what was left out is named."""
    if bundle.format == "keras":
        from edgebrain.cli.keras_backend import import_keras

        import_keras("a float Keras bundle")
    from edgebrain.evaluation.score import score_session
    from edgebrain.evaluation.scores import by, summarise
    from edgebrain.runtime.session import open_session

    session = open_session(bundle, engine, threads)
    scores = []
    for done, record in enumerate(records, start=1):
        scores += score_session(session, [record.load()])
        bars.show("scoring", done, len(records))
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
