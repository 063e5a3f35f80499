"""MLPerf's fields of a single-stream performance run, from the raw durations of a row. No MLPerf submission.

The names and their meaning are those of mlperf_log_summary.txt (github.com/mlcommons/inference, loadgen/results.cc,
LogSummary), so that what reads such a file can read this one. Where the bench does not do what MLPerf asks, the field
states it: 600 s are seldom reached, and then the result is INVALID.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from statistics import fmean

from edgebrain.benchmarking.report_row import Row
from edgebrain.reporting.page import Mlperf, MlperfChecks, Page
from edgebrain.runtime.latency import QUERIES_NEEDED, over_latency

# loadgen/mlperf.conf asks for 600 s; loadgen/test_settings.h for 100 queries by default.
MIN_DURATION_S = 600
MIN_QUERIES = 100
PERCENTILES = (50.0, 90.0, 95.0, 97.0, 99.0, 99.9)
RULE = "=" * 48


def single_stream(row: Row, machine: str) -> Mlperf:
    """The fields of one row of a bench report, durations in ns; None where fewer queries were made than it needs."""
    durations = sorted(chain.from_iterable(block.predict_ns for block in row.blocks))
    count, duration_s = len(durations), sum(durations) / 1e9
    checks = MlperfChecks(duration_s >= MIN_DURATION_S, count >= MIN_QUERIES, over_latency(count, 90) > 0)
    return Mlperf(
        sut_name=f"{row.bundle} ({row.runs.get('engine')}, {row.threads} threads) on {machine}",
        scenario="SingleStream",
        mode="PerformanceOnly",
        queries=count,
        duration_s=duration_s,
        valid=checks.all,
        satisfied=checks,
        discarded=max(0, over_latency(count, 90) - 1),
        early_stopping_90_ns=_estimate(durations, 90),
        early_stopping_99_ns=_estimate(durations, 99),
        qps_without_loadgen_overhead=1e9 / fmean(durations) if durations else None,
        min_ns=durations[0] if durations else None,
        max_ns=durations[-1] if durations else None,
        mean_ns=fmean(durations) if durations else None,
        percentiles_ns={f"{p:.2f}": durations[int(count * p / 100)] if durations else None for p in PERCENTILES},
    )


def as_text(page: Page) -> str:
    """Every row of every report, one summary after the other."""
    head = (
        "MLPerf's fields, as edgebrain report gives them; not an MLPerf submission. Latency: one slice in memory to\n"
        "mask and class; bundles take turns in blocks, so that no row ran for its duration without a pause.\n"
    )
    rows = [row.mlperf for report in page.reports for row in report.rows]
    return "\n".join([head, *(_summary(fields) for fields in rows)])


def _estimate(durations: Sequence[int], p: int) -> int | None:
    """MLPerf's early stopping estimate of a percentile: the t-th largest duration."""
    over = over_latency(len(durations), p)
    return durations[-over] if over else None


def _summary(fields: Mlperf) -> str:
    word = {True: "Yes", False: "NO"}
    satisfied, percentiles = fields.satisfied, fields.percentiles_ns
    lines = [
        *_title("MLPerf Results Summary"),
        f"SUT name : {fields.sut_name}",
        f"Scenario : {fields.scenario}",
        f"Mode     : {fields.mode}",
        f"90.0th percentile latency (ns) : {_whole(percentiles['90.00'])}",
        f"Result is : {'VALID' if fields.valid else 'INVALID'}",
        f"  Min duration satisfied : {word[satisfied.min_duration]}",
        f"  Min queries satisfied : {word[satisfied.min_queries]}",
        f"  Early stopping satisfied: {word[satisfied.early_stopping]}",
        *_recommendations(fields),
        "Early Stopping Result:",
        *_early_stopping(fields),
        "",
        *_title("Additional Stats"),
        "QPS w/ loadgen overhead         : not measured (LoadGen was not used)",
        f"QPS w/o loadgen overhead        : {_two_decimals(fields.qps_without_loadgen_overhead)}",
        "",
        f"Min latency (ns)                : {_whole(fields.min_ns)}",
        f"Max latency (ns)                : {_whole(fields.max_ns)}",
        f"Mean latency (ns)               : {_whole(fields.mean_ns)}",
        *(f"{p} percentile latency (ns)   : {_whole(value)}" for p, value in percentiles.items()),
        "",
        *_title("Test Parameters Used"),
        "samples_per_query : 1",
        f"min_duration (ms): {1000 * MIN_DURATION_S}",
        f"min_query_count : {MIN_QUERIES}",
        f"query_count : {fields.queries}",
        f"duration (ms): {1000 * fields.duration_s:.0f}",
        "",
    ]
    return "\n".join(lines)


def _title(text: str) -> list[str]:
    return [RULE, text, RULE]


def _recommendations(fields: Mlperf) -> list[str]:
    if fields.valid:
        return []
    found = ["Recommendations:"]
    if not fields.satisfied.min_duration:
        found.append(f" * {fields.duration_s:.1f} s were timed, MLPerf asks for {MIN_DURATION_S}: raise --queries.")
    if not fields.satisfied.min_queries:
        found.append(f" * {fields.queries} queries were timed, LoadGen asks for {MIN_QUERIES}: raise --queries.")
    return found


def _early_stopping(fields: Mlperf) -> list[str]:
    first, far = QUERIES_NEEDED[90], QUERIES_NEEDED[99]
    if fields.early_stopping_90_ns is None:
        return [
            f" * Only processed {fields.queries} queries.",
            f" * Need to process at least {first} queries for early stopping.",
        ]
    lines = [
        f" * Processed at least {first} queries ({fields.queries}).",
        f" * Would discard {fields.discarded} highest latency queries.",
        f" * Early stopping 90.0th percentile estimate: {fields.early_stopping_90_ns}",
    ]
    if fields.early_stopping_99_ns is None:
        return [
            *lines,
            " * Not enough queries processed for 99.0th percentile",
            f" early stopping estimate (would need to process at\n least {far} total queries).",
        ]
    return [*lines, f" * Early stopping 99.0th percentile estimate: {fields.early_stopping_99_ns}"]


def _whole(value: float | None) -> str:
    return "not measured" if value is None else f"{int(value)}"


def _two_decimals(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.2f}"
