"""The audit's tables for the terminal: worst first, within 80 columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import wrap

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from edgebrain.auditing.finding import Finding
from edgebrain.auditing.leakage import CopyFigures
from edgebrain.auditing.run import Audit
from edgebrain.auditing.shortcuts import Shortcut
from edgebrain.reporting.format import UNKNOWN, score

WIDTH, EXAMPLES = 80, 3


def print_audit(found: Audit) -> None:
    """Print an audit on stdout."""
    screen = Console(width=WIDTH, highlight=False, markup=False)
    for line in _overview(found):
        screen.print(line)
    if found.findings:
        screen.print(_findings(found.findings))
        for line in _examples(found.findings):
            # Names are never wrapped, so that they can be copied.
            screen.print(line, soft_wrap=True)
        screen.print()
    else:
        screen.print("nothing was found")
    if found.baselines is not None:
        screen.print(_baselines(found.baselines))
    if found.shortcuts:
        screen.print(_shortcuts(found.shortcuts))
    for line in found.notes:
        screen.print(f"note: {line}")


def _overview(found: Audit) -> list[str]:
    sides = ", ".join(f"{side} {count}" for side, count in found.sides.items()) or "none"
    return [
        f"{found.listing.root}: {len(found.listing.records)} slices, laid out as {found.listing.kind}",
        f"sides: {sides}; groups: {len(set(found.groups))}",
    ]


def _findings(findings: Sequence[Finding]) -> Table:
    table = _table("Findings, worst first", ("level", "finding", "count", "in"), right=(2,))
    for finding in findings:
        table.add_row(finding.level, finding.title, str(finding.count), finding.unit)
    return table


def _examples(findings: Sequence[Finding]) -> Iterator[str]:
    """Up to three examples of each finding; advice that several share is printed once."""
    given: set[str] = set()
    for finding in findings:
        yield f"{finding.title}: {finding.count} {finding.unit}"
        details = finding.details or ("",) * len(finding.items)
        for names, detail in list(zip(finding.items, details, strict=True))[:EXAMPLES]:
            yield from _example(names, detail)
        if finding.advice not in given:
            yield from wrap(finding.advice, WIDTH, initial_indent="  -> ", subsequent_indent="     ")
        given.add(finding.advice)


def _example(names: Sequence[str], detail: str) -> list[str]:
    """On one line where it fits, else a line a name."""
    tail = f"  ({detail})" if detail else ""
    line = f"  {' = '.join(names)}{tail}"
    if len(line) <= WIDTH:
        return [line]
    return (
        [f"  {names[0]}", *(f"    = {name}" for name in names[1:-1]), f"    = {names[-1]}{tail}"]
        if names[1:]
        else [line]
    )


def _baselines(figures: Sequence[CopyFigures]) -> Table:
    heads = ("test slices", "n", "1-NN acc.", "with mask", "copied Dice")
    table = _table("Scores of copying the nearest training slice", heads, right=(1, 2, 3, 4))
    for one in figures:
        table.add_row(one.part, str(one.slices), score(one.accuracy), str(one.masks), score(one.dice))
    return table


def _shortcuts(found: Sequence[Shortcut]) -> Table:
    heads = ("predicted from", "accuracy", "majority", "tumour?", "majority", "")
    table = _table("Classes predicted without the picture (5 folds by group)", heads, right=(1, 2, 3, 4))
    for one in found:
        binary = (score(one.tumour_accuracy), score(one.tumour_majority))
        table.add_row(
            one.fact, score(one.accuracy), score(one.majority), *binary, "shortcut" if one.is_shortcut else UNKNOWN
        )
    return table


def _table(title: str, heads: Sequence[str], right: Sequence[int]) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for index, head in enumerate(heads):
        table.add_column(head, justify="right" if index in right else "left", overflow="fold")
    return table
