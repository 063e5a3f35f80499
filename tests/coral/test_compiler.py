"""The compiler's logs as posted in public, and a stand-in for the program: the real one is not to be had for tests."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from edgebrain.bundle import open_bundle
from edgebrain.cli import main
from edgebrain.coral.compiler import INSTALL, PROGRAM, compile_bundle, parse_log
from edgebrain.errors import BadBundle, CannotWrite, CompilerFailed
from edgebrain.runtime.session import open_session
from tests.benchmarking.factories import labelled
from tests.runtime.tiny import tiny_bundle

LOGS = Path(__file__).parent / "logs"
MODELS = {row["source"]: row for row in csv.DictReader((LOGS / "models.csv").read_text().splitlines())}


def log(name: str) -> str:
    return (LOGS / f"{name}.log").read_text()


def stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, writes: bool = True) -> None:
    """A script called edgetpu_compiler that prints a public log and writes a file, which is no compiled model."""
    program = folder / "bin" / PROGRAM
    program.parent.mkdir(exist_ok=True)
    lines = ["#!/bin/sh", '[ "$1 $2 $3" = "-s -a -o" ] || exit 9', f'cat "{LOGS / (name + ".log")}"']
    if writes:
        lines.append('printf "stand-in for a compiled model" > "$4/model_edgetpu.tflite"')
    program.write_text("\n".join(lines) + "\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")


def test_a_log_with_every_operator_mapped_is_read() -> None:
    found, row = parse_log(log("yolov7-1672")), MODELS["WongKinYiu/yolov7#1672"]
    assert (found.version, found.compiled, found.problem) == ("16.0.384591198", True, "")
    for key, column in (("on_chip_used_bytes", "on_chip_used_mib"), ("on_chip_left_bytes", "on_chip_left_mib")):
        assert getattr(found, key) / 2**20 == pytest.approx(float(row[column]), abs=1e-3)
    assert found.off_chip_bytes == round(41.75 * 1024) and found.subgraphs == 1
    assert ("LOGISTIC", 64, "Mapped to Edge TPU") in found.lines and (found.mapped, found.on_cpu) == (106, 0)


def test_a_log_without_operators_is_read_as_far_as_it_goes() -> None:
    found = parse_log(log("edgetpu-433"))
    assert found.compiled and found.off_chip_bytes == 0 and found.on_chip_used_bytes == 80 * 1024 and not found.lines


def test_every_status_of_a_log_is_read_and_added_up() -> None:
    found = parse_log(log("edgetpu-342"))
    assert len(found.lines) == 10 and (found.mapped, found.on_cpu) == (2, 153)
    assert found.version is None and not found.compiled


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (log("edgetpu-512"), "Compilation failed: Compilation failed due to large activation tensors in model."),
        (
            "ERROR: Didn't find op for builtin opcode 'TRANSPOSE_CONV' version '4'\n",
            "Didn't find op for builtin opcode 'TRANSPOSE_CONV' version '4'",
        ),
        ("Internal compiler error. Aborting! \n", "Internal compiler error. Aborting!"),
    ],
)
def test_why_it_gave_up_is_found(text: str, problem: str) -> None:
    assert parse_log(text).problem == problem


def test_a_compiled_file_becomes_a_bundle_whose_parent_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tmp_path, monkeypatch, "yolov7-1672")
    parent = tiny_bundle(tmp_path / "int8", precision="int8")
    written, _ = compile_bundle(parent, tmp_path / "compiled")
    opened = open_bundle(written.path)
    assert (opened.format, opened.name) == ("edgetpu", "int8-edgetpu")
    assert opened.lineage["parent"] == parent.manifest_sha256
    assert opened.lineage["compiler"]["version"] == "16.0.384591198"
    assert opened.contents["model.edgetpu.tflite"] == b"stand-in for a compiled model"
    assert opened.manifest["edgetpu"]["mapped"] == 106
    with pytest.raises(CannotWrite, match="already exists"):
        compile_bundle(parent, tmp_path / "compiled")
    with pytest.raises(BadBundle, match="edgetpu cannot load the model"):
        open_session(opened)


@pytest.mark.parametrize(("name", "said"), [("edgetpu-512", "large activation tensors"), ("edgetpu-433", "no file")])
def test_a_compiler_that_gives_up_is_an_error_and_nothing_is_written(
    name: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tmp_path, monkeypatch, name, writes=False)
    with pytest.raises(CompilerFailed, match=f"int8: edgetpu_compiler 16.0.384591198 did not compile it .*{said}"):
        compile_bundle(tiny_bundle(tmp_path / "int8", precision="int8"), tmp_path / "compiled")
    assert not (tmp_path / "compiled").exists()


def deploy(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["deploy", *words])
    return int(ended.value.code or 0)


def test_check_prints_a_table_of_80_columns_the_unknown_and_how_to_get_the_compiler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    bundle = tiny_bundle(tmp_path / "int8", precision="int8")
    assert deploy(str(bundle.path), "--target", "coral", "--check") == 0
    said = capsys.readouterr().out
    # Commands are to be copied, and stay on one line.
    assert max(len(line) for line in said.splitlines() if line not in INSTALL) <= 80
    assert set(INSTALL) <= set(said.splitlines())
    assert "5 mapped, 0 fall back, 1 unknown: 17 % of the operators" in " ".join(said.split())
    assert "sudo apt-get update && sudo apt-get install edgetpu-compiler" in said
    assert " ms" not in said and "no latency is known without a device" in " ".join(said.split())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["int8"]


def test_something_on_the_cpu_ends_with_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = tiny_bundle(tmp_path / "float")
    assert deploy(str(bundle.path), "--check", "--json", str(tmp_path / "found.json")) == 3
    said = " ".join(capsys.readouterr().out.split())
    assert "works on float32, an unsupported data type" in said
    assert "on stays on the CPU: 6 of 6 operators" in said
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["failed"] and {one["status"] for one in found["operators"]} == {"falls back"}


def test_json_on_stdout_is_nothing_but_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = tiny_bundle(tmp_path / "int8", precision="int8")
    assert deploy(str(bundle.path), "--check", "--json", "-") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["shares"]["unknown"] == {"operators": pytest.approx(1 / 6), "macs": 0.0}
    assert found["operators"][0]["version"] == 3


def test_with_the_compiler_a_bundle_is_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in(tmp_path, monkeypatch, "yolov7-1672")
    bundle = tiny_bundle(tmp_path / "int8", precision="int8")
    assert deploy(str(bundle.path), "--target", "coral") == 0
    assert open_bundle(tmp_path / "int8-edgetpu").format == "edgetpu"
    assert "106 operators on the Edge TPU, 0 on the CPU" in capsys.readouterr().out


def test_operators_that_the_compiler_leaves_on_the_cpu_end_with_3(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in(tmp_path, monkeypatch, "edgetpu-342")
    program = tmp_path / "bin" / PROGRAM
    program.write_text(program.read_text() + 'echo "Model compiled successfully in 1 ms."\n')
    bundle = tiny_bundle(tmp_path / "int8", precision="int8")
    assert deploy(str(bundle.path)) == 3
    assert "TRANSPOSE 70: Operation not supported" in capsys.readouterr().out


def test_without_the_compiler_deploying_is_an_error_with_the_lines_that_bring_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert deploy(str(tiny_bundle(tmp_path / "int8", precision="int8").path)) == 1
    said = capsys.readouterr().err
    assert "edgetpu_compiler is not on the PATH" in said and "apt-get install edgetpu-compiler" in said


def test_an_unknown_target_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert deploy(str(tmp_path), "--target", "moon") == 1
    assert "target 'moon' is not known" in capsys.readouterr().err


def test_a_compiled_bundle_beside_the_others_is_left_out_of_a_bench_on_the_cpu_with_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgebrain.api.defaults import all_bundles
    from edgebrain.benchmarking.run import run_bench

    stand_in(tmp_path, monkeypatch, "yolov7-1672")
    bundle = tiny_bundle(tmp_path / "bundles" / "int8", precision="int8")
    compile_bundle(bundle, tmp_path / "bundles" / "int8-edgetpu")
    report = run_bench(all_bundles([tmp_path / "bundles"]), labelled(tmp_path, 1, 1), [1], 7)
    assert [row.bundle for row in report.results] == ["int8"]
    assert "int8-edgetpu: not measured on cpu, no engine there reads edgetpu" in [note.text for note in report.notes]
