from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgebrain.bundle import Bundle, write_bundle
from edgebrain.errors import BadBundle, EdgebrainError, MissingExtra
from edgebrain.formats import ENGINES, FORMATS, EngineInfo, engines_for
from edgebrain.runtime import engines
from edgebrain.runtime.doctor import EXTRAS
from edgebrain.runtime.engines import choose_engine, installed, open_engine
from edgebrain.runtime.session import open_session
from tests.instruction_sets import skip_openvino_under_a_cap
from tests.runtime.pictures import bright_disc
from tests.runtime.tiny import tiny_bundle, tiny_manifest

# Those that run anywhere, without TensorFlow; tests/coral has the other.
EXPORTED = [name for name, row in FORMATS.items() if row.exporter]
KINDS = [
    ("tflite", "float32"),
    ("tflite", "int8"),
    ("openvino", "float32"),
    ("openvino", "float16"),
    ("onnx", "float32"),
]


def changed(folder: Path, bundle: Bundle, port: str, **parts: Any) -> Bundle:
    """The same model under a manifest in which parts of one port are different."""
    manifest = {key: value for key, value in bundle.manifest.items() if key not in ("schema", "files")}
    ports = {"input": manifest["input"], **manifest["outputs"]}
    ports[port] = {**ports[port], **parts}
    manifest["input"], manifest["outputs"] = ports["input"], {role: ports[role] for role in ("mask", "class")}
    return write_bundle(folder, manifest, bundle.contents)


def skip_float16_of_openvino(fmt: str, precision: str) -> None:
    if precision == "float16":
        skip_openvino_under_a_cap(fmt)


@pytest.mark.parametrize(("fmt", "precision"), KINDS)
def test_every_interpreter_marks_the_bright_disc(tmp_path: Path, fmt: str, precision: str) -> None:
    skip_float16_of_openvino(fmt, precision)
    image = bright_disc()
    session = open_session(tiny_bundle(tmp_path / "b", fmt, precision))
    prediction = session.predict(image)
    truth = image > 128
    overlap = 2 * (prediction.mask & truth).sum() / (prediction.mask.sum() + truth.sum())
    assert overlap > 0.85
    assert [session.predict(np.full((9, 9), v, np.uint8)).label for v in (0, 255)] == ["glioma", "no_tumor"]
    assert prediction.class_probabilities.sum() == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize(("fmt", "precision"), KINDS)
def test_an_engine_tells_what_really_runs(tmp_path: Path, fmt: str, precision: str) -> None:
    skip_float16_of_openvino(fmt, precision)
    facts = open_engine(tiny_bundle(tmp_path / "b", fmt, precision), threads=2).describe()
    assert facts["engine"] == next(engines_for(fmt)).name
    assert facts["threads"] == 2
    assert facts["version"][0].isdigit()
    # A float16 bundle leaves the choice to the processor; the others are bound.
    assert facts["precision"] == precision or precision == "float16"


def test_litert_names_the_delegate_that_took_over(tmp_path: Path) -> None:
    assert open_engine(tiny_bundle(tmp_path / "b", precision="int8")).describe()["delegate"] == "XNNPACK"


@pytest.mark.skipif(not installed("tflite"), reason="tflite-runtime is not installed")
def test_the_old_interpreter_marks_the_bright_disc_too(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "b", precision="int8")
    prediction = open_session(bundle, "tflite").predict(bright_disc())
    assert prediction.mask[bright_disc() > 200].mean() > 0.8
    assert open_session(bundle, "tflite").describe()["engine"] == "tflite"


def test_a_model_is_loaded_from_the_verified_bytes_and_not_from_the_disk(tmp_path: Path) -> None:
    for fmt in EXPORTED:
        bundle = tiny_bundle(tmp_path / fmt, fmt)
        shutil.rmtree(bundle.path)
        assert open_session(bundle).predict(bright_disc()).mask.any()


