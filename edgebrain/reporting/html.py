"""The one HTML engine: Jinja2 over the folder of templates. Pages need no network and no script."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgebrain.benchmarking.report import scored_rows
from edgebrain.benchmarking.report_row import NOT_JUDGED, REFERENCE
from edgebrain.evaluation.verdict import FAIL, INCONCLUSIVE, PASS
from edgebrain.libraries import importing
from edgebrain.reporting import charts, format, provenance, tables, verdict
from edgebrain.reporting.page import Page, PageReport, PageRow

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).with_name("templates")
# The plot is made twice, and the style sheet shows the one that fits.
WIDE_PX, NARROW_PX = 1040, 350
# Verdicts are labelled in text, not by colour alone: the mark and the colour only help the eye.
MARKS = {PASS: "pass", FAIL: "fail", INCONCLUSIVE: "open", REFERENCE: "none", NOT_JUDGED: "none"}


def environment(escape: bool) -> Environment:
    """The template engine; a name that a template does not know is an error.

    Args:
        escape: Whether texts are escaped, as HTML needs it.

    Raises:
        MissingExtra: Jinja2 is not installed.
    """
    with importing("jinja2", "bench", "the report's page"):
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=escape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def as_html(page: Page) -> str:
    """The page as HTML, light and dark, for a screen, a phone and paper.

    Raises:
        MissingExtra: Jinja2 is not installed.
    """
    template = environment(escape=True).get_template("page.html")
    return template.render(
        page=page,
        charts=charts,
        tables=tables,
        provenance=provenance,
        verdict=verdict,
        text=format,
        marks=MARKS,
        widths=(WIDE_PX, NARROW_PX),
        compared=_compared,
        headline_first=_headline_first,
        scored=scored_rows,
    )


def _compared(report: PageReport) -> Sequence[PageRow]:
    """The float root and the headline bundle; the bundle alone where its root is not here."""
    row = report.headline_row
    parent = report.parent_of(row)
    rows = [row] if parent is None else [parent, row]
    return [one for one in rows if one.reliability is not None]


def _headline_first(report: PageReport) -> Sequence[PageRow]:
    """The bundles that were compared with their float root, the one that the page is about before the others."""
    rows = [row for row in scored_rows(report.rows) if row.verdict.comparisons]
    return sorted(rows, key=lambda row: row.images != report.headline_row.images)
