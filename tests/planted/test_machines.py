"""Machines that were held back while they measured: the row says so, and is not compared."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgebrain.benchmarking.noise import doubts, invalid_because, noise_of
from edgebrain.benchmarking.report import DataFacts, as_json, parse_report
from edgebrain.benchmarking.report_row import Block, Row
from edgebrain.benchmarking.run import run_bench
from edgebrain.cli import main
from edgebrain.errors import BadReport
from edgebrain.runtime.environment import condition
from edgebrain.settings import from_builtins
from tests.benchmarking import factories
from tests.benchmarking.factories import block, labelled, state, typed_rows
from tests.runtime.tiny import tiny_bundle


def vcgencmd(folder: Path, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Raspberry Pi's program, played by a script."""
    program = folder / "bin" / "vcgencmd"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\n[ "$1" = get_throttled ] && echo "{says}"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")


def measured(folder: Path) -> dict[str, Any]:
    facts = DataFacts(path=str(folder), split="test", slices=6)
    return as_json(run_bench([tiny_bundle(folder / "planted").path], labelled(folder / "data"), [1], 20, data=facts))


def row_of(found: list[Block]) -> Row:
    """A report's row with these blocks."""
    (row,) = typed_rows(factories.row(bundle="planted"))
    return replace(row, noise=noise_of(found), invalid=invalid_because(found))


def test_a_board_short_of_power_makes_the_row_invalid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    vcgencmd(tmp_path, "throttled=0x50005", monkeypatch)
    report = measured(tmp_path)
    assert as_json(parse_report(report)) == report
    assert report["environments"]["cpu"]["throttled"] == 0x50005
    (row,) = report["results"]
    assert (
        row["invalid"]
        == "the board was held back (under-voltage, throttled) in 1 of 1 blocks: mend power supply or cooling"
    )
    (note,) = (note for note in report["notes"] if note["kind"] == "invalid")
    assert note["text"] == f"invalid, these durations do not count: planted at 1: {row['invalid']}"
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text(json.dumps(report))
    with pytest.raises(SystemExit) as ended:
        main(["compare", str(tmp_path / "a.json"), str(tmp_path / "b.json")])
    assert ended.value.code == 1
    assert "a.json: planted on cpu at 1 is invalid: the board was held back" in capsys.readouterr().err


@pytest.mark.parametrize("says", ["throttled=0x0", "throttled=0x50000", "VCHI initialization failed"])
def test_a_board_that_runs_freely_now_makes_a_valid_row(
    says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vcgencmd(tmp_path, says, monkeypatch)
    report = measured(tmp_path)
    assert report["results"][0]["invalid"] is None
    assert not any(note["kind"] == "invalid" for note in report["notes"])


def machine(folder: Path, governor: str, mhz: int, celsius: float) -> Path:
    """Files as Linux shows them."""
    cpufreq, heat = folder / "sys/devices/system/cpu/cpu0/cpufreq", folder / "sys/class/thermal/thermal_zone0"
    for place in (cpufreq, heat):
        place.mkdir(parents=True)
    (cpufreq / "scaling_governor").write_text(f"{governor}\n")
    (cpufreq / "scaling_cur_freq").write_text(f"{mhz * 1000}\n")
    (heat / "temp").write_text(f"{int(celsius * 1000)}\n")
    return folder


PLANTED = {
    "governor": (("powersave", 1500, 50.0), (0, 0), "governor powersave: the clock may be held at its lowest"),
    "heat": (("ondemand", 1500, 85.0), (0, 0), "hot: 85 degrees"),
    "clock": (("ondemand", 600, 60.0), (0, 0), "throttled: the clock went between 1500 and 600 MHz"),
    "host": (("ondemand", 1500, 50.0), (1000, 60), "the host took 6 % of the CPU"),
}


def blocks(before: dict[str, Any], after: dict[str, Any], ticks: tuple[int, int]) -> list[Block]:
    end = {"ticks": dict(zip(("total", "steal"), ticks, strict=True))}
    found = [
        block(before=state(**before), after=state(**before)),
        block(before=state(**before), after=state(**after, **end)),
    ]
    return [from_builtins(one, Block, "block", BadReport) for one in found]


@pytest.mark.parametrize("name", PLANTED)
def test_a_machine_that_was_not_itself_is_noisy_by_name(name: str, tmp_path: Path) -> None:
    reading, ticks, words = PLANTED[name]
    fresh = condition(machine(tmp_path / "fresh", "ondemand", 1500, 50.0))
    found = blocks(fresh, condition(machine(tmp_path / "planted", *reading)), ticks)
    (note,) = doubts([row_of(found)])
    assert note.text == f"noisy, measure again on a quiet machine: planted at 1 ({words})"


def test_a_machine_whose_host_took_a_fifth_of_it_makes_the_row_invalid() -> None:
    (note,) = doubts([row_of(blocks({}, {}, (1000, 200)))])
    assert note.text.startswith("invalid, these durations do not count: planted at 1: the host took 20 % of the CPU: ")


def test_a_laptop_whose_driver_follows_the_load_is_quiet_under_powersave(tmp_path: Path) -> None:
    laptop = machine(tmp_path / "laptop", "powersave", 2400, 50.0)
    (laptop / "sys/devices/system/cpu/cpu0/cpufreq/scaling_driver").write_text("intel_pstate\n")
    fresh = condition(laptop)
    assert fresh["governor"] == "powersave (intel_pstate)"
    found = blocks(fresh, fresh, (1000, 10))
    assert list(doubts([row_of(found)])) == []


def test_a_machine_that_stays_as_it_was_is_quiet(tmp_path: Path) -> None:
    fresh = condition(machine(tmp_path / "fresh", "ondemand", 1500, 50.0))
    found = blocks(fresh, fresh, (1000, 10))
    assert list(doubts([row_of(found)])) == []
