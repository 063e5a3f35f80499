"""What would be overwritten is refused before any work, with a way out that exists; and defaults are the API's."""

from __future__ import annotations

import inspect
import shutil
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import edgebrain
from edgebrain.cli import COMMANDS, GROUPS, main
from tests.networks import FinishedRun
from tests.runtime.tiny import tiny_bundle

# Where the work of a command begins: a refusal must come before it.
WORK = {
    "train": "edgebrain.api.training.training_data",
    "quantize": "edgebrain.api.compression._opened",
    "explain": "edgebrain.api.compression._opened",
    "evaluate": "edgebrain.benchmarking.slices.choose_slices",
    "bench": "edgebrain.benchmarking.slices.choose_slices",
    "compare": "edgebrain.benchmarking.report.read_report",
    "report": "edgebrain.reporting.build.build_page",
    "deploy": "edgebrain.kit.build.record",
    "data audit": "edgebrain.auditing.run.audit",
    "data summary": "edgebrain.data.summary.summarise",
    "data phantom": "edgebrain.phantom.generator._write",
    "doctor": "edgebrain.runtime.doctor.diagnose",
    "bundle sign": "edgebrain.signature.sign",
    "bundle keygen": "edgebrain.signature._private_key_class",
}
# Defaults of the API and of the command that mean the same: nothing named, one target, the recipe that --int8 names.
ALIKE = [(inspect.Parameter.empty, None), ("cpu", None), (None, False), ("int8", None)]
# What is typed, and what is there already.
REFUSED = [
    ("train demo --out there", "there"),
    ("quantize run --out there", "there/tflite-int8"),
    ("quantize run", "run/bundles/openvino-int8"),
    ("explain bundle --json there.json", "there.json"),
    ("evaluate bundle --json there.json", "there.json"),
    ("evaluate bundle --out there", "there/evaluation.json"),
    ("bench bundle --json there.json", "there.json"),
    ("compare a.json b.json --json there.json", "there.json"),
    ("report run", "run/report.html"),
    ("report run --junit there.xml", "there.xml"),
    ("deploy bundle --target laptop --python 3.11 --out there.tar", "there.tar"),
    ("deploy bundle --check --json there.json", "there.json"),
    ("data audit set --html there.html", "there.html"),
    ("data audit set --out-groups there.csv", "there.csv"),
    ("data summary set --json there.json", "there.json"),
    ("data phantom there", "there"),
    ("doctor --json there.json", "there.json"),
    ("predict scan.png --bundle bundle --json there.json", "there.json"),
    ("recipes copy demo --out there.toml", "there.toml"),
    ("bundle sign bundle --key me.key", "bundle/signature"),
    ("bundle keygen me", "me.pub"),
]


def command_of(words: list[str]) -> str:
    return " ".join(words[:2]) if words[0] in GROUPS else words[0]


def parameters(command: str) -> dict[str, inspect.Parameter]:
    """The parameters of a command's function, by name."""
    group, _, name = command.partition(" ")
    module = import_module(f"edgebrain.cli.{group}")
    return dict(inspect.signature(getattr(module, name or group)).parameters)


@pytest.fixture
def here(computed: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working folder with a run that has been benched, and a bundle."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(computed.run, "run")
    shutil.copy(Path(__file__).parents[1] / "benchmarking/reports/schema-2.json", "run/bench.json")
    tiny_bundle(Path("bundle"), precision="int8")


@pytest.mark.parametrize(("typed", "there"), REFUSED, ids=[typed for typed, _ in REFUSED])
def test_what_is_there_is_refused_before_any_work_and_the_hint_is_true(
    typed: str, there: str, here: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = typed.split()
    command = command_of(words)
    path = Path(there)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("a person's own") if path.suffix else path.mkdir()

    def work(*arguments: Any, **options: Any) -> Any:
        raise AssertionError(f"{command} began its work")

    if command in WORK:
        monkeypatch.setattr(WORK[command], work)
    with pytest.raises(SystemExit) as ended:
        main(words)
    said = capsys.readouterr().err
    assert ended.value.code == 1 and f"{there}: already exists" in said
    assert ("--force" in said) == ("force" in parameters(command))
    assert path.is_dir() or path.read_text() == "a person's own"


@pytest.mark.parametrize("name", sorted(set(COMMANDS) & set(edgebrain.__all__) - set(GROUPS)))
def test_a_command_has_the_defaults_of_its_function(name: str) -> None:
    """A notebook does what the command line does."""
    function = dict(inspect.signature(getattr(edgebrain, name)).parameters)
    shared = set(function) & set(parameters(name))
    differ = {
        key: (function[key].default, parameters(name)[key].default)
        for key in shared
        if function[key].default != parameters(name)[key].default
        and (function[key].default, parameters(name)[key].default) not in ALIKE
    }
    assert shared and not differ
