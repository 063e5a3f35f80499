"""The page as one HTML file: no network, no script, light and dark, for a screen, a phone and paper."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgebrain.benchmarking.judge import NOT_JUDGED, REFERENCE
from edgebrain.evaluation.verdict import FAIL, INCONCLUSIVE, PASS
from edgebrain.reporting import charts, provenance, sections, table, verdict
from edgebrain.reporting.templates import environment

# The plot is made twice, and the style sheet shows the one that fits.
WIDE_PX, NARROW_PX = 1040, 350
# A verdict is told by its word; the mark and the colour only help the eye.
MARKS = {PASS: "pass", FAIL: "fail", INCONCLUSIVE: "open", REFERENCE: "none", NOT_JUDGED: "none"}


def as_html(page: Mapping[str, Any]) -> str:
    """The page of `report.gather.gather` as text. Raises MissingExtra: Jinja2 is not installed."""
    template = environment(escape=True).get_template("page.html")
    return template.render(
        page=page,
        charts=charts,
        sections=sections,
        provenance=provenance,
        verdict=verdict,
        text=table,
        marks=MARKS,
        widths=(WIDE_PX, NARROW_PX),
        compared=_compared,
        headline_first=_headline_first,
        judged=table.judged_once,
    )


def _compared(report: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The float root and the headline bundle; the bundle alone where its root is not here."""
    row = report["rows"][report["headline"]["row"]]
    rows = [row] if row["parent"] is None else [report["rows"][row["parent"]], row]
    return [one for one in rows if one["reliability"] is not None]


def _headline_first(report: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The bundles that were compared with their float root, the one that the page is about before the others."""
    scores = report["rows"][report["headline"]["row"]]["images"]
    rows = [row for row in table.judged_once({"results": report["rows"]}) if row["verdict"]["comparisons"]]
    return sorted(rows, key=lambda row: row["images"] != scores)
