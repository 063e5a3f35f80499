"""The table of `edgebrain evaluate`: the reference figures over all, by class and by plane."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgebrain.data.masks import MaskEncoding

COLUMNS = (
    ("slices", "slices", "d"),
    ("Dice", "dice", ".4f"),
    ("IoU", "iou", ".4f"),
    ("pixel acc", "pixel_accuracy", ".4f"),
    ("sens", "sensitivity", ".4f"),
    ("spec", "specificity", ".4f"),
    ("class acc", "accuracy", ".4f"),
    ("marked", "healthy_marked", ".3f"),
)


def evaluation_text(report: Mapping[str, Any]) -> str:
    """The report of `edgebrain evaluate --json` in words: the slices, the figures, and what copying scores."""
    facts = report["data"]
    lines = [f"{report['bundle']} on {facts['path']}, {facts['split']} side ({facts['source']})"]
    lines += [MaskEncoding.from_json(facts["mask_encoding"]).describe()]
    lines += [facts["left_out"]] if facts["left_out"] else []
    lines += [_table(report)]
    lines += [] if report["copying"] is None else [copying_line(report["copying"])]
    return "\n".join(lines)


def copying_line(figures: Mapping[str, Any]) -> str:
    """What copying the nearest training slice scores, as the line below a model's score."""
    dice, accuracy = figure(figures["dice"]), figure(figures["accuracy"])
    return f"copying the nearest training slice: Dice {dice}, class accuracy {accuracy}"


def figure(value: float | None, decimals: int = 4) -> str:
    """A figure with so many decimals; a hyphen where there is none."""
    return _number(value, f".{decimals}f")


def _table(report: Mapping[str, Any]) -> str:
    """The figures over all, by class and by plane, within 80 columns."""
    rows = [("all", report["summary"])]
    rows += [(name, report["by_class"][name]) for name in sorted(report["by_class"])]
    rows += [(name, report["by_plane"][name]) for name in sorted(report["by_plane"])]
    lines = [f"{'':<11}" + "".join(f"{head:>{_width(head)}}" for head, _, _ in COLUMNS)]
    lines += [
        f"{name:<11}" + "".join(_cell(head, key, form, summary) for head, key, form in COLUMNS)
        for name, summary in rows
    ]
    f1 = report["summary"]["f1"]
    lines += ["", "F1: " + ", ".join(f"{name} {_number(value, '.4f')}" for name, value in f1.items())]
    lines += ["confusion (rows true, columns predicted):"]
    names = report["summary"]["classes"]
    lines += [f"  {'':<11}" + "".join(f"{name:>12}" for name in names)]
    matrix = report["summary"]["confusion"]
    lines += [f"  {name:<11}" + "".join(f"{cell:>12}" for cell in row) for name, row in zip(names, matrix, strict=True)]
    lines += ["overlaps: means over tumour slices; marked: healthy slices with a lesion pixel"]
    return "\n".join(lines)


def _cell(head: str, key: str, form: str, summary: Mapping[str, Any]) -> str:
    value = summary["counts"]["slices"] if key == "slices" else summary[key]
    return f"{_number(value, form):>{_width(head)}}"


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _width(head: str) -> int:
    return max(8, len(head) + 1)
