"""What a run folder knows beside its bench: how it was trained, the layers explained, the audit, the lineage.

What is not there is told as `missing`: the fact, and the line that makes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgebrain.bundle import MANIFEST
from edgebrain.errors import BadReport, EdgebrainError
from edgebrain.files import newest_name, read_json
from edgebrain.reporting.inputs import Source
from edgebrain.runs import read_run

AUDIT, EXPLAINED = "audit.json", "explain"
EXPLAIN_SCHEMA, AUDIT_SCHEMA = 1, 1
LAYER = ("layer", "precision", "sqnr_db", "drift_db", "dice_recovered", "ms", "macs", "bytes")
INTERVAL = ("dice_low", "dice_high")
LINEAGE = (
    "recipe",
    "data_sha256",
    "split_sha256",
    "calibration_sha256",
    "calibration_slices",
    "calibration_seen",
    "seeds",
)


def machine_name(environment: Mapping[str, Any]) -> str:
    """What a duration was measured on: the board or the processor, and its cores."""
    who = environment["board"] or environment["cpu"] or environment["machine"]
    emulated = " (emulated, nothing was timed)" if environment.get("emulated") else ""
    return f"{who}, {environment['cores_usable']} cores{emulated}"


def missing(what: str, way_out: str) -> dict[str, str]:
    """Why a part of the page is empty. way_out: the line to type, or what to do."""
    return {"what": what, "way_out": way_out}


def training(source: Source) -> dict[str, Any]:
    """What training recorded: recipe, data, split, and what copying the nearest training slice scores."""
    if source.run is None:
        return {"missing": missing("the run is not here", "edgebrain report RUN, where the run folder lies")}
    try:
        with _garbled(source.run):
            return _training(source.run)
    except EdgebrainError as problem:
        return {"missing": missing(problem.message, "copy the run folder again")}


def layers(source: Source, row: Mapping[str, Any]) -> dict[str, Any]:
    """What `edgebrain explain` found of a bundle, if it is of this very bundle."""
    folder = source.bundle_folder(row) or Path(row["path"])
    line = f"edgebrain explain {folder}"
    file = newest_name(source.run / EXPLAINED / f"{folder.name}.json") if source.run else None
    if file is None or not file.is_file():
        return {"bundle": row["bundle"], "missing": missing("the layers were not explained yet", line)}
    try:
        with _garbled(file):
            return {"bundle": row["bundle"], "missing": None, **_layers(file, row["manifest_sha256"])}
    except EdgebrainError as problem:
        return {"bundle": row["bundle"], "missing": missing(problem.message, line)}


def audit(source: Source) -> dict[str, Any]:
    """What `edgebrain data audit` found in the run's data, if it was kept as RUN/audit.json."""
    file = (source.run or Path("RUN")) / AUDIT
    line = f"edgebrain data audit {source.data or 'FOLDER'} --json {file}"
    if source.run is None or not file.is_file():
        return {"missing": missing("the data were not audited for this run", line)}
    try:
        with _garbled(file):
            return {"missing": None, **_audit(file, source.data)}
    except EdgebrainError as problem:
        return {"missing": missing(problem.message, line)}


def lineage(source: Source, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Where each bundle comes from, by hash, read from its manifest; `here` is False where that is not at hand."""
    entries = []
    for row in {row["manifest_sha256"]: row for row in rows}.values():
        folder = source.bundle_folder(row)
        manifest = read_json(folder / MANIFEST, BadReport) if folder else {}
        known = manifest.get("lineage", {})
        entries.append(
            {
                "bundle": row["bundle"],
                "manifest_sha256": row["manifest_sha256"],
                "here": folder is not None,
                "parent_sha256": known.get("parent"),
                **{key: known.get(key) for key in LINEAGE},
                "kept_float": manifest.get("kept_float", []),
                "input": manifest.get("input", {}).get("shape"),
            }
        )
    return entries


def _training(folder: Path) -> dict[str, Any]:
    run = read_run(folder)
    scores = folder / "float" / "scores.json"
    told = read_json(scores, BadReport) if scores.is_file() else {}
    data = run["data"]
    return {
        "missing": None,
        "run": str(folder),
        "recipe": run.get("recipe"),
        "data": {key: data.get(key) for key in ("path", "kind", "groups", "sha256", "slices")},
        "mask_encoding": data.get("mask_encoding"),
        "left_out": data.get("left_out"),
        "rejected": len(data.get("rejected", [])),
        "split": run.get("split"),
        "backend": run.get("backend"),
        "copying": told.get("copying"),
        "side": told.get("side"),
        "validation": {key: told["summary"][key] for key in ("dice", "accuracy")} if "summary" in told else None,
    }


def _layers(file: Path, manifest_sha256: str) -> dict[str, Any]:
    found = read_json(file, BadReport)
    if found["schema"] != EXPLAIN_SCHEMA:
        raise BadReport(f"{file}: is not of schema {EXPLAIN_SCHEMA}")
    if found["manifest_sha256"] != manifest_sha256:
        raise BadReport(f"{file}: is of another bundle of that name")
    environment = found.get("environment")
    return {
        "machine": machine_name(environment) if environment else None,
        **{key: found.get(key) for key in ("parent", "data", "dice", "whole_ms")},
        "layers": [{**dict.fromkeys(INTERVAL), **one, **{key: one[key] for key in LAYER}} for one in found["layers"]],
        "notes": list(found["notes"]),
    }


def _audit(file: Path, data: Path | None) -> dict[str, Any]:
    found = read_json(file, BadReport)
    if found["schema"] != AUDIT_SCHEMA:
        raise BadReport(f"{file}: is not of schema {AUDIT_SCHEMA}")
    if data is None or Path(found["root"]).resolve() != data.resolve():
        raise BadReport(f"{file}: is of {found['root']}, not of the data that was measured on")
    kept = ("root", "slices", "readable", "sides", "classes", "groups", "copy_baselines", "shortcuts", "notes")
    findings = [{key: one[key] for key in ("level", "title", "count", "unit", "advice")} for one in found["findings"]]
    return {**{key: found[key] for key in kept}, "findings": findings}


@contextmanager
def _garbled(file: Path) -> Iterator[None]:
    """Raises BadReport naming the file where a field is missing or of another type."""
    try:
        yield
    except (AttributeError, KeyError, TypeError) as problem:
        raise BadReport(f"{file}: lacks or garbles {problem}") from problem
