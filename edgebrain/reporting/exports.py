"""The formats of a report, each a function from the page to text."""

from __future__ import annotations

from collections.abc import Callable

from edgebrain.files import canonical_json
from edgebrain.reporting import format, verdict
from edgebrain.reporting.html import as_html, environment
from edgebrain.reporting.junit import as_junit
from edgebrain.reporting.markdown import as_markdown
from edgebrain.reporting.mlperf import as_text
from edgebrain.reporting.page import GENERATOR, Page
from edgebrain.settings import as_builtins

EMPTY = "not stated"


def as_json(page: Page) -> str:
    """The page as JSON text, see docs/report-schema.md."""
    return canonical_json(as_builtins(page))


def as_model_card(page: Page) -> str:
    """A model card as Hugging Face reads it, with a CLAIM 2024 and TRIPOD+AI skeleton, of the first headline bundle.

    Every figure is the report's. What nobody measured or stated stays visibly empty, because a reader takes silence
    for no problem.

    Returns:
        Markdown with a YAML head.

    Raises:
        MissingExtra: Jinja2 is not installed.
    """
    report = page.reports[0]
    row = report.headline_row
    template = environment(escape=False).get_template("model_card.md")
    return template.render(
        generator=f"{GENERATOR} {page.version}",
        report=report,
        row=row,
        parent=report.parent_of(row),
        made=next(one for one in report.lineage if one.manifest_sha256 == row.manifest_sha256),
        judged=verdict.judged(row),
        verdict=verdict,
        text=format,
        empty=EMPTY,
    )


WRITERS: dict[str, Callable[[Page], str]] = {
    "html": as_html,
    "json": as_json,
    "markdown": as_markdown,
    "junit": as_junit,
    "model card": as_model_card,
    "mlperf": as_text,
}
