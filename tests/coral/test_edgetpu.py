"""Compiled bundles in real interpreters and real child processes, with stand-ins for libedgetpu: no device was here."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
import pytest

from edgebrain.benchmarking.report import as_json, read_report
from edgebrain.bundle import Bundle, open_bundle, write_bundle
from edgebrain.cli import main
from edgebrain.errors import BadBundle, EdgebrainError
from edgebrain.runtime.engines import edgetpu, libedgetpu
from edgebrain.runtime.session import open_session
from tests.benchmarking.factories import run_in_working_folder
from tests.coral.compiled import compiled_bundle, driver
from tests.runtime.pictures import bright_disc, save
from tests.runtime.tiny import MODELS, tiny_bundle, tiny_manifest


@pytest.fixture(autouse=True)
def own_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who uses a device, or runs these tests beside these, is not in the way: the lock file lies elsewhere."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)


def refusal(bundle: Bundle) -> EdgebrainError:
    """What opening a bundle says."""
    with pytest.raises(EdgebrainError) as caught:
        open_session(bundle)
    return caught.value


@pytest.mark.parametrize(
    ("kind", "step"),
    [("dies_at_loading", "loading the library"), ("dies_at_the_first_answer", "the first answer")],
)
def test_a_driver_that_kills_its_process_is_told_with_signal_versions_and_a_pair_that_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, step: str
) -> None:
    library = driver(tmp_path, monkeypatch, kind)
    problem = refusal(compiled_bundle(tmp_path / "b"))
    assert f"{library}: killed the process that tried it, at {step}, by SIGSEGV (signal 11)" in problem.message
    assert str(tmp_path / "b") in problem.message and "ai-edge-litert 2." in problem.message
    assert "TFLite up to 2.11.1" in problem.hint and "16.0TF2.19.1-1" in problem.hint


@pytest.mark.parametrize(
    ("kind", "said", "way_out"),
    [
        ("refuses", "opens no Edge TPU: none is attached, another process has it", "lsusb"),
        ("no_delegate", "is no TFLite delegate", "name libedgetpu in EDGEBRAIN_LIBEDGETPU"),
    ],
)
def test_a_library_that_gives_no_delegate_is_told_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, said: str, way_out: str
) -> None:
    library = driver(tmp_path, monkeypatch, kind)
    problem = refusal(compiled_bundle(tmp_path / "b"))
    assert f"{library}: {said}" in problem.message and way_out in problem.hint


def test_a_driver_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = driver(tmp_path, monkeypatch, "hangs")
    monkeypatch.setattr(libedgetpu, "PATIENCE_S", 3.0)
    problem = refusal(compiled_bundle(tmp_path / "b"))
    assert f"{library}: did not answer within 3 s" in problem.message and "attach it again" in problem.hint


def test_a_missing_driver_is_told_by_the_name_that_was_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = compiled_bundle(tmp_path / "b")
    monkeypatch.setenv("EDGEBRAIN_LIBEDGETPU", str(tmp_path / "gone.so"))
    problem = refusal(bundle)
    assert "gone.so: cannot be loaded" in problem.message and "install libedgetpu" in problem.hint
    monkeypatch.delenv("EDGEBRAIN_LIBEDGETPU")
    for system, name in (("Linux", "libedgetpu.so.1"), ("Darwin", "libedgetpu.1.dylib"), ("Windows", "edgetpu.dll")):
        monkeypatch.setattr(libedgetpu.platform, "system", lambda system=system: system)
        assert libedgetpu.library() == name


def test_an_operator_that_the_driver_does_not_take_is_refused_as_a_fall_to_the_cpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = driver(tmp_path, monkeypatch, "takes_nothing")
    problem = refusal(compiled_bundle(tmp_path / "b"))
    assert f"asked for device 'coral', and {library} did not take the operator edgetpu-custom-op" in problem.message


def test_a_file_with_nothing_for_the_device_is_refused_as_a_fall_to_the_cpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver(tmp_path, monkeypatch, "works")
    manifest = {**tiny_manifest("tflite", "int8", "b"), "format": "edgetpu"}
    content = (MODELS / "tiny_int8.tflite").read_bytes()
    problem = refusal(write_bundle(tmp_path / "b", manifest, {"model.edgetpu.tflite": content}))
    assert "asked for device 'coral', and its file has no operator edgetpu-custom-op" in problem.message
    assert "all 6 would run on the CPU" in problem.message


@pytest.mark.parametrize(
    ("contents", "said"),
    [
        ({"model.edgetpu.tflite": b"no model at all"}, "edgetpu cannot load the model"),
        ({"model.tflite": b"x"}, "holds no model.edgetpu.tflite"),
    ],
)
def test_bytes_that_are_no_compiled_model_are_refused(tmp_path: Path, contents: dict[str, bytes], said: str) -> None:
    manifest = {**tiny_manifest("tflite", "int8", "b"), "format": "edgetpu"}
    problem = refusal(write_bundle(tmp_path / "b", manifest, contents))
    assert isinstance(problem, BadBundle) and said in problem.message


def test_what_the_driver_computes_comes_back_and_what_ran_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = driver(tmp_path, monkeypatch, "works")
    session = open_session(compiled_bundle(tmp_path / "b"), threads=2)
    given = np.arange(256, dtype=np.uint8).astype(np.int8).reshape(1, 16, 16, 1)
    answer = session.engine.run(given)
    # The stand-in's mask is what it was given, and all is of the first class.
    assert np.array_equal(answer["mask"], given) and answer["class"].tolist() == [[127, -128, -128, -128]]
    told = session.describe()
    assert told.pop("version").startswith("2.")
    assert told == {
        "engine": "edgetpu",
        "device": "coral",
        "delegate": "libedgetpu",
        "library": str(library.resolve()),
        "library_version": "a stand-in",
        "operators_on_device": 1,
        "operators_on_cpu": 0,
        "precision": "int8",
        "threads": 2,
    }


def test_operators_that_the_compiler_left_on_the_cpu_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver(tmp_path, monkeypatch, "works")
    session = open_session(compiled_bundle(tmp_path / "b", tail=True))
    told = session.describe()
    assert (told["operators_on_device"], told["operators_on_cpu"]) == (1, 1)
    assert session.predict(bright_disc()).mask.any()


def test_a_library_without_a_path_is_told_by_the_file_that_was_loaded() -> None:
    import ctypes

    ctypes.CDLL("libc.so.6")
    assert Path(libedgetpu.loaded_from("libc.so.6")).is_file()
    assert libedgetpu.loaded_from("libnowhere.so") == "libnowhere.so"


def test_a_device_that_is_taken_after_the_trial_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver(tmp_path, monkeypatch, "refuses")
    monkeypatch.setattr(edgetpu, "try_out", lambda model: "")
    assert "opened the Edge TPU in a trial and then no more" in refusal(compiled_bundle(tmp_path / "b")).message


def test_a_second_process_is_refused_before_it_touches_the_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver(tmp_path, monkeypatch, "works")
    bundle = compiled_bundle(tmp_path / "b")
    session = open_session(bundle)
    # A library that would kill who touches it.
    driver(tmp_path, monkeypatch, "dies_at_loading")
    assert "another process of edgebrain has the Edge TPU" in refusal(bundle).message
    del session
    assert "killed the process that tried it" in refusal(bundle).message


def test_a_compiled_bundle_runs_on_no_other_device(tmp_path: Path) -> None:
    with pytest.raises(EdgebrainError, match="'edgetpu' cannot run on device 'cpu'") as caught:
        open_session(compiled_bundle(tmp_path / "b"), device="cpu")
    assert caught.value.hint == "use --target coral"


def bench(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["bench", "--queries", "7", *words])
    return int(ended.value.code or 0)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run in the working folder with a compiled bundle beside the others."""
    found = run_in_working_folder(tmp_path, monkeypatch)
    parent = tiny_bundle(found / "bundles" / "small", precision="int8")
    compiled_bundle(found / "bundles" / "small-edgetpu", parent.manifest_sha256)
    return found


