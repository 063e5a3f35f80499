"""The speed of one bundle in this very process, on pictures without masks: `python -m edgebrain.runtime bench`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgebrain.runtime.environment import environment, peak_rss_mib, rss_mib
from edgebrain.runtime.image import read_file
from edgebrain.runtime.latency import MS, WARM_UP, cpu_ticks, steal_share, summary_ms, time_queries
from edgebrain.runtime.predict import find_pictures
from edgebrain.runtime.session import open_session


def measure_files(
    bundle: Path, inputs: Sequence[Path], engine: str | None, threads: int, queries: int
) -> dict[str, Any]:
    """Time a bundle on pictures. latency_ms: transform, engine and back; engine_ms: the interpreter alone.

    Raises:
        BadImage: A picture that cannot be used, named. Others as `open_session`.
    """
    environment_before = environment()
    session = open_session(bundle, engine, threads)
    after_load_mib = rss_mib()
    files = [(str(picture), read_file(picture, str(picture))[0]) for picture in find_pictures(inputs)]
    time_queries(session, files, WARM_UP)
    before = cpu_ticks()
    timed = time_queries(session, files, queries)
    return {
        "schema": 1,
        "bundle": session.bundle.name,
        "format": session.bundle.format,
        "precision": session.bundle.precision,
        "runs": session.describe(),
        "threads": threads,
        "queries": len(timed),
        "pictures": len(files),
        "load_ms": session.load_ns * MS,
        "latency_ms": summary_ms([query.predict_ns for query in timed]),
        "engine_ms": summary_ms([query.engine_ns for query in timed]),
        "decode_ms": summary_ms([query.decode_ns for query in timed]),
        "rss_after_load_mib": after_load_mib,
        "peak_rss_mib": peak_rss_mib(),
        "steal_share": steal_share([(before, cpu_ticks())]),
        "environment": environment_before,
    }