@pytest.mark.parametrize(
    ("fmt", "port", "parts", "word"),
    [
        ("tflite", "input", {"scale": 0.01}, "input scale is 0.01"),
        ("tflite", "input", {"zero_point": 0}, "input zero_point is 0"),
        ("tflite", "mask", {"scale": 0.005}, "output 'mask' scale is 0.005"),
        ("tflite", "mask", {"tensor": "gone"}, "output 'mask' name is gone"),
        ("tflite", "class", {"tensor": "PartitionedCall:1"}, "output 'class' shape is (1, 4)"),
        ("tflite", "input", {"dtype": "uint8"}, "input dtype is uint8"),
        ("openvino", "input", {"shape": [1, 8, 8, 1]}, "input shape is (1, 8, 8, 1)"),
        ("openvino", "mask", {"tensor": "gone"}, "output 'mask' name is gone"),
        ("openvino", "class", {"scale": 0.005}, "output 'class' scale is 0.005"),
        ("onnx", "mask", {"shape": [1, 8, 8, 1]}, "output 'mask' shape is (1, 8, 8, 1)"),
        ("onnx", "mask", {"tensor": "class"}, "output 'mask' shape is (1, 16, 16, 1)"),
        ("onnx", "input", {"dtype": "int8", "scale": 1 / 255}, "input dtype is int8"),
    ],
)
def test_a_manifest_of_another_model_is_refused_by_what_differs(
    tmp_path: Path, fmt: str, port: str, parts: dict[str, Any], word: str
) -> None:
    bundle = tiny_bundle(tmp_path / "right", fmt, "int8" if fmt == "tflite" else "float32")
    wrong = changed(tmp_path / "wrong", bundle, port, **parts)
    with pytest.raises(BadBundle) as caught:
        open_engine(wrong)
    assert word in caught.value.message
    assert str(tmp_path / "wrong") in caught.value.message


@pytest.mark.parametrize(
    ("fmt", "contents"),
    [
        ("tflite", {"model.tflite": b"no model at all"}),
        ("tflite", {"model.onnx": b"x"}),
        ("openvino", {"model.xml": b"<net/>", "model.bin": b""}),
        ("openvino", {"model.xml": b"<net/>"}),
        ("onnx", {"model.onnx": b"no model at all"}),
        ("onnx", {"model.tflite": b"x"}),
    ],
)
def test_bytes_that_are_no_model_are_refused_with_the_bundle_named(
    tmp_path: Path, fmt: str, contents: dict[str, bytes]
) -> None:
    bundle = write_bundle(tmp_path / "b", tiny_manifest(fmt, "float32", "b"), contents)
    with pytest.raises(BadBundle) as caught:
        open_engine(bundle)
    assert str(tmp_path / "b") in caught.value.message and caught.value.hint


@pytest.mark.parametrize(("fmt", "extra"), [("tflite", "edge"), ("openvino", "openvino"), ("onnx", "onnx")])
def test_a_missing_interpreter_is_named_with_the_line_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fmt: str, extra: str
) -> None:
    bundle = tiny_bundle(tmp_path / "b", fmt)
    monkeypatch.setattr(engines, "installed", lambda name: False)
    with pytest.raises(MissingExtra) as caught:
        open_engine(bundle)
    assert caught.value.hint == f"pip install 'edgebrain[{extra}]'"


def test_the_old_interpreter_is_taken_where_only_that_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tiny_bundle(tmp_path / "b")
    assert choose_engine(bundle) == "litert"
    monkeypatch.setattr(engines, "installed", lambda name: name == "tflite")
    assert choose_engine(bundle) == "tflite"


def test_an_engine_that_cannot_read_the_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EdgebrainError, match="'onnxruntime' does not read tflite"):
        open_engine(tiny_bundle(tmp_path / "b"), "onnxruntime")


@pytest.mark.parametrize("fmt", EXPORTED)
def test_a_device_that_an_engine_does_not_know_is_refused(tmp_path: Path, fmt: str) -> None:
    with pytest.raises(EdgebrainError, match="cannot run on device 'npu'"):
        open_engine(tiny_bundle(tmp_path / "b", fmt), device="npu")


def test_every_format_is_read_on_each_of_its_devices_and_every_engine_reads_a_format() -> None:
    for name, row in FORMATS.items():
        assert all(any(engines_for(name, device)) for device in row.devices), name
    assert all(FORMATS.keys() >= set(row.formats) for row in ENGINES.values())


def test_doctor_lists_the_extra_of_every_engine_and_format_with_its_library() -> None:
    extras = {extra.name: extra for extra in EXTRAS}
    for row in ENGINES.values():
        assert row.library in extras[row.extra].modules, row.name
    assert {row.extra for row in FORMATS.values()} <= extras.keys()