def test_a_missing_coral_is_one_line_and_the_cpu_is_measured(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EDGEBRAIN_LIBEDGETPU", "libnowhere.so.1")
    assert bench("--target", "cpu", "--target", "coral") == 1
    lines = capsys.readouterr().err.splitlines()
    (place,) = (place for place, line in enumerate(lines) if line.startswith("Error: "))
    assert lines[place].startswith("Error: coral: libnowhere.so.1: cannot be loaded")
    assert lines[place + 1].startswith("  install libedgetpu")
    report = as_json(read_report(run / "bench.json"))
    assert {row["target"] for row in report["results"]} == {"cpu"} and len(report["results"]) == 5
    assert [failure["target"] for failure in report["failures"]] == ["coral"]
    assert "small-edgetpu: not measured on cpu, no engine there reads edgetpu" in [
        note["text"] for note in report["notes"]
    ]


def test_a_driver_that_kills_its_process_does_not_kill_the_bench(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    driver(tmp_path, monkeypatch, "dies_at_loading")
    assert bench(str(run / "bundles" / "small-edgetpu"), "--target", "coral") == 1
    said = capsys.readouterr()
    assert said.out == "" and "SIGSEGV" in said.err and not (run / "bench.json").exists()


def test_a_coral_runs_compiled_bundles_alone_and_its_rows_keep_its_name(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver(tmp_path, monkeypatch, "works")
    assert bench(str(run / "bundles" / "small"), str(run / "bundles" / "small-edgetpu"), "--target", "coral") == 0
    report = as_json(read_report(run / "bench.json"))
    (row,) = (row for row in report["results"] if row["target"] == "coral")
    assert (row["bundle"], row["format"], row["runs"]["device"]) == ("small-edgetpu", "edgetpu", "coral")
    assert row["queries"] == 7 and row["drop"]["dice"] is not None
    assert set(report["environments"]) == {"cpu", "coral"}
    assert "small: not measured on coral, no engine there reads tflite" in [note["text"] for note in report["notes"]]


def test_a_second_compiled_bundle_is_left_out_of_a_bench_with_a_note(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver(tmp_path, monkeypatch, "works")
    compiled_bundle(run / "bundles" / "tail-edgetpu", open_bundle(run / "bundles" / "small").manifest_sha256, tail=True)
    assert bench(*(str(run / "bundles" / name) for name in ("small-edgetpu", "tail-edgetpu")), "--target", "coral") == 0
    report = as_json(read_report(run / "bench.json"))
    assert [row["bundle"] for row in report["results"] if row["target"] == "coral"] == ["small-edgetpu"]
    (note,) = (
        note["text"] for note in report["notes"] if note["bundle"] == "tail-edgetpu" and note["kind"] == "not-measured"
    )
    assert "another process of edgebrain has the Edge TPU" in note


def test_a_coral_without_a_compiled_bundle_is_told_how_to_get_one(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    driver(tmp_path, monkeypatch, "works")
    assert bench(str(run / "bundles" / "small"), "--target", "coral") == 1
    said = capsys.readouterr().err
    assert "coral: no engine there reads tflite" in said and "edgebrain deploy --target coral" in said


def test_predict_takes_a_compiled_bundle_to_its_device_and_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "slice.png", bright_disc())
    compiled_bundle(tmp_path / "b")
    driver(tmp_path, monkeypatch, "works")
    main_words = ["predict", "slice.png", "--bundle", "b", "--out"]
    with pytest.raises(SystemExit) as ended:
        main([*main_words, "done"])
    assert not ended.value.code and (tmp_path / "done" / "results.csv").is_file()
    monkeypatch.setenv("EDGEBRAIN_LIBEDGETPU", "libnowhere.so.1")
    with pytest.raises(SystemExit) as ended:
        main([*main_words, "undone"])
    assert ended.value.code == 1 and "libnowhere.so.1: cannot be loaded" in capsys.readouterr().err
    assert not (tmp_path / "undone").exists()


@pytest.mark.usefixtures("libraries_checked")
def test_the_doctor_tells_what_a_coral_lacks_or_what_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for kind, said in (("refuses", "target coral:"), ("works", "target coral: runs edgetpu")):
        driver(tmp_path, monkeypatch, kind)
        with pytest.raises(SystemExit):
            main(["doctor"])
        lines = capsys.readouterr().out.splitlines()
        assert any(line.startswith(said) for line in lines)
        (cpu,) = (line for line in lines if line.startswith("target cpu"))
        assert "edgetpu" not in cpu and os.fspath(tmp_path) not in cpu
