"""Where the figures come from, as tables of text: audit, training, machine, lineage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from edgebrain.reporting.format import UNKNOWN, percent, points, score
from edgebrain.reporting.page import Figures, LineageEntry, PageReport, Training
from edgebrain.reporting.tables import Column, Table, make_table

SHORT_HASH = 12


def findings(report: PageReport) -> Table:
    """What the audit found, worst first."""
    columns: list[Column] = [
        ("level", lambda one: str(one.level)),
        ("finding", lambda one: str(one.title)),
        ("count", lambda one: f"{one.count:,} {one.unit}"),
        ("advice", lambda one: str(one.advice)),
    ]
    return make_table("", columns, report.audit.findings, words=(0, 1, 3))


def copying(report: PageReport) -> Table:
    """What copying the nearest training slice scores."""
    columns: list[Column] = [
        ("slices that have", lambda one: str(one.part)),
        ("slices", lambda one: f"{one.slices:,}"),
        ("accuracy %", lambda one: percent(one.accuracy)),
        ("Dice", lambda one: score(one.dice)),
    ]
    return make_table("", columns, report.audit.copy_baselines or [])


def training(report: PageReport) -> Table:
    """What the run recorded of its data and split."""
    run = report.training
    data, split = run.data, run.split or {}
    sides = ", ".join(f"{side} {count:,}" for side, count in (split.get("slices") or {}).items())
    lines = [
        ("run", run.run),
        ("recipe", _named(run.recipe)),
        ("data", f"{data.path} ({data.kind}), {_count(data.slices)} slices"),
        ("left out", run.left_out or f"{run.rejected} slices"),
        ("groups", data.groups or "the data folder's own, or found from the pictures"),
        ("split by group", sides or UNKNOWN),
        ("SHA-256 of data, split", f"{short(data.sha256)}, {short(split.get('sha256'))}"),
        ("Keras backend", run.backend or UNKNOWN),
        *_validation(run),
    ]
    return Table("", ("what", "recorded by the run"), tuple((what, str(value)) for what, value in lines), words=(0, 1))


def environment(report: PageReport) -> Table:
    """The machine and the protocol."""
    machine, protocol, suite = report.environment, report.protocol, report.suite
    flags = " ".join(flag for flag, present in machine.flags.items() if present)
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items() if version)
    margins = ", ".join(f"{name.replace('_', ' ')} {points(value)}" for name, value in asdict(suite.margins).items())
    virtual = {True: "yes", False: "no", None: "not known"}[machine.virtualised]
    lines = [
        ("processor", machine.cpu or machine.machine),
        ("board", machine.board or "not known"),
        ("cores", f"{machine.cores_usable} of {machine.cores} usable"),
        ("flags that decide int8 speed", flags or "none"),
        ("virtual machine", virtual),
        ("memory", f"{_count(machine.memory_mib)} MiB"),
        ("governor", machine.governor or "not readable"),
        ("clock", _readable(machine.frequency_mhz, "MHz")),
        ("temperature", _readable(machine.temperature_c, "degrees C")),
        ("load", f"{machine.load:.1f} runnable processes before measuring"),
        ("system", f"{machine.system or UNKNOWN}, kernel {machine.kernel}, Python {machine.python}"),
        ("versions", versions),
        (
            "protocol",
            f"{protocol.queries} queries in {protocol.rounds} interleaved rounds over {protocol.timed_slices} "
            f"slices, after {protocol.warm_up} uncounted ones",
        ),
        ("margins, points", f"{margins} (suite {suite.name}, {suite.source})"),
        ("bench report", f"{report.source}, SHA-256 {short(report.source_sha256)}"),
    ]
    return Table("", ("what", "value"), tuple(lines), words=(0, 1))


def lineage(report: PageReport) -> Table:
    """Where each bundle comes from, by the first digits of the hashes."""
    names = {entry.manifest_sha256: entry.bundle for entry in report.lineage}
    columns: list[Column] = [
        ("bundle", lambda one: str(one.bundle)),
        ("made from", lambda one: _parent(one, names)),
        ("recipe", lambda one: _named(one.recipe)),
        ("manifest", lambda one: short(one.manifest_sha256)),
        ("data", lambda one: short(one.data_sha256)),
        ("split", lambda one: short(one.split_sha256)),
        ("calibration", _calibration),
        ("kept in float", lambda one: str(len(one.kept_float)) if one.here else UNKNOWN),
    ]
    return make_table(
        "SHA-256, the first digits; the JSON has them whole.",
        columns,
        report.lineage,
        words=(0, 1, 2, 3, 4, 5, 6, 7),
    )


def short(sha256: str | None) -> str:
    """The first digits of a hash."""
    return UNKNOWN if sha256 is None else sha256[:SHORT_HASH]


def _validation(run: Training) -> list[tuple[str, str]]:
    copied, scored = run.copying, run.validation
    lines = []
    if scored is not None:
        lines.append((f"float model on {run.side}", _dice_and_accuracy(scored)))
    if copied is not None:
        lines.append((f"copying the nearest training slice, on {run.side}", _dice_and_accuracy(copied)))
    return lines


def _dice_and_accuracy(figures: Figures) -> str:
    return f"Dice {score(figures.dice)}, accuracy {percent(figures.accuracy)} %"


def _parent(entry: LineageEntry, names: Mapping[str, str]) -> str:
    if not entry.here:
        return "bundle not here"
    parent = entry.parent_sha256
    return "trained" if parent is None else names.get(parent, short(parent))


def _calibration(entry: LineageEntry) -> str:
    if not entry.calibration_sha256:
        return UNKNOWN
    seen = f"{entry.calibration_seen} of {entry.calibration_slices} slices seen"
    return f"{short(entry.calibration_sha256)}, {seen}"


def _named(recipe: Mapping[str, Any] | None) -> str:
    return UNKNOWN if recipe is None else f"{recipe['name']} ({short(recipe['sha256'])})"


def _readable(value: float | None, unit: str) -> str:
    return "not readable" if value is None else f"{value:.0f} {unit}"


def _count(value: int | None) -> str:
    return UNKNOWN if value is None else f"{value:,}"
