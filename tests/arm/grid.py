"""The whole grid as a Markdown table: `make test-arm-full`; every network, each processor, int8 and float32.

EDGEBRAIN_ARM_RUNS: run folders with bundles, with colons between, in place of the tests' own networks.
EDGEBRAIN_ARM_DATA: the data folder of these runs; the slices are those of their test side.
Exit code 1: a promise on an int8 bundle was broken (`Compared.as_promised`). Float32 is shown, and nothing promised.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from edgebrain.benchmarking.slices import choose_slices
from edgebrain.bundle import open_bundle
from edgebrain.phantom.generator import phantom_files
from tests.arm.answers import Compared, compared, header, pictures
from tests.arm.emulated import arm_board
from tests.arm.networks import UNSEEN_SEED, trained_runs

CPUS = ("cortex-a76", "cortex-a72")
# A float32 bundle takes several times as long there, and nothing is promised of it.
SLICES = {"tflite-int8": 50, "tflite-float32": 5}


def main() -> int:
    networks = dict(_networks())
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(len(CPUS)) as pool:
        print(header(), flush=True)
        rows = [row for rows in pool.map(lambda cpu: _on_one(cpu, networks, Path(folder, cpu)), CPUS) for row in rows]
    broken = [row for row in rows if "int8" in row.name and not row.as_promised]
    print(f"{len(rows)} rows, promises broken in {len(broken)}")
    return 1 if broken else 0


def _on_one(cpu: str, networks: Mapping[Path, Mapping[str, bytes]], folder: Path) -> list[Compared]:
    rows = []
    with arm_board(folder / "ssh", cpu) as board:
        for bundle, most in SLICES.items():
            for run, slices in networks.items():
                first = dict(list(slices.items())[:: max(1, len(slices) // most)][:most])
                found = compared(
                    f"{run.name}, {bundle}", open_bundle(run / "bundles" / bundle), first, board, cpu, folder
                )
                print(found.row, flush=True)
                rows.append(found)
    return rows


def _networks() -> Iterator[tuple[Path, Mapping[str, bytes]]]:
    """Run folder -> slices that it has not seen."""
    most = max(SLICES.values())
    given = os.environ.get("EDGEBRAIN_ARM_RUNS", "")
    if not given:
        slices = phantom_files(most, UNSEEN_SEED)
        yield from ((run, slices) for run in trained_runs().values())
    for run in filter(None, given.split(":")):
        data = Path(os.environ["EDGEBRAIN_ARM_DATA"])
        yield Path(run), pictures([one.record for one in choose_slices(Path(run), data, "test", most)[0]])


if __name__ == "__main__":
    try:
        sys.exit(main())
    except pytest.skip.Exception as reason:
        sys.exit(f"not run: {reason}")
