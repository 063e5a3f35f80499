from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from edgebrain.runtime.__main__ import main
from edgebrain.runtime.latency import (
    cpu_ticks,
    drift,
    over_latency,
    percentile,
    steal_share,
    summary_ms,
    time_queries,
)
from edgebrain.runtime.session import open_session
from tests.runtime.pictures import bright_disc, encoded, grey, save
from tests.runtime.tiny import tiny_bundle


def test_a_percentile_is_a_duration_that_occurred_and_the_high_ones_are_upper_bounds() -> None:
    durations = [float(value) for value in range(1000, 0, -1)]
    # 78 and 2 of 1,000 queries may lie above the true p90 and p99 (scipy.stats.binom).
    assert [percentile(durations, p) for p in (25, 50, 90, 99)] == [250, 500, 923, 999]


@pytest.mark.parametrize(
    ("queries", "p", "discarded"), [(64, 90, 0), (130, 95, 0), (662, 99, 0), (704, 90, 51), (2048, 90, 172)]
)
def test_as_many_queries_are_discarded_as_mlperf_discards(queries: int, p: int, discarded: int) -> None:
    assert over_latency(queries, p) - 1 == discarded
    assert over_latency(63, 90) == over_latency(129, 95) == over_latency(661, 99) == 0


@given(st.integers(64, 3000), st.sampled_from([90, 99]))
def test_the_early_stopping_rule_is_the_binomials_own(queries: int, p: int) -> None:
    t = over_latency(queries, p)
    assert t == 0 or binom.cdf(t, queries, 1 - p / 100) <= 0.01
    assert binom.cdf(t + 1, queries, 1 - p / 100) > 0.01


def test_the_true_p90_lies_above_the_estimate_in_at_most_one_of_a_hundred_runs() -> None:
    rng = np.random.default_rng(0)
    runs = rng.exponential(size=(2000, 200))
    above = [percentile(run.tolist(), 90) < -np.log(0.1) for run in runs]
    assert np.mean(above) <= 0.01


@pytest.mark.parametrize(("p", "needed"), [(25, 17), (50, 7), (90, 64), (99, 662)])
def test_a_percentile_is_given_from_the_number_of_queries_that_it_needs(p: int, needed: int) -> None:
    assert percentile([1.0] * (needed - 1), p) is None
    assert percentile([1.0] * needed, p) == 1.0


def test_the_summary_is_in_milliseconds() -> None:
    summary = summary_ms([2_000_000] * 50 + [4_000_000] * 50)
    assert summary == {"p25": 2.0, "p50": 2.0, "p90": 4.0, "p99": None, "mean": 3.0}
    assert summary_ms([])["mean"] is None


def test_drift_compares_the_last_quarter_with_the_first() -> None:
    assert drift([100] * 50 + [130] * 50) == pytest.approx(0.3)
    assert drift([100] * 63) is None


def test_steal_is_a_share_of_all_ticks(tmp_path: Path) -> None:
    source = tmp_path / "stat"
    source.write_text("cpu  10 0 10 70 0 0 0 5 99 99\ncpu0 1 1\n")
    before = cpu_ticks(source)
    source.write_text("cpu  30 0 10 130 0 0 0 25 99 99\ncpu0 1 1\n")
    assert before == {"total": 95, "steal": 5}
    assert steal_share([(before, cpu_ticks(source))]) == pytest.approx(0.2)


def test_where_steal_cannot_be_read_it_is_not_known(tmp_path: Path) -> None:
    assert cpu_ticks(tmp_path / "none") is None
    assert steal_share([(None, None)]) is None
    assert steal_share([]) is None


def test_each_timed_query_takes_the_next_slice(tmp_path: Path) -> None:
    session = open_session(tiny_bundle(tmp_path / "b"))
    files = [("a", encoded(bright_disc())), ("b", encoded(grey())), ("c", encoded(255 - bright_disc()))]
    timed = time_queries(session, files, 7)
    hashes = [query.outputs_sha256 for query in timed]
    assert len(set(hashes[:3])) == 3
    assert hashes == [*hashes[:3], *hashes[:3], hashes[0]]
    assert all(0 < query.engine_ns < query.predict_ns for query in timed)


def test_the_devices_own_bench_measures_a_bundle_on_pictures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = tiny_bundle(tmp_path / "b", precision="int8").path
    picture = save(tmp_path / "a.png", bright_disc())
    assert main(["bench", str(picture), "--bundle", str(bundle), "--queries", "20", "--json", "-"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["queries"] == 20 and report["runs"]["precision"] == "int8"
    assert report["latency_ms"]["p50"] > report["engine_ms"]["p50"] > 0
    assert report["latency_ms"]["p90"] is None
    assert report["peak_rss_mib"] >= report["rss_after_load_mib"] > 0
    assert main(["bench", str(picture), "--bundle", str(bundle), "--queries", "20"]) == 0
    assert "p90 needs more queries" in capsys.readouterr().out
