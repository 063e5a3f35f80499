"""The layout of results.csv and of what lies next to it, and which masks and overlays a table names."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

RESULTS, MODEL = "results.csv", "model.json"
# Name of the mask and overlay that are being written; they have no row yet.
UNFINISHED = ".unfinished"
MASK, OVERLAY = "_mask.png", "_overlay.png"
REJECTED = "rejected"
BEFORE_CLASSES = ("name", "label", "probability", "area_px", "area_cm2", "width", "height")
AFTER_CLASSES = ("mask", "overlay", "error", "warning", "bytes", "modified")


def columns(classes: Sequence[str]) -> tuple[str, ...]:
    """The columns of a table for a model with these classes."""
    return (*BEFORE_CLASSES, *classes, *AFTER_CLASSES)


def output_files(table: Path) -> tuple[str, ...] | None:
    """The masks and overlays that a table names, relative to its folder, and those that it was about to name.

    None where it is no table of ours. A spreadsheet may have saved it with another separator or a byte-order mark.
    """
    try:
        with table.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
            head = stream.readline()
            rows = csv.DictReader(stream, fieldnames=cells(head), delimiter=separator(head))
            if tuple(rows.fieldnames or ())[: len(BEFORE_CLASSES)] != BEFORE_CLASSES:
                return None
            named = [file for row in rows for file in (row.get("mask"), row.get("overlay")) if file]
    except (OSError, csv.Error):
        return None
    last = unfinished_stem(table.parent)
    return (*named, *([f"{last}{MASK}", f"{last}{OVERLAY}"] if last else []))


def unfinished_stem(out: Path) -> str:
    """The name under which mask and overlay were written last, if their row was not; else empty."""
    try:
        return (out / UNFINISHED).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def separator(head: str) -> str:
    """What separates the cells of a head: a comma, or the semicolon that some spreadsheets save."""
    return ";" if ";" in head and "," not in head else ","


def cells(head: str) -> list[str]:
    """The columns that a head names."""
    return next(csv.reader([head], delimiter=separator(head)), [])