@pytest.mark.parametrize(
    ("fmt", "device", "engines"),
    [
        ("tflite", "cpu", ["litert", "tflite", "openvino"]),
        ("tflite", "gpu", []),
        ("openvino", "gpu", ["openvino"]),
        ("onnx", "cpu", ["onnxruntime"]),
        ("keras", "gpu", ["keras"]),
        ("edgetpu", "coral", ["edgetpu"]),
        ("edgetpu", "cpu", []),
        ("edgetpu", None, ["edgetpu"]),
        ("coreml", None, []),
    ],
)
def test_engines_of_a_format_are_listed_best_first_for_a_device(
    fmt: str, device: str | None, engines: list[str]
) -> None:
    assert [row.name for row in engines_for(fmt, device)] == engines


def test_an_engine_is_asked_on_its_own_devices_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENGINES, "other", EngineInfo("other", "m", ("onnx",), "json", "json", devices=("gpu",)))
    assert "other" not in [row.name for row in engines_for("onnx", "cpu")]
    assert "other" in [row.name for row in engines_for("onnx", "gpu")]


def test_answers_do_not_change_when_the_next_slice_is_asked(tmp_path: Path) -> None:
    for fmt in EXPORTED:
        engine = open_engine(tiny_bundle(tmp_path / fmt, fmt))
        first = engine.run(np.ones((1, 16, 16, 1), np.float32))["mask"]
        kept = first.copy()
        engine.run(np.zeros((1, 16, 16, 1), np.float32))
        assert np.array_equal(first, kept)


def test_onnx_runtime_tells_from_its_profile_which_provider_ran(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    onnx = pytest.importorskip("edgebrain.runtime.engines.onnxruntime")
    bundle = tiny_bundle(tmp_path / "b", "onnx")
    ran = onnx.providers_that_ran(bundle, ["CPUExecutionProvider"])
    assert set(ran) == {"CPUExecutionProvider"} and sum(ran.values()) >= 3
    # The device's name swapped: the way to a GPU, in a real session.
    monkeypatch.setitem(onnx.PROVIDERS, "gpu", ("CPUExecutionProvider",))
    assert open_engine(bundle, device="gpu").describe()["device"] == "gpu"


def test_a_silent_fall_to_the_cpu_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    onnx = pytest.importorskip("edgebrain.runtime.engines.onnxruntime")
    import onnxruntime

    others = [name for name in onnxruntime.get_available_providers() if name != "CPUExecutionProvider"]
    if not others:
        pytest.skip("this build has no provider but the CPU's, so nothing can be planted")
    # A real provider that takes none of these operators: the runtime computes them on the CPU without a word.
    monkeypatch.setitem(onnx.PROVIDERS, "gpu", (others[0],))
    with pytest.raises(
        EdgebrainError, match=r"asked for device 'gpu', and of \d+ operators .* on CPUExecutionProvider"
    ):
        open_engine(tiny_bundle(tmp_path / "b", "onnx"), device="gpu")


def test_a_gpu_that_is_not_here_is_told_with_the_way_out(tmp_path: Path) -> None:
    for fmt, said, way_out in (
        ("onnx", "no provider for device 'gpu'", "onnxruntime-gpu"),
        ("openvino", "sees no device GPU here", "driver"),
    ):
        # In a process of its own, as a worker is: drivers and TensorFlow may not bear each other.
        run = subprocess.run(
            [sys.executable, "-c", ON_GPU, str(tiny_bundle(tmp_path / fmt, fmt).path)], capture_output=True, text=True
        )
        if run.returncode == 0:
            pytest.skip("there is a GPU here")
        assert said in run.stderr and way_out in run.stderr


ON_GPU = """
import subprocess
import sys
from pathlib import Path
from edgebrain.runtime.session import open_session
open_session(Path(sys.argv[1]), device="gpu")
"""


def test_openvino_executes_where_it_was_asked_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = pytest.importorskip("edgebrain.runtime.engines.openvino")
    bundle = tiny_bundle(tmp_path / "b", "openvino")
    monkeypatch.setitem(engine.DEVICES, "gpu", "CPU")
    assert open_engine(bundle, device="gpu").describe()["provider"] == "CPU"
    monkeypatch.setitem(engine.DEVICES, "gpu", "GPU")
    with pytest.raises(EdgebrainError, match=r"asked for device .gpu., and it executes on GPU\.0, CPU"):
        engine.refuse_elsewhere(bundle, "gpu", ["GPU.0", "CPU"])
    engine.refuse_elsewhere(bundle, "gpu", ["GPU.1"])
