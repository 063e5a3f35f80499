"""The verdicts as JUnit XML, which CI systems show as tests: a suite a bundle, a case a question.

FAIL is a failure. INCONCLUSIVE is skipped, with the number of groups that would settle it: it is neither a success nor
a reason to stop.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from edgebrain.benchmarking.judge import NOT_JUDGED
from edgebrain.evaluation.verdict import FAIL, INCONCLUSIVE
from edgebrain.reporting import verdict
from edgebrain.reporting.schema import GENERATOR
from edgebrain.reporting.table import judged_once, milliseconds

Row = Mapping[str, Any]
HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'


def as_junit(page: Mapping[str, Any]) -> str:
    """The page as JUnit XML text. The float root is the reference, and no test."""
    root = Element("testsuites", name=GENERATOR)
    for report in page["reports"]:
        for row in judged_once({"results": report["rows"]}):
            if row["verdict"]["comparisons"] or row["verdict"]["outcome"] == NOT_JUDGED:
                _suite(root, report, row)
    _count(root)
    indent(root, " ")
    return HEAD + tostring(root, encoding="unicode") + "\n"


def _suite(root: Element, report: Mapping[str, Any], row: Row) -> None:
    where = f"{row['target']}, {row['threads']} threads, {report['machine']}"
    suite = SubElement(root, "testsuite", name=_plain(f"{row['bundle']} on {where}"))
    properties = SubElement(suite, "properties")
    facts = {
        "machine": report["machine"],
        "data": f"{report['data']['path']}, {report['data']['split']} side, {report['data']['slices']} slices",
        "suite": f"{report['suite']['name']}, SHA-256 {report['suite']['sha256']}",
        "manifest_sha256": row["manifest_sha256"],
        "p50_ms": milliseconds(row["latency_ms"]["p50"]),
    }
    for name, value in facts.items():
        SubElement(properties, "property", name=name, value=_plain(str(value)))
    for question, tag, message in _cases(row):
        case = SubElement(
            suite, "testcase", name=_plain(question), classname=_plain(f"{row['bundle']}.{row['target']}")
        )
        if tag:
            SubElement(case, tag, message=_plain(message))
    _count(suite)


def _cases(row: Row) -> Iterator[tuple[str, str, str]]:
    """Question, tag of the outcome (empty for PASS) and message."""
    found = row["verdict"]
    if found["reason"]:
        yield "verdict", "failure" if found["outcome"] == FAIL else "skipped", f"{found['outcome']}: {found['reason']}"
    for one in found["comparisons"]:
        if one["outcome"] is None:
            continue
        told = f"{verdict.drop(one)} lost ({verdict.interval(one)}), {verdict.margin(one)} allowed"
        if one["outcome"] == INCONCLUSIVE:
            yield verdict.question(one), "skipped", f"{verdict.answer(one)}, {one['groups']} here: {told}"
        else:
            yield verdict.question(one), "failure" if one["outcome"] == FAIL else "", f"{one['outcome']}: {told}"


def _count(element: Element) -> None:
    """Write how many cases an element holds, and how they ended."""
    element.set("tests", str(len(list(element.iter("testcase")))))
    element.set("failures", str(len(list(element.iter("failure")))))
    element.set("errors", "0")
    element.set("skipped", str(len(list(element.iter("skipped")))))


def _plain(text: str) -> str:
    """Text without the control characters that XML cannot hold."""
    return "".join(character for character in text if character.isprintable())
