"""The audit as one HTML file: no network, no script, light and dark; example pairs are shown side by side."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from edgebrain.auditing.copies import KINDS, Pair, across
from edgebrain.auditing.finding import Finding
from edgebrain.auditing.run import Audit
from edgebrain.runtime.opencv import cv2

# 4 pairs of each of 7 kinds, within and across sides, at about 8 kB a pair: far below 3 MB.
PAIRS_SHOWN, NAMES_SHOWN = 4, 12
JPEG_QUALITY = 80


def audit_page(found: Audit) -> str:
    """The page as HTML text.

    Args:
        found: What the audit found.

    Raises:
        MissingExtra: Jinja2 is not installed.
    """
    from edgebrain.reporting.html import environment

    return (
        environment(escape=True)
        .get_template("audit.html")
        .render(
            found=found,
            sides=_sides(found),
            baselines=[] if found.baselines is None else found.baselines,
            examples=[_example(found, finding) for finding in found.findings],
            figure=_figure,
        )
    )


def _sides(found: Audit) -> str:
    sides = ", ".join(f"{side} {count}" for side, count in found.sides.items()) or "no sides"
    labels = ", ".join(f"{label} {count}" for label, count in found.labels.items()) or "no classes"
    return f"{sides}; {labels}."


@dataclass(frozen=True)
class Example:
    """Pictures of a finding about pairs, or lines of another.

    Attributes:
        finding: What was found.
        pictures: For each pair the data URLs of both pictures, their names, and a caption.
        lines: Names, and what is known of them.
    """

    finding: Finding
    pictures: tuple[PairPicture, ...] = ()
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class PairPicture:
    """Two pictures side by side.

    Attributes:
        names: Of the slices.
        urls: Their JPEG as data URLs.
        title: Both names with their sides.
        caption: In which way they are alike.
    """

    names: tuple[str, str]
    urls: tuple[str, str]
    title: str
    caption: str


def _example(found: Audit, finding: Finding) -> Example:
    if pairs := _pairs_of(found, finding):
        return Example(finding, tuple(_picture(found, pair, detail) for pair, detail in pairs))
    details = finding.details or ("",) * len(finding.items)
    listed = list(zip(finding.items, details, strict=True))[:NAMES_SHOWN]
    return Example(
        finding, lines=tuple(f"{', '.join(names)}{f' ({detail})' if detail else ''}" for names, detail in listed)
    )


def _pairs_of(found: Audit, finding: Finding) -> list[tuple[Pair, str]]:
    """The pairs that a finding about pairs would show; empty for other findings."""
    if finding.unit != "pairs":
        return []
    rows = {name: row for row, name in enumerate(found.scan.names)}
    known = {(pair.first, pair.second): pair for pair in found.pairs}
    chosen = [(known[rows[names[0]], rows[names[1]]], detail) for names, detail in _spread(finding)]
    return chosen


def _spread(finding: Finding) -> list[tuple[tuple[str, ...], str]]:
    """Pairs from the surest to the least sure, evenly: the doubtful ones are worth a look."""
    items = list(zip(finding.items, finding.details, strict=True))
    last = len(items) - 1
    places = sorted({round(last * step / (PAIRS_SHOWN - 1)) for step in range(PAIRS_SHOWN)})
    return [items[place] for place in places]


def _picture(found: Audit, pair: Pair, detail: str) -> PairPicture:
    first, second = pair.first, pair.second
    shown = across(found.scan.facts, pair)
    names = (found.scan.names[first], found.scan.names[second])
    title = " = ".join(f"{found.scan.names[row]}{_side(found, row, shown)}" for row in (first, second))
    caption = f"{KINDS[pair.kind]}{f', {detail}' if detail else ''}"
    return PairPicture(names, (_data_url(found, first), _data_url(found, second)), title, caption)


def _side(found: Audit, row: int, shown: bool) -> str:
    return f" [{found.scan.facts[row].record.folder}]" if shown else ""


def _data_url(found: Audit, row: int) -> str:
    whole, data = cv2.imencode(".jpg", found.scan.images[row], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    assert whole
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
