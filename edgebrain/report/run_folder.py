"""What a run folder knows beside its bench: how it was trained, the layers explained, the audit, the lineage.

What is not there is told as `missing`: the fact, and the line that makes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgebrain.bundle import MANIFEST
from edgebrain.errors import BadReport, EdgebrainError
from edgebrain.files import read_json
from edgebrain.report.source import Source
from edgebrain.runs import read_run

AUDIT, EXPLAINED = "audit.json", "explain"
EXPLAIN_SCHEMA, AUDIT_SCHEMA = 1, 1
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
    return f"{who}, {environment['cores_usable']} cores"


def missing(what: str, way_out: str) -> dict[str, str]:
    """Why a part of the page is empty. way_out: the line to type, or what to do."""
    return {"what": what, "way_out": way_out}


def training(source: Source) -> dict[str, Any]:
    """What training recorded: recipe, data, split, and what copying the nearest training slice scores."""
    if source.run is None:
        return {"missing": missing("the run is not here", "edgebrain report RUN, where the run folder lies")}
    run = read_run(source.run)
    scores = source.run / "float" / "scores.json"
    told = read_json(scores, BadReport) if scores.is_file() else {}
    data = run["data"]
    return {
        "missing": None,
        "run": str(source.run),
        "recipe": run.get("recipe"),
        "data": {key: data.get(key) for key in ("path", "kind", "groups", "sha256", "slices")},
        "rejected": len(data.get("rejected", [])),
        "split": run.get("split"),
        "backend": run.get("backend"),
        "copying": told.get("copying"),
        "side": told.get("side"),
        "validation": {key: told["summary"].get(key) for key in ("dice", "accuracy")} if "summary" in told else None,
    }


def layers(source: Source, row: Mapping[str, Any]) -> dict[str, Any]:
    """What `edgebrain explain` found of a bundle, if it is of this very bundle."""
    folder = source.bundle_folder(row) or Path(row["path"])
    line = f"edgebrain explain {folder}"
    file = source.run / EXPLAINED / f"{folder.name}.json" if source.run else None
    if file is None or not file.is_file():
        return {"bundle": row["bundle"], "missing": missing("the layers were not explained yet", line)}
    try:
        found = read_json(file, BadReport)
        if not isinstance(found, dict) or found.get("schema") != EXPLAIN_SCHEMA or "layers" not in found:
            raise BadReport(f"{file}: is no explanation of schema {EXPLAIN_SCHEMA}")
        if found["manifest_sha256"] != row["manifest_sha256"]:
            raise BadReport(f"{file}: is of another bundle of that name")
    except (EdgebrainError, KeyError) as problem:
        return {"bundle": row["bundle"], "missing": missing(str(problem), line)}
    kept = ("parent", "data", "dice", "whole_ms", "layers", "notes")
    environment = found.get("environment")
    return {
        "bundle": row["bundle"],
        "missing": None,
        "machine": machine_name(environment) if environment else None,
        **{key: found.get(key) for key in kept},
    }


def audit(source: Source) -> dict[str, Any]:
    """What `edgebrain data audit` found in the run's data, if it was kept as RUN/audit.json."""
    data = source.bench["data"]["path"]
    file = (source.run or Path("RUN")) / AUDIT
    line = f"edgebrain data audit {data} --json {file}"
    if source.run is None or not file.is_file():
        return {"missing": missing("the data were not audited for this run", line)}
    try:
        found = read_json(file, BadReport)
    except BadReport as problem:
        return {"missing": missing(problem.message, line)}
    if not isinstance(found, dict) or found.get("schema") != AUDIT_SCHEMA or "findings" not in found:
        return {"missing": missing(f"{file}: is no audit of schema {AUDIT_SCHEMA}", line)}
    if Path(found["root"]).resolve() != Path(data).resolve():
        return {"missing": missing(f"{file}: is of {found['root']}, not of the data that was measured on", line)}
    kept = ("root", "slices", "readable", "sides", "classes", "groups", "copy_baselines", "shortcuts", "notes")
    findings = [{key: one[key] for key in ("level", "title", "count", "unit", "advice")} for one in found["findings"]]
    return {"missing": None, **{key: found[key] for key in kept}, "findings": findings}


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
