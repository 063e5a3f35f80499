"""The verdicts as JUnit XML, which CI systems show as tests: a suite a bundle, a case a question.

FAIL is a failure. INCONCLUSIVE is skipped, with the number of groups that would settle it: it is neither a success nor
a reason to stop.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from edgebrain.benchmarking.report import scored_rows
from edgebrain.benchmarking.report_row import NOT_JUDGED
from edgebrain.evaluation.verdict import FAIL, INCONCLUSIVE, PASS
from edgebrain.libraries import importing
from edgebrain.reporting import verdict
from edgebrain.reporting.format import milliseconds
from edgebrain.reporting.page import GENERATOR, Page, PageReport, PageRow

if TYPE_CHECKING:
    from junitparser import TestSuite

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
# Question, outcome and message of a test case.
Case = tuple[str, str, str]


def as_junit(page: Page) -> str:
    """The page as JUnit XML text. The float root is the reference, and no test.

    Raises:
        MissingExtra: junitparser is not installed.
    """
    with importing("junitparser", "bench", "the report as JUnit XML"):
        from junitparser import JUnitXml
    whole = JUnitXml(GENERATOR)
    for report in page.reports:
        for row in scored_rows(report.rows):
            if row.verdict.comparisons or row.verdict.outcome == NOT_JUDGED:
                whole.add_testsuite(_suite(report, row))
    whole.update_statistics()  # type: ignore[no-untyped-call]
    text = whole.tostring().decode()  # type: ignore[no-untyped-call]
    return f"{HEAD}{text}\n"


def _suite(report: PageReport, row: PageRow) -> TestSuite:
    from junitparser import Failure, Skipped, TestCase, TestSuite

    suite = TestSuite(_printable(f"{row.bundle} on {row.target}, {row.threads} threads, {report.machine}"))
    facts = {
        "machine": report.machine,
        "data": f"{report.data.path}, {report.data.split} side, {report.data.slices} slices",
        "suite": f"{report.suite.name}, SHA-256 {report.suite.sha256}",
        "manifest_sha256": row.manifest_sha256,
        "p50_ms": milliseconds(row.latency_ms.p50),
    }
    for name, value in facts.items():
        suite.add_property(name, _printable(value))
    for question, outcome, message in _cases(row):
        case = TestCase(_printable(question), _printable(f"{row.bundle}.{row.target}"))
        if outcome != PASS:
            case.result = [(Failure if outcome == FAIL else Skipped)(_printable(message))]
        suite.add_testcase(case)
    return suite


def _cases(row: PageRow) -> Iterator[Case]:
    found = row.verdict
    if found.reason:
        yield "verdict", found.outcome, f"{found.outcome}: {found.reason}"
    for one in found.comparisons:
        lost = f"{verdict.drop(one)} lost ({verdict.interval(one)}), {verdict.margin(one)} allowed"
        if one.outcome == INCONCLUSIVE:
            yield verdict.question(one), one.outcome, f"{verdict.answer(one)}, {one.groups} here: {lost}"
        elif one.outcome is not None:
            yield verdict.question(one), one.outcome, f"{one.outcome}: {lost}"


def _printable(text: str) -> str:
    """Text without the control characters that XML cannot hold."""
    return "".join(character for character in text if character.isprintable())
