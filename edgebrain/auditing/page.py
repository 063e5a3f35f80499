"""The audit as one HTML file: no network, no script, light and dark; example pairs are shown side by side."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape

import cv2

from edgebrain.auditing.copies import KINDS, Pair, across
from edgebrain.auditing.finding import Finding
from edgebrain.auditing.run import Audit

# 4 pairs of each of 7 kinds, within and across sides, at about 8 kB a pair: far below 3 MB.
PAIRS_SHOWN, NAMES_SHOWN = 4, 12
JPEG_QUALITY = 80
STYLE = """
:root{color-scheme:light dark;--ground:#fff;--ink:#1b1f24;--soft:#57606a;--line:#d0d7de;--leak:#b42318;--wrong:#9a5b00}
@media (prefers-color-scheme:dark){:root{--ground:#0f1216;--ink:#e6e8eb;--soft:#9aa4af;--line:#30363d;
--leak:#ff8a7a;--wrong:#f0b35a}}
body{margin:0 auto;max-width:60rem;padding:1.5rem 1rem;background:var(--ground);color:var(--ink);
font:15px/1.5 system-ui,sans-serif}
h1{font-size:1.5rem;margin:0}h2{font-size:1.15rem;margin:2rem 0 .5rem}h3{font-size:1rem;margin:1.4rem 0 .3rem}
p{margin:.3rem 0}.soft,figcaption,th{color:var(--soft)}.leak{color:var(--leak)}.wrong{color:var(--wrong)}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%}td,th{padding:.3rem .8rem .3rem 0;text-align:left;
border-bottom:1px solid var(--line);font-weight:normal}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
ul{margin:.3rem 0;padding-left:1.2rem}li,figcaption{overflow-wrap:anywhere}
.pairs{display:grid;grid-template-columns:repeat(auto-fill,minmax(17rem,1fr));gap:1rem}
figure{margin:0}figure div{display:flex;gap:2px}img{width:50%;background:#000}figcaption{font-size:.8rem}
"""


def audit_page(found: Audit) -> str:
    """The page as text."""
    root = escape(str(found.listing.root))
    parts = [
        f"<h1>Data audit</h1><p>{root}: {len(found.listing.records)} slices, {len(set(found.groups))} groups.",
        f"<p class=soft>{escape(_sides(found))}",
        "<h2>Findings, worst first</h2>",
        _table(("level", "finding", "count", ""), [_row(finding) for finding in found.findings], numbers=(2,)),
        *_figures(found),
        "<h2>Examples</h2>",
        *(_examples(found, finding) for finding in found.findings),
        *(f"<p class=soft>{escape(note)}" for note in found.notes),
    ]
    head = "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
    return f"{head}<title>Data audit</title><style>{STYLE}</style><body>" + "\n".join(parts) + "</body></html>\n"


def _sides(found: Audit) -> str:
    sides = ", ".join(f"{side} {count}" for side, count in found.sides.items()) or "no sides"
    labels = ", ".join(f"{label} {count}" for label, count in found.labels.items()) or "no classes"
    return f"{sides}; {labels}."


def _row(finding: Finding) -> tuple[str, ...]:
    level = f"<span class={finding.level}>{finding.level}</span>"
    return level, escape(finding.title), str(finding.count), escape(finding.unit)


def _figures(found: Audit) -> Iterable[str]:
    if found.baselines is not None:
        yield "<h2>What copying the nearest training slice scores here</h2>"
        copied = [
            (escape(one.part), str(one.slices), _score(one.accuracy), str(one.masks), _score(one.dice))
            for one in found.baselines
        ]
        yield _table(("test slices", "n", "1-NN accuracy", "with mask", "copied-mask Dice"), copied, (1, 2, 3, 4))
    if found.shortcuts:
        yield "<h2>Classes told without the picture</h2>"
        told = [
            (escape(one.fact), *map(_score, (one.accuracy, one.majority, one.tumour_accuracy, one.tumour_majority)))
            for one in found.shortcuts
        ]
        yield _table(("told from", "accuracy", "majority", "tumour or not", "majority"), told, (1, 2, 3, 4))


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[int]) -> str:
    def cells(tag: str, values: Sequence[str]) -> str:
        return "".join(
            f"<{tag}{' class=n' if place in numbers else ''}>{value}</{tag}>" for place, value in enumerate(values)
        )

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f"<div class=wide><table><tr>{cells('th', heads)}</tr>{body}</table></div>"


def _examples(found: Audit, finding: Finding) -> str:
    head = f"<h3>{escape(finding.title)}: {finding.count} {escape(finding.unit)}</h3>"
    head += f"<p class=soft>{escape(finding.advice)}"
    pairs = _pairs_of(found, finding)
    if pairs:
        return f"{head}<div class=pairs>{''.join(_figure(found, pair, detail) for pair, detail in pairs)}</div>"
    details = finding.details or ("",) * len(finding.items)
    lines = [
        f"<li>{escape(', '.join(names))}{escape(f' ({detail})' if detail else '')}"
        for names, detail in list(zip(finding.items, details, strict=True))[:NAMES_SHOWN]
    ]
    return f"{head}<ul>{''.join(lines)}</ul>"


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


def _figure(found: Audit, pair: Pair, detail: str) -> str:
    rows = (pair.first, pair.second)
    pictures = "".join(f"<img src='{_data_url(found, row)}' alt='{escape(found.scan.names[row])}'>" for row in rows)
    names = " = ".join(
        escape(f"{found.scan.names[row]}{_side(found, row, across(found.scan.facts, pair))}") for row in rows
    )
    what = f"{KINDS[pair.kind]}{f', {detail}' if detail else ''}"
    return f"<figure><div>{pictures}</div><figcaption>{names}<br>{escape(what)}</figcaption></figure>"


def _side(found: Audit, row: int, shown: bool) -> str:
    return f" [{found.scan.facts[row].record.folder}]" if shown else ""


def _data_url(found: Audit, row: int) -> str:
    whole, data = cv2.imencode(".jpg", found.scan.images[row], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    assert whole
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()


def _score(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
