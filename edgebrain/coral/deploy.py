"""A bundle for a Coral Edge TPU: judged by the public record, and compiled where Google's compiler is installed."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from edgebrain.bundle import Bundle
from edgebrain.coral.check import FALLS_BACK, MAPPED, MIB, UNKNOWN, Check, Row, check_bundle, rules
from edgebrain.coral.compiler import INSTALL, OPTIONS, PROGRAM, compile_bundle, installed

HEADS = ("layer", "operator", "version", "type", "KiB", "Edge TPU")


def check(bundle: Bundle) -> dict[str, Any]:
    """What would run on the Edge TPU, as JSON object; `failed` where something stays on the CPU for certain."""
    found = check_bundle(bundle)
    return {
        "schema": 1,
        "target": "coral",
        "bundle": bundle.name,
        "path": str(bundle.path),
        "manifest_sha256": bundle.manifest_sha256,
        "compiler": found.compiler,
        "failed": found.falls_back,
        "refused": found.refused,
        "compiler_installed": installed(),
        "shares": {
            status: {"operators": found.share(status), "macs": found.mac_share(status)}
            for status in (MAPPED, FALLS_BACK, UNKNOWN)
        },
        "stored_bytes": found.stored_bytes,
        "largest_bytes": found.largest_bytes,
        "operators": [_row_json(row) for row in found.rows],
        "table": {"heads": list(HEADS), "rows": [_cells(row) for row in found.rows]},
        "lines": _lines(found),
    }


def deploy(bundle: Bundle, out: Path | None, force: bool) -> dict[str, Any]:
    """Compile a bundle for the Edge TPU.

    Args:
        bundle: An int8 TFLite bundle.
        out: Folder of the compiled bundle; else NAME-edgetpu in the folder of the bundle.
        force: Replace a bundle that is there.

    Returns:
        The compiler's log; `failed` where operators stay on the CPU.

    Raises:
        CompilerFailed: The compiler is not installed, or refuses the model.
        CannotWrite: The folder is there and `force` is not given.
    """
    out_dir = out or bundle.path.with_name(f"{bundle.path.name}-edgetpu")
    written, log = compile_bundle(bundle, out_dir, force)
    lines = [
        f"{PROGRAM} {log.version}: {log.mapped} operators on the Edge TPU, {log.on_cpu} on the CPU",
        *(f"{kind} {count}: {status}" for kind, count, status in log.lines),
        f"{written.path}: the compiled bundle; its latency is known on a device only",
    ]
    return {"bundle": str(written.path), "failed": log.on_cpu > 0, "log": log.as_json(), "lines": lines}


def _row_json(row: Row) -> Mapping[str, Any]:
    operator, finding = row.detail.operator, row.finding
    return {
        "layer": row.layer,
        "operator": operator.kind,
        "version": operator.version,
        "types": list(row.detail.types),
        "shapes": [list(shape) for shape in row.detail.shapes],
        "activation": row.detail.activation,
        "macs": operator.macs,
        "stored_bytes": row.detail.stored_bytes,
        "status": finding.status,
        "behind_a_break": row.behind,
        "why": finding.why,
        "source": finding.source,
    }


def _cells(row: Row) -> list[str]:
    detail = row.detail
    status = f"{row.finding.status}, behind a break" if row.behind else row.finding.status
    kib = f"{detail.stored_bytes / 1024:.1f}" if detail.stored_bytes else "-"
    return [row.layer, detail.operator.kind, f"v{detail.operator.version}", detail.types[-1], kib, status]


def _lines(found: Check) -> list[str]:
    """The sentences below the table."""
    known = rules()
    return [
        *_reasons(found),
        f"{_count(found, MAPPED)} mapped, {_count(found, FALLS_BACK)} fall back, {_count(found, UNKNOWN)} unknown: "
        f"{100 * found.share(UNKNOWN):.0f} % of the operators, {100 * found.mac_share(UNKNOWN):.1f} % of the "
        "multiply-adds",
        *_break(found),
        *_memory(found, float(known["on_chip_mib"]), float(known["least_on_chip_mib"])),
        f"judged for compiler {found.compiler} by public logs; no latency is known without a device",
        *([] if installed() else [f"{PROGRAM} {' '.join(OPTIONS)} decides, and is not here. To get it:", *INSTALL]),
    ]


def _count(found: Check, status: str) -> int:
    return sum(row.finding.status == status for row in found.rows)


def _reasons(found: Check) -> list[str]:
    """What is not mapped, a line for each operator, version and reason."""

    def reason(row: Row) -> tuple[str, str, int, str, str]:
        operator = row.detail.operator
        return row.finding.status, operator.kind, operator.version, row.finding.why, row.finding.source

    rows = sorted((row for row in found.rows if row.finding.status != MAPPED), key=reason)
    return [
        f"{status}: {kind} v{version} ({', '.join(row.layer for row in same)}): {why}"
        + (f" [{source}]" if source else "")
        for (status, kind, version, why, source), same in groupby(rows, key=reason)
    ]


def _break(found: Check) -> list[str]:
    total, sure, perhaps = len(found.rows), found.before(FALLS_BACK), found.before(FALLS_BACK, UNKNOWN)
    if found.refused:
        return ["the compiler rejects this file as a whole: nothing runs on the Edge TPU"]
    if sure < total:
        return [f"everything from {found.rows[sure].layer} on stays on the CPU: {total - sure} of {total} operators"]
    if perhaps < total:
        first = found.rows[perhaps].layer
        return [f"should {first} stay on the CPU, all from there on would: {total - perhaps} of {total} operators"]
    return [f"all {total} operators are mapped"]


def _memory(found: Check, most: float, least: float) -> list[str]:
    stored = found.stored_bytes / MIB
    fits = (
        "fit on the chip"
        if stored <= least
        else "fit if activations leave room"
        if stored <= most
        else "do not fit: the rest streams from the host for every slice"
    )
    return [
        f"weights: {stored:.2f} MiB, {fits} (8 MB, shared with activations: public logs leave {least:.2f} to "
        f"{most:.2f} MiB); largest operator: {found.largest_bytes / MIB:.2f} MiB of activations"
    ]
