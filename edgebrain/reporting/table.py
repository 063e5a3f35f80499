"""Numbers into text: the bench's tables, for the terminal (80 columns) and as Markdown. The only place that rounds.

A speed never stands without its spread, nor an int8 score without the drop against its float parent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from operator import itemgetter
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from edgebrain.benchmarking.schema import machines
from edgebrain.reporting import verdict

WIDTH = 80
UNKNOWN = "-"
Row = Mapping[str, Any]
Column = tuple[str, Callable[[Any], str]]
# Title, columns, rows: what each row is, its columns know.
Drawn = tuple[str, list[Column], list[Any]]


def show(report: Mapping[str, Any], console: Console | None = None) -> None:
    """Print a bench report: speed, quality, the verdict's table, the notes, and a line for each verdict at the end."""
    screen = console or Console(width=WIDTH)
    for title, columns, rows in [*_tables(report), *map(_verdict_overview, _by_target(report))]:
        if rows:
            screen.print(_rich(title, columns, rows))
    for line in [*_legend(report), *report["notes"], "", *verdict.verdict_lines(judged_once(report))]:
        screen.print(line, markup=False, highlight=False)


def print_table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table of texts."""
    columns: list[Column] = [(head, itemgetter(place)) for place, head in enumerate(heads)]
    Console(width=WIDTH).print(_rich(title, columns, rows))


def as_markdown(report: Mapping[str, Any]) -> str:
    """A bench report as Markdown text; the verdicts first, and with every stratum."""
    parts = ["# Bench", "", *(f"- {line}" for line in verdict.verdict_lines(judged_once(report))), ""]
    for title, columns, rows in [*_tables(report), *map(_verdict_details, _by_target(report))]:
        cells = [[cell(row) for _, cell in columns] for row in rows]
        heads = [head.replace("\n", " ") for head, _ in columns]
        parts += [f"## {title}", "", *markdown_lines(heads, cells), ""]
    parts += [f"- {line}" for line in [*_legend(report), *report["notes"]]]
    return "\n".join(parts) + "\n"


def markdown_lines(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table, a line each; a bar in a cell is no border."""
    lines = (heads, ["---"] * len(heads), *rows)
    return ["| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines]


def speedups(report: Mapping[str, Any]) -> dict[int, float]:
    """Row number -> how many times faster (lower quartile) than the float32 row of the same format, parent and threads.

    The lower quartile, because a busy machine moves it least.
    """
    floats = {_partner(row): row for row in report["results"] if row["precision"] == "float32"}
    found = {}
    for place, row in enumerate(report["results"]):
        partner = floats.get(_partner(row))
        fast, slow = row["latency_ms"]["p25"], partner and partner["latency_ms"]["p25"]
        if partner is not row and fast and slow:
            found[place] = slow / fast
    return found


def milliseconds(value: float | None) -> str:
    """A duration in ms, three figures."""
    return UNKNOWN if value is None else f"{value:.2f}" if value < 100 else f"{value:.0f}"


def per_second(value: float) -> str:
    """A rate: three figures, or all before the point."""
    return f"{value:.3g}" if value < 100 else f"{value:,.0f}"


def mebibytes(size_bytes: float | None) -> str:
    """A size in MiB, two decimals."""
    return UNKNOWN if size_bytes is None else f"{size_bytes / 2**20:.2f}"


def score(value: float | None) -> str:
    """A figure between 0 and 1, four decimals."""
    return UNKNOWN if value is None else f"{value:.4f}"


def points(value: float | None) -> str:
    """A drop in points (hundredths): 0.012 is 1.20."""
    # Adding zero turns the minus zero of a tiny gain into zero.
    return UNKNOWN if value is None else f"{round(100 * value, 2) + 0.0:.2f}"


def percent(value: float | None) -> str:
    """A share in percent, one decimal."""
    return UNKNOWN if value is None else f"{100 * value:.1f}"


def _tables(report: Mapping[str, Any]) -> list[Drawn]:
    faster = {id(report["results"][place]): ratio for place, ratio in speedups(report).items()}
    shared = _prefix(report)
    named = f" of {shared}..." if shared else ""
    speed: list[Column] = [
        ("bundle", lambda row: str(row["bundle"]).removeprefix(shared)),
        ("ran as", lambda row: f"{row['runs']['engine']} {_short(row['runs']['precision'])}"),
        ("thr", lambda row: str(row["threads"])),
        ("MiB", lambda row: mebibytes(row["size_bytes"])),
        ("p50\nms", lambda row: milliseconds(row["latency_ms"]["p50"])),
        ("p90\nms", lambda row: milliseconds(row["latency_ms"]["p90"])),
        ("p99\nms", lambda row: milliseconds(row["latency_ms"]["p99"])),
        ("x f32", lambda row: f"{faster[id(row)]:.1f}" if id(row) in faster else UNKNOWN),
        ("RSS\nMiB", lambda row: UNKNOWN if row["peak_rss_mib"] is None else f"{row['peak_rss_mib']:.0f}"),
    ]
    quality: list[Column] = [
        ("bundle", lambda row: str(row["bundle"]).removeprefix(shared)),
        ("Dice", lambda row: score(row["dice"])),
        ("drop\npoints", lambda row: points(row["drop"]["dice"])),
        ("Dice by\nslice", lambda row: score(row["slice_means"].get("dice"))),
        ("IoU", lambda row: score(row["iou"])),
        ("class\nacc.", lambda row: score(row["accuracy"])),
        ("drop\npoints", lambda row: points(row["drop"]["accuracy"])),
        ("healthy\nmarked %", lambda row: percent(row["healthy_marked"])),
    ]
    # Of the drop on another machine, what the machine has added.
    device: Column = ("device\npoints", lambda row: points((row.get("device_drop") or {}).get("dice")))
    tables: list[Drawn] = []
    parts = _by_target(report)
    for part in parts:
        if timed := [row for row in part["results"] if row["queries"]]:
            tables.append((f"Speed{_on(part)}{named}", speed, timed))
    for part in parts:
        there = any(row.get("device_drop") for row in part["results"])
        columns = [*quality[:3], device, *quality[3:4], *quality[5:]] if there else quality
        tables.append((f"Quality{_on(part)}{named}", columns, judged_once(part)))
    for part in parts:
        if together := [row for row in part["results"] if row.get("throughput")]:
            tables.append((f"Throughput{_on(part)}{named}", [*speed[:3], *_batches(together)], together))
    return tables


def _batches(rows: Sequence[Row]) -> list[Column]:
    """For each batch size slices a second, and of how many slices the answer is not that of one alone."""
    sizes = sorted({entry["batch"] for row in rows for entry in row["throughput"]})

    def told(key: str, size: int, text: Callable[[Any], str], row: Row) -> str:
        return next((text(entry[key]) for entry in row["throughput"] if entry["batch"] == size), UNKNOWN)

    rates: list[Column] = [
        (f"batch {size}\nslices/s", partial(told, "slices_per_s", size, per_second)) for size in sizes
    ]
    others: list[Column] = [(f"other\nat {size}", partial(told, "slices_differing", size, str)) for size in sizes]
    return [*rates, *others]


def _verdict_overview(report: Mapping[str, Any]) -> Drawn:
    """A row for each bundle that was judged; of the strata the worst one."""
    shared = _prefix(report)
    rows = [row for row in judged_once(report) if row["verdict"]["comparisons"]]
    columns: list[Column] = [("bundle", lambda row: str(row["bundle"]).removeprefix(shared))]
    for place, one in enumerate(verdict.judged(rows[0]) if rows else []):
        head = f"{verdict.question(one)}\nmargin {verdict.margin(one)}"
        columns.append((head, partial(verdict.nth_judged, place)))
    columns.append(("worst stratum", verdict.worst_stratum))
    return f"Verdict{_on(report)}: points lost, with the interval; ? is INCONCLUSIVE", columns, rows


def _verdict_details(report: Mapping[str, Any]) -> Drawn:
    """A row for each question, with every stratum and the figures that are only told."""
    columns: list[Column] = [
        ("bundle", lambda line: line[0]),
        ("question", lambda line: verdict.question(line[1])),
        ("groups", lambda line: str(line[1]["groups"])),
        ("drop in points", lambda line: verdict.drop(line[1])),
        ("interval", lambda line: verdict.interval(line[1])),
        ("margin", lambda line: verdict.margin(line[1])),
        ("outcome", lambda line: verdict.answer(line[1])),
    ]
    lines = [(str(row["bundle"]), one) for row in judged_once(report) for one in row["verdict"]["comparisons"]]
    return f"Verdict{_on(report)}", columns, lines


def shared_prefix(names: Sequence[str]) -> str:
    """What all names begin with, up to a hyphen: a run's name, which would fill the column; empty for a single name."""
    parts = names[0].split("-") if len(set(names)) > 1 else []
    prefixes = ("-".join(parts[:count]) + "-" for count in range(len(parts) - 1, 0, -1))
    return next((prefix for prefix in prefixes if all(name.startswith(prefix) for name in names)), "")


def judged_once(report: Mapping[str, Any]) -> list[Row]:
    """One row a bundle, and another for a thread count that changed what the bundle answers."""
    return list({row["images"]: row for row in reversed(report["results"])}.values())[::-1]


def _legend(report: Mapping[str, Any]) -> list[str]:
    protocol, data, suite = (report[key] for key in ("protocol", "data", "suite"))
    return [
        f"{' '.join(_machine_lines(report))} {protocol['queries']} queries of one slice in {protocol['rounds']} "
        "interleaved rounds; ms: slice in memory to mask and class.",
        f"{data['slices']} slices, split {data.get('split', UNKNOWN)}. Quality: means over groups (a patient, or the "
        "copies of one picture); by slice: every slice counts once. x f32: times as fast as float32 on the same "
        "runtime, by lower quartile; p90 and p99: upper bounds (MLPerf's early stopping rule).",
        *([data["left_out"]] if data.get("left_out") else []),
        *_of_throughput(report),
        f"Suite {suite['name']} ({suite['source']}): intervals hold at {100 * suite['sampling']['confidence']:g} %, "
        "those of the strata together (Bonferroni). PASS: inside the margin.",
    ]


def _of_throughput(report: Mapping[str, Any]) -> list[str]:
    """What the figures of several slices a call are, where there are any."""
    if not any(row.get("throughput") for row in report["results"]):
        return []
    return [
        "slices/s: slices in memory to masks and classes, a batch in one call of the engine; other: slices whose raw "
        "outputs are not those that were scored."
    ]


def _machine_lines(report: Mapping[str, Any]) -> list[str]:
    """The machine of each target; its name before it where there are others."""
    found = machines(report)
    emulated = {row["target"] for row in report["results"] if row.get("emulated")}
    lines = []
    for target, machine in found.items():
        who = f"{machine['board'] or ''} {machine['cpu'] or machine['machine']}" if target != "cpu" else machine["cpu"]
        name = f"{target}: " if list(found) != ["cpu"] else ""
        note = ", emulated: no duration is told" if target in emulated else ""
        lines.append(f"{name}{(who or machine['machine']).strip()}, {machine['cores_usable']} cores{note}.")
    return lines


def _rich(title: str, columns: Sequence[Column], rows: Sequence[Any]) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 0, 0, 1), pad_edge=False)
    for place, (head, _) in enumerate(columns):
        table.add_column(head, justify="left" if place == 0 else "right", overflow="fold", no_wrap=place > 0)
    for row in rows:
        table.add_row(*(cell(row) for _, cell in columns))
    return table


def _partner(row: Row) -> tuple[Any, ...]:
    return row["format"], row["float_parent"], row["target"], row["threads"], row["parameters"]


def _by_target(report: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The report of each target, so that no figure stands under another machine's; with its name in the titles."""
    targets = list(dict.fromkeys(row["target"] for row in report["results"]))
    if targets in ([], ["cpu"]):
        return [report]
    shared = _prefix(report)
    return [
        {
            **report,
            "on": target,
            "prefix": shared,
            "results": [row for row in report["results"] if row["target"] == target],
        }
        for target in targets
    ]


def _prefix(report: Mapping[str, Any]) -> str:
    """What all bundles' names begin with, in the report that this is a part of."""
    names = [str(row["bundle"]) for row in report["results"]]
    return str(report["prefix"]) if "prefix" in report else shared_prefix(names)


def _on(part: Mapping[str, Any]) -> str:
    """What the title of a target's table says of it."""
    emulated = any(row.get("emulated") for row in part["results"])
    return f" on {part['on']}{' (emulated)' if emulated else ''}" if "on" in part else ""


def _short(precision: str) -> str:
    return precision.replace("float", "f")
