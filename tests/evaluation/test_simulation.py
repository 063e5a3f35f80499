"""The promises of the verdict and of compare, by simulation; the full figures are made by `benchmarks/`."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def loaded(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", BENCHMARKS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up by name.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


verdict, noise = loaded("verdict"), loaded("noise")
PROMISED = [scenario for scenario in verdict.DICE + verdict.FLIPS if not scenario.limit]


def figures(scenario: object, benches: int, resamples: int) -> object:
    seen, sizes = verdict.draw_benches(scenario, benches, seed=1)
    return verdict.study(scenario, seen, sizes, verdict.methods(scenario, resamples)["ours"])


@pytest.mark.parametrize("scenario", [PROMISED[0], PROMISED[2], PROMISED[-3]], ids=lambda scenario: scenario.name)
def test_the_interval_covers_and_a_drop_on_the_margin_hardly_ever_passes(scenario: object) -> None:
    found = figures(scenario, 300, 1000)
    # 300 benches: three standard errors wider than the promise.
    assert found.covered >= 0.90 and found.wrong_pass <= 0.08


@pytest.mark.slow
@pytest.mark.parametrize("scenario", PROMISED, ids=lambda scenario: scenario.name)
def test_over_2000_benches_the_promises_of_the_verdict_hold(scenario: object) -> None:
    found = figures(scenario, 2000, 2000)
    assert found.kept, found


def test_one_flip_too_few_never_makes_a_pass_out_of_a_rare_loss() -> None:
    rare = verdict.FLIPS[-1]
    assert "0.5 % lost" in rare.name and rare.kind == "uneven"
    found = figures(rare, 300, 1000)
    assert found.wrong_pass <= 0.05 and found.covered >= 0.93


@pytest.mark.parametrize("machine", noise.MACHINES, ids=lambda machine: machine.name)
def test_reruns_are_no_difference_and_planted_slow_downs_are_found_on_quiet_machines(machine: object) -> None:
    again, found, _ = noise.simulated(machine, 60, 0, True)
    assert again >= 0.95
    assert found >= 0.95 or not machine.quiet
