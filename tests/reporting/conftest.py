"""One small bench of real bundles on phantoms, for all tests of the report; copied where it is changed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edgebrain.benchmarking.report import as_json
from edgebrain.benchmarking.run import run_bench
from edgebrain.benchmarking.slices import choose_slices
from edgebrain.benchmarking.suite import Suite
from edgebrain.errors import BadReport
from edgebrain.evaluation.verdict import Sampling
from edgebrain.files import write_json
from edgebrain.phantom.generator import write_phantoms
from edgebrain.reporting.build import build_page
from edgebrain.reporting.exports import as_json as as_json_text
from edgebrain.reporting.inputs import read_sources
from edgebrain.reporting.page import Page
from edgebrain.settings import from_builtins
from tests.benchmarking.factories import run_folder


@dataclass(frozen=True)
class Measured:
    """A run with a bench: a root in ONNX and three children. bench: as JSON. page: made from it."""

    run: Path
    phantoms: Path
    bench: dict[str, Any]
    page: Page


@pytest.fixture(scope="session")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Measured:
    """The bench; not to be changed."""
    folder = tmp_path_factory.mktemp("measured")
    phantoms = folder / "phantoms"
    write_phantoms(phantoms, 40, seed=3)
    run, _, _ = run_folder(folder, phantoms)
    slices, facts = choose_slices(None, phantoms, "all")
    bundles = sorted(path.parent for path in run.rglob("manifest.json"))
    suite = Suite(sampling=Sampling(resamples=1000))
    bench = as_json(run_bench(bundles, slices, [1], 70, data=facts, suite=suite))
    write_json(run / "bench.json", bench)
    return Measured(run, phantoms, bench, build_page(*read_sources([run])))


@pytest.fixture
def copied(measured: Measured, tmp_path: Path) -> Callable[..., Path]:
    """A copy of the run whose bench report is changed first; its pictures stay where they are."""

    def copy(change: Callable[[dict[str, Any]], None] = lambda bench: None) -> Path:
        run = tmp_path / "copy"
        shutil.copytree(measured.run, run)
        bench = json.loads((run / "bench.json").read_text())
        change(bench)
        write_json(run / "bench.json", bench)
        return run

    return copy


def json_of(page: Page) -> dict[str, Any]:
    """The page as JSON object, to be changed."""
    found: dict[str, Any] = json.loads(as_json_text(page))
    return found


def typed(page: dict[str, Any]) -> Page:
    """A page from JSON."""
    return from_builtins(page, Page, "page", BadReport, extra=True)
