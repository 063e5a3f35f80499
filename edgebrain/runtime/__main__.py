"""`python -m edgebrain.runtime predict|selftest|bench|worker`: all that a device needs, without Typer."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebrain.errors import EdgebrainError
from edgebrain.files import refuse_to_overwrite, write_json
from edgebrain.text import escape_unprintable_output

if TYPE_CHECKING:
    from edgebrain.runtime.results import Existing
    from edgebrain.runtime.session import Session


STDOUT = Path("-")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: The words after the program's name; those of this process when left out.

    Returns:
        The exit code: 1 after an error, 3 after a self-test that failed, 130 after Ctrl-C.
    """
    escape_unprintable_output()
    options = _parser().parse_args(arguments)
    try:
        return int(COMMANDS[options.command](options))
    except EdgebrainError as error:
        print(f"Error: {error.message}", *([f"  {error.hint}"] if error.hint else []), sep="\n", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m edgebrain.runtime", description="Predict and measure, without TensorFlow."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    predict = commands.add_parser("predict", help="mask and class of pictures")
    _add_common(predict, images="*")
    predict.add_argument("--watch", type=Path, help="watch this folder and predict every picture that arrives")
    predict.add_argument("--pixel-mm", type=float, help="side of a pixel in mm, for areas in cm2")
    predict.add_argument(
        "--out", type=Path, help="folder for masks, overlays, results.csv; else the next free predictions-N"
    )
    predict.add_argument(
        "--resume", action="store_true", help="continue in --out: skip pictures that have a result there"
    )
    predict.add_argument("--recursive", action="store_true", help="with --watch: its sub-folders too")
    predict.add_argument(
        "--settle", type=float, default=30.0, help="with --watch: seconds that an incomplete file may lie unchanged"
    )
    selftest = commands.add_parser("selftest", help="check that this machine gives the bytes that the kit expects")
    selftest.add_argument("folder", type=Path, help="an unpacked kit, or the folder it was installed in")
    bench = commands.add_parser("bench", help="latency of one bundle on pictures")
    _add_common(bench)
    bench.add_argument("--queries", type=int, default=700, help="timed queries, after the warm-up (p99 needs 662)")
    commands.add_parser("worker", help="answer JSON lines (used by `edgebrain bench`)")
    return parser


def _add_common(parser: argparse.ArgumentParser, images: str = "+") -> None:
    parser.add_argument("images", nargs=images, type=Path, help="PNG, JPEG or TIFF files, or folders")
    parser.add_argument("--bundle", type=Path, required=True, help="bundle folder")
    parser.add_argument("--engine", help="interpreter; default: the first installed one that reads the bundle")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there; - for stdout")
    parser.add_argument("--force", action="store_true", help="replace what is there")


def _predict(options: argparse.Namespace) -> int:
    from edgebrain.runtime.predict import predict_files, print_run
    from edgebrain.runtime.session import open_session

    if (options.watch is None) == (not options.images):
        raise EdgebrainError("name pictures, or a folder with --watch", "see --help")
    if options.resume and (options.force or options.out is None):
        raise EdgebrainError("--resume continues what is in --out", "name --out, and leave out --force")
    _refuse_early(options.json, options.force or options.resume)
    session = open_session(options.bundle, options.engine, options.threads)
    if options.watch is not None:
        return _watch(session, options)
    existing: Existing = "replace" if options.force else "continue" if options.resume else "refuse"
    run = predict_files(session, options.images, options.out, options.pixel_mm, existing)
    print_run(run, options.json == STDOUT)
    if options.json is not None and options.json != STDOUT:
        write_json(options.json, run.entries)
    return 1 if run.failures else 0


def _watch(session: Session, options: argparse.Namespace) -> int:
    from edgebrain.runtime.arrivals import WatchSettings
    from edgebrain.runtime.watch import stop_on_signals, watch

    if options.out is None:
        raise EdgebrainError("--watch needs --out", "a restart must find its own table")
    # Into a pipe or a journal at once, not when a buffer is full.
    on_result, on_problem = partial(print, flush=True), partial(print, flush=True, file=sys.stderr)
    settings = WatchSettings(settle_s=options.settle, recursive=options.recursive)
    with stop_on_signals() as stop:
        done = watch(session, options.watch, options.out, options.pixel_mm, on_result, on_problem, stop, settings)
    on_result(f"{done} files done: {options.out}")
    return 0


def _selftest(options: argparse.Namespace) -> int:
    from edgebrain.runtime.selftest import self_test

    verdict = self_test(options.folder)
    print(*verdict.lines(), sep="\n")
    return 0 if verdict.passed else 3


def _bench(options: argparse.Namespace) -> int:
    _refuse_early(options.json, options.force)
    report = _measure(options.bundle, options.images, options.engine, options.threads, options.queries)
    print(json.dumps(report, indent=1) if options.json == STDOUT else _sentence(report))
    if options.json is not None and options.json != STDOUT:
        write_json(options.json, report)
    return 0


def _measure(bundle: Path, inputs: Sequence[Path], engine: str | None, threads: int, queries: int) -> dict[str, Any]:
    """Time a bundle on pictures without masks, in this very process.

    Returns:
        The figures of `--json`. `latency_ms`: preprocessing, inference and postprocessing; `engine_ms`: the interpreter
        alone; `decode_ms`: file to slice, outside of `latency_ms`.

    Raises:
        BadImage: A picture cannot be used; it is named.
        EdgebrainError: As `open_session`.
    """
    from edgebrain.runtime.environment import environment, peak_rss_mib, rss_mib
    from edgebrain.runtime.image import read_file
    from edgebrain.runtime.inputs import find_pictures
    from edgebrain.runtime.latency import MS, WARM_UP, cpu_ticks, steal_share, summary_ms, time_queries
    from edgebrain.runtime.session import open_session

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


def _worker(options: argparse.Namespace) -> int:
    from edgebrain.runtime.worker import main as serve

    serve()
    return 0


def _refuse_early(json_file: Path | None, force: bool) -> None:
    """Raise CannotWrite, before any work, where the file that --json names is there."""
    if json_file is not None and json_file != STDOUT:
        refuse_to_overwrite(json_file, force)


def _sentence(report: dict[str, Any]) -> str:
    figures = ", ".join(
        f"{name} {value:.2f} ms" if value is not None else f"{name} needs more queries"
        for name, value in report["latency_ms"].items()
    )
    return f"{report['bundle']} on {report['runs']['engine']}, {report['threads']} threads: {figures}"


COMMANDS = {"predict": _predict, "selftest": _selftest, "bench": _bench, "worker": _worker}

if __name__ == "__main__":
    sys.exit(main())
