"""The formats of a report, each a function from the page to text, and which files they may replace."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from edgebrain.errors import CannotWrite
from edgebrain.files import canonical_json
from edgebrain.reporting import format, verdict
from edgebrain.reporting.html import as_html, environment
from edgebrain.reporting.junit import as_junit
from edgebrain.reporting.markdown import as_markdown
from edgebrain.reporting.mlperf import as_text
from edgebrain.reporting.page import GENERATOR, Page
from edgebrain.settings import as_builtins

# How each format begins. The model card is not among them: a person fills in what it leaves empty.
SIGNATURES = (
    f'<meta name="generator" content="{GENERATOR} ',
    f'{{\n "generator": "{GENERATOR}"',
    f"<!-- {GENERATOR} ",
    f'<testsuites name="{GENERATOR}"',
    f"MLPerf's fields, as {GENERATOR} gives them",
)
SIGNED_WITHIN = 256
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


def refuse_unless_ours(paths: Iterable[Path], force: bool) -> None:
    """Refuse to replace files that are no earlier reports.

    Args:
        paths: Files to be written.
        force: Replace them in any case.

    Raises:
        CannotWrite: A file is in the way that may hold a person's work.
    """
    for path in paths:
        if not force and path.exists() and not _is_ours(path):
            raise CannotWrite(
                f"{path}: already exists, and may hold what a person wrote", "choose another name, or pass --force"
            )


def _is_ours(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        start = stream.read(SIGNED_WITHIN)
    return any(signature.encode() in start for signature in SIGNATURES)
