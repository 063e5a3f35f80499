"""What a run folder holds besides its bench: how it was trained, the layers explained, the audit, the lineage.

What is not there is `Missing`: the fact, and the line that makes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from edgebrain.benchmarking.report_environment import Environment
from edgebrain.benchmarking.report_row import RowFigures
from edgebrain.bundle import MANIFEST
from edgebrain.errors import BadReport, EdgebrainError
from edgebrain.files import newest_name, read_json
from edgebrain.reporting.inputs import Source
from edgebrain.reporting.page import Audit, Layers, LineageEntry, Missing, Training
from edgebrain.runs import read_run
from edgebrain.settings import from_builtins

AUDIT, EXPLAINED = "audit.json", "explain"
# What the page takes of an audit is the same in both.
EXPLAIN_SCHEMA, AUDIT_SCHEMAS = 1, (1, 2)


def machine_name(environment: Environment) -> str:
    """What a duration was measured on: the board or the processor, and its cores."""
    name = environment.board or environment.cpu or environment.machine
    emulated = " (emulated, nothing was timed)" if environment.emulated else ""
    return f"{name}, {environment.cores_usable} cores{emulated}"


def training(source: Source) -> Training:
    """What training recorded: recipe, data, split, and what copying the nearest training slice scores."""
    if source.run is None:
        return Training(missing=Missing("the run is not here", "edgebrain report RUN, where the run folder is"))
    try:
        with _malformed(source.run):
            return _training(source.run)
    except EdgebrainError as problem:
        return Training(missing=Missing(problem.message, "copy the run folder again"))


def layers(source: Source, row: RowFigures) -> Layers:
    """What `edgebrain explain` found of a bundle, if it is of this very bundle."""
    folder = source.bundle_folder(row) or Path(row.path)
    line = f"edgebrain explain {folder}"
    file = newest_name(source.run / EXPLAINED / f"{folder.name}.json") if source.run else None
    if file is None or not file.is_file():
        return Layers(bundle=row.bundle, missing=Missing("the layers were not explained yet", line))
    try:
        with _malformed(file):
            return _layers(file, row)
    except EdgebrainError as problem:
        return Layers(bundle=row.bundle, missing=Missing(problem.message, line))


def audit(source: Source) -> Audit:
    """What `edgebrain data audit` found in the run's data, if it was kept as RUN/audit.json."""
    file = (source.run or Path("RUN")) / AUDIT
    line = f"edgebrain data audit {source.data or 'FOLDER'} --json {file}"
    if source.run is None or not file.is_file():
        return Audit(missing=Missing("the data were not audited for this run", line))
    try:
        with _malformed(file):
            return _audit(file, source.data)
    except EdgebrainError as problem:
        return Audit(missing=Missing(problem.message, line))


def lineage(source: Source, rows: Sequence[RowFigures]) -> Iterator[LineageEntry]:
    """Where each bundle comes from, by hash, read from its manifest; `here` is False where that is not at hand."""
    for row in {row.manifest_sha256: row for row in rows}.values():
        folder = source.bundle_folder(row)
        manifest = read_json(folder / MANIFEST, BadReport) if folder else {}
        known = manifest.get("lineage", {})
        values = {
            **known,
            "bundle": row.bundle,
            "manifest_sha256": row.manifest_sha256,
            "here": folder is not None,
            "parent_sha256": known.get("parent"),
            "kept_float": manifest.get("kept_float", []),
            "input": manifest.get("input", {}).get("shape"),
        }
        yield from_builtins(values, LineageEntry, str(folder), BadReport, extra=True)


def _training(folder: Path) -> Training:
    run = read_run(folder)
    scores = folder / "float" / "scores.json"
    scored = read_json(scores, BadReport) if scores.is_file() else {}
    data = run["data"]
    values = {
        "run": str(folder),
        "recipe": run.get("recipe"),
        "data": data,
        "mask_encoding": data.get("mask_encoding"),
        "left_out": data.get("left_out"),
        "rejected": len(data.get("rejected", [])),
        "split": run.get("split"),
        "backend": run.get("backend"),
        "copying": scored.get("copying"),
        "side": scored.get("side"),
        "validation": scored.get("summary"),
    }
    return from_builtins(values, Training, str(folder), BadReport, extra=True)


def _layers(file: Path, row: RowFigures) -> Layers:
    found = read_json(file, BadReport)
    if found["schema"] != EXPLAIN_SCHEMA:
        raise BadReport(f"{file}: is not of schema {EXPLAIN_SCHEMA}")
    if found["manifest_sha256"] != row.manifest_sha256:
        raise BadReport(f"{file}: is of another bundle of that name")
    machine = None
    if found.get("environment"):
        machine = machine_name(from_builtins(found["environment"], Environment, str(file), BadReport, extra=True))
    values = {**found, "bundle": row.bundle, "missing": None, "machine": machine}
    return from_builtins(values, Layers, str(file), BadReport, extra=True)


def _audit(file: Path, data: Path | None) -> Audit:
    found = read_json(file, BadReport)
    if found["schema"] not in AUDIT_SCHEMAS:
        raise BadReport(f"{file}: is not of schema {AUDIT_SCHEMAS[-1]}")
    if data is None or Path(found["root"]).resolve() != data.resolve():
        raise BadReport(f"{file}: is of {found['root']}, not of the data that was measured on")
    return from_builtins({**found, "missing": None}, Audit, str(file), BadReport, extra=True)


@contextmanager
def _malformed(file: Path) -> Iterator[None]:
    """Turn a missing or malformed field into a BadReport that names the file."""
    try:
        yield
    except (AttributeError, KeyError, TypeError) as problem:
        raise BadReport(f"{file}: a field is missing or malformed ({problem})") from problem
