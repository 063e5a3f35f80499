"""A bench report as tables of text, for the terminal (80 columns) and as Markdown.

A speed is never given without its spread, nor an int8 score without the drop against its float parent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from edgebrain.benchmarking.report import Report, scored_rows
from edgebrain.benchmarking.report_environment import Environment
from edgebrain.benchmarking.report_row import Row, RowFigures
from edgebrain.evaluation.verdict import Comparison
from edgebrain.reporting import verdict
from edgebrain.reporting.format import (
    UNKNOWN,
    markdown_lines,
    mebibytes,
    milliseconds,
    per_second,
    percent,
    points,
    score,
    shared_prefix,
    short_precision,
    whole,
)

Column = tuple[str, Callable[[Any], str]]
Judged = tuple[str, Comparison]


@dataclass(frozen=True)
class TextTable:
    """A table whose columns turn a row into text.

    Attributes:
        title: Its title.
        columns: Head, which may have two lines, and function that gives the cell of a row.
        rows: What each row is, its columns know.
    """

    title: str
    columns: list[Column]
    rows: Sequence[Any]


@dataclass(frozen=True)
class _Part:
    """The rows of one target. title: what the titles of its tables say of it. prefix: what all names begin with."""

    report: Report
    rows: tuple[Row, ...]
    title: str
    prefix: str

    def short(self, row: RowFigures) -> str:
        return row.bundle.removeprefix(self.prefix)


def overview_tables(report: Report) -> list[TextTable]:
    """Speed, quality, throughput and verdicts of each target; of the strata the worst one."""
    return [*_figures(report), *map(_verdict_overview, _parts(report))]


def detail_tables(report: Report) -> list[TextTable]:
    """The same with every question of the verdict."""
    return [*_figures(report), *map(_verdict_details, _parts(report))]


def as_markdown(report: Report) -> str:
    """A bench report as Markdown text; the verdicts first, and with every stratum."""
    parts = ["# Bench", "", *(f"- {line}" for line in verdict.verdict_lines(scored_rows(report.results))), ""]
    for table in detail_tables(report):
        cells = [[cell(row) for _, cell in table.columns] for row in table.rows]
        heads = [head.replace("\n", " ") for head, _ in table.columns]
        parts += [f"## {table.title}", "", *markdown_lines(heads, cells), ""]
    parts += [f"- {line}" for line in [*legend(report), *(note.text for note in report.notes)]]
    return "\n".join(parts) + "\n"


def speedups(report: Report) -> dict[int, float]:
    """Index of a row -> how many times faster it is than the float32 row of the same format, parent and threads.

    Lower quartiles are compared, because a busy machine moves them least.
    """
    floats = {_float_key(row): row for row in report.results if row.precision == "float32"}
    found = {}
    for index, row in enumerate(report.results):
        partner = floats.get(_float_key(row))
        fast, slow = row.latency_ms.p25, partner and partner.latency_ms.p25
        if partner is not row and fast and slow:
            found[index] = slow / fast
    return found


def legend(report: Report) -> list[str]:
    """What the columns mean, and under which conditions they were measured."""
    protocol, data, suite = report.protocol, report.data, report.suite
    return [
        f"{' '.join(_machine_lines(report))} {protocol.queries} queries of one slice in {protocol.rounds} "
        "interleaved rounds; ms: slice in memory to mask and class.",
        f"{data.slices} slices, split {data.split or UNKNOWN}. Quality: means over groups (a patient, or the "
        "copies of one picture); by slice: every slice counts once. x f32: times as fast as float32 on the same "
        "runtime, by lower quartile; p90 and p99: upper bounds (MLPerf's early stopping rule).",
        *([data.left_out] if data.left_out else []),
        *_throughput_legend(report),
        f"Suite {suite.name} ({suite.source}): intervals hold at {100 * suite.sampling.confidence:g} %, "
        "those of the strata together (Bonferroni). PASS: inside the margin.",
    ]


def _figures(report: Report) -> list[TextTable]:
    faster = {id(report.results[index]): ratio for index, ratio in speedups(report).items()}
    parts = _parts(report)
    tables = []
    for part in parts:
        if timed := [row for row in part.rows if row.queries]:
            tables.append(TextTable(f"Speed{_on(part)}", _speed_columns(part, faster), timed))
    tables += [TextTable(f"Quality{_on(part)}", _quality_columns(part), scored_rows(part.rows)) for part in parts]
    for part in parts:
        if batched := [row for row in part.rows if row.throughput]:
            columns = [*_speed_columns(part, faster)[:3], *_batch_columns(batched)]
            tables.append(TextTable(f"Throughput{_on(part)}", columns, batched))
    return tables


def _on(part: _Part) -> str:
    return f"{part.title}{f' of {part.prefix}...' if part.prefix else ''}"


def _speed_columns(part: _Part, faster: dict[int, float]) -> list[Column]:
    return [
        ("bundle", part.short),
        ("ran as", lambda row: f"{row.runs['engine']} {short_precision(row.runs['precision'])}"),
        ("thr", lambda row: str(row.threads)),
        ("MiB", lambda row: mebibytes(row.size_bytes)),
        ("p50\nms", lambda row: milliseconds(row.latency_ms.p50)),
        ("p90\nms", lambda row: milliseconds(row.latency_ms.p90)),
        ("p99\nms", lambda row: milliseconds(row.latency_ms.p99)),
        ("x f32", lambda row: f"{faster[id(row)]:.1f}" if id(row) in faster else UNKNOWN),
        ("RSS\nMiB", lambda row: whole(row.peak_rss_mib)),
    ]


def _quality_columns(part: _Part) -> list[Column]:
    columns: list[Column] = [
        ("bundle", part.short),
        ("Dice", lambda row: score(row.dice)),
        ("drop\npoints", lambda row: points(row.drop.dice)),
        ("Dice by\nslice", lambda row: score(row.slice_means.get("dice"))),
        ("IoU", lambda row: score(row.iou)),
        ("class\nacc.", lambda row: score(row.accuracy)),
        ("drop\npoints", lambda row: points(row.drop.accuracy)),
        ("healthy\nmarked %", lambda row: percent(row.healthy_marked)),
    ]
    if not any(row.device_drop for row in part.rows):
        return columns
    # Of the drop on another machine, what the machine has added; the IoU makes room for it.
    device: Column = ("device\npoints", lambda row: points(row.device_drop and row.device_drop.dice))
    return [*columns[:3], device, *columns[3:4], *columns[5:]]


def _batch_columns(rows: Sequence[Row]) -> list[Column]:
    """For each batch size slices a second, and of how many slices the answer is not that of one alone."""
    sizes = sorted({entry.batch for row in rows for entry in row.throughput})

    def cell(key: str, size: int, text: Callable[[Any], str], row: Row) -> str:
        return next((text(getattr(entry, key)) for entry in row.throughput if entry.batch == size), UNKNOWN)

    rates: list[Column] = [
        (f"batch {size}\nslices/s", partial(cell, "slices_per_s", size, per_second)) for size in sizes
    ]
    others: list[Column] = [(f"other\nat {size}", partial(cell, "slices_differing", size, str)) for size in sizes]
    return [*rates, *others]


def _verdict_overview(part: _Part) -> TextTable:
    """A row for each bundle that was judged; of the strata the worst one."""
    rows = [row for row in scored_rows(part.rows) if row.verdict.comparisons]
    columns: list[Column] = [("bundle", part.short)]
    for index, one in enumerate(verdict.judged(rows[0]) if rows else []):
        head = f"{verdict.question(one)}\nmargin {verdict.margin(one)}"
        columns.append((head, partial(verdict.nth_judged, index)))
    columns.append(("worst stratum", verdict.worst_stratum))
    return TextTable(f"Verdict{part.title}: points lost, with the interval; ? is INCONCLUSIVE", columns, rows)


def _verdict_details(part: _Part) -> TextTable:
    """A row for each question, with every stratum and the figures that are given without a margin."""
    columns: list[Column] = [
        ("bundle", lambda line: line[0]),
        ("question", lambda line: verdict.question(line[1])),
        ("groups", lambda line: str(line[1].groups)),
        ("drop in points", lambda line: verdict.drop(line[1])),
        ("interval", lambda line: verdict.interval(line[1])),
        ("margin", lambda line: verdict.margin(line[1])),
        ("outcome", lambda line: verdict.answer(line[1])),
    ]
    lines: list[Judged] = [(row.bundle, one) for row in scored_rows(part.rows) for one in row.verdict.comparisons]
    return TextTable(f"Verdict{part.title}", columns, lines)


def _throughput_legend(report: Report) -> list[str]:
    """What the figures of several slices a call are, where there are any."""
    if not any(row.throughput for row in report.results):
        return []
    return [
        "slices/s: slices in memory to masks and classes, a batch in one call of the engine; other: slices whose raw "
        "outputs are not those that were scored."
    ]


def _machine_lines(report: Report) -> list[str]:
    """The machine of each target; its name before it where there are others."""
    emulated = {row.target for row in report.results if row.emulated}
    several = list(report.environments) != ["cpu"]
    lines = []
    for target, machine in report.environments.items():
        name = f"{target}: " if several else ""
        note = ", emulated: durations are left out" if target in emulated else ""
        lines.append(f"{name}{_machine_name(target, machine)}, {machine.cores_usable} cores{note}.")
    return lines


def _machine_name(target: str, machine: Environment) -> str:
    name = f"{machine.board or ''} {machine.cpu or machine.machine}" if target != "cpu" else machine.cpu
    return (name or machine.machine).strip()


def _float_key(row: Row) -> tuple[Any, ...]:
    return row.format, row.float_parent, row.target, row.threads, row.parameters


def _parts(report: Report) -> list[_Part]:
    """The rows of each target, so that no figure is listed under another machine; with its name in the titles."""
    prefix = shared_prefix([row.bundle for row in report.results]) if report.results else ""
    whole_report = _Part(report, report.results, "", prefix)
    targets = list(dict.fromkeys(row.target for row in report.results))
    if targets in ([], ["cpu"]):
        return [whole_report]
    parts = []
    for target in targets:
        rows = tuple(row for row in report.results if row.target == target)
        emulated = " (emulated)" if any(row.emulated for row in rows) else ""
        parts.append(replace(whole_report, rows=rows, title=f" on {target}{emulated}"))
    return parts
