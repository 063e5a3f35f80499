"""Reports of schema 2, as edgebrain 0.1 development versions wrote them, converted to the present schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgebrain.files import sha256_json

DECLARED = ("name", "margins", "sampling")


def from_schema_2(values: Mapping[str, Any]) -> dict[str, Any]:
    """Convert a report of schema 2; what it lacks is left to the check of the result.

    Args:
        values: The JSON object. Fields that were added to schema 2 later may be missing.

    Returns:
        A JSON object of schema 3. Its notes are `unclassified`: schema 2 had sentences only.
    """
    rows = [_row(row) for row in _list(values, "results")]
    converted = {
        **values,
        "schema": 3,
        "environments": _environments(values, rows),
        "request": values.get("asked"),
        "failures": values.get("failures") or [],
        "notes": [{"kind": "unclassified", "text": text} for text in values.get("notes") or []],
    }
    # Only what is there is converted: the check then names what is missing.
    if "results" in values:
        converted["results"] = rows
    if isinstance(values.get("suite"), dict):
        converted["suite"] = _suite(values["suite"])
    if isinstance(values.get("data"), dict):
        converted["data"] = {**values["data"], "rejected": values["data"].get("rejected") or []}
    return converted


def _list(values: Mapping[str, Any], key: str) -> list[Any]:
    found = values.get(key)
    return found if isinstance(found, list) else []


def _row(row: Any) -> Any:
    if not isinstance(row, dict):
        return row
    return {**row, "emulated": bool(row.get("emulated")), "throughput": row.get("throughput") or []}


def _environments(values: Mapping[str, Any], rows: list[Any]) -> Any:
    """Target -> its machine; the first reports of schema 2 had one machine for all rows."""
    targets = dict.fromkeys(row.get("target", "cpu") for row in rows if isinstance(row, dict)) or {"cpu": None}
    return values.get("environments") or dict.fromkeys(targets, values.get("environment"))


def _suite(suite: dict[str, Any]) -> dict[str, Any]:
    """The suite with margins as floats, and with a new hash where the old one was right.

    A margin that was declared as 0 is 0 in the text that was hashed then, and 0.0 in ours.
    """
    if not isinstance(suite.get("margins"), dict) or suite.get("sha256") != _hash(suite):
        return suite
    margins = {key: float(value) for key, value in suite["margins"].items()}
    sampling = {**suite["sampling"], "confidence": float(suite["sampling"]["confidence"])}
    converted = {**suite, "margins": margins, "sampling": sampling}
    return {**converted, "sha256": _hash(converted)}


def _hash(suite: Mapping[str, Any]) -> str:
    return sha256_json({key: suite.get(key) for key in DECLARED})
