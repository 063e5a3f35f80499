"""The page as Markdown: the same tables, without plots and pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from edgebrain.benchmarking.report import scored_rows
from edgebrain.reporting import provenance, tables, verdict
from edgebrain.reporting.format import markdown_lines, percent
from edgebrain.reporting.page import GENERATOR, Audit, Layers, Page, PageReport, Training
from edgebrain.reporting.tables import Cell, Table


def as_markdown(page: Page) -> str:
    """The page as Markdown text."""
    lines = [f"<!-- {GENERATOR} {page.version} -->", "Research software, not a medical device.", ""]
    for one in page.left_out:
        lines += [f"- left out: {_text(one.message)} ({_text(one.hint)})"]
    for report in page.reports:
        lines += [*_report(report), ""]
    return "\n".join(lines)


def _report(report: PageReport) -> Iterator[str]:
    row = report.headline_row
    rows = scored_rows(report.rows)
    yield f"# {row.verdict.outcome}: {_text(row.bundle)} on {_text(report.machine)}"
    yield from ("", _text(verdict.reason(row)), "", f"Chosen so: {report.headline.rule}.", "")
    yield from (f"- {_text(line)}" for line in [*verdict.verdict_lines(rows), *(note.text for note in report.notes)])
    yield ""
    yield from _section("Speed and size", tables.speed(report))
    if (batched := tables.throughput(report)) is not None:
        yield from _section("Several slices a call", batched)
    yield from _section("Quality", tables.quality(report))
    best = [_text(one.bundle) for one in report.rows if one.on_frontier]
    yield from ("## Latency against Dice", "", f"No other is both faster and better: {', '.join(best) or 'none'}.", "")
    for one in rows:
        if one.verdict.comparisons:
            yield from _section(f"Drop per stratum: {one.bundle}", tables.comparisons(report, one))
    yield from _section(f"Worst slices of {report.worst.bundle}", tables.worst(report))
    yield from (f"Order: {report.worst.rule}.", "")
    for one in rows:
        yield from _section(f"Confusion matrix of {one.bundle}", tables.confusion(one))
    for one in rows:
        if one.reliability is not None:
            title = f"Class probabilities of {one.bundle}: ECE {percent(one.reliability.ece)} %"
            yield from _section(title, tables.bins(one))
    yield from _or_missing(f"Layers of {report.layers.bundle}", report.layers, tables.layers, report)
    yield from _or_missing("What the run recorded", report.training, provenance.training, report)
    yield from _or_missing("What the data audit found", report.audit, provenance.findings, report)
    if report.audit.copy_baselines:
        yield from _section("What copying the nearest training slice scores", provenance.copying(report))
    yield from _section("Environment", provenance.environment(report))
    yield from _section("Lineage", provenance.lineage(report))


def _or_missing(
    title: str, part: Layers | Training | Audit, table: Callable[[PageReport], Table], report: PageReport
) -> Iterator[str]:
    """A section, or why it is empty and what fills it."""
    if part.missing is None:
        yield from _section(title, table(report))
        return
    yield from (f"## {_text(title)}", "", f"Not here: {_text(part.missing.what)}.", "")
    yield from (f"    {part.missing.way_out}", "")


def _section(title: str, table: Table) -> Iterator[str]:
    yield from (f"## {_text(title)}", "")
    if table.caption:
        yield from (table.caption, "")
    yield from markdown_lines(_all(table.heads), [_all(row) for row in table.rows])
    yield ""


def _all(cells: Sequence[Cell]) -> list[str]:
    return [_text(str(cell)) for cell in cells]


def _text(text: str) -> str:
    """Text that Markdown does not take for a tag, on one line."""
    return " ".join(text.replace("&", "&amp;").replace("<", "&lt;").split())
