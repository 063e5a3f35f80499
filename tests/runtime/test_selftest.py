"""The self-test names the first step that gives other bytes, and says by how much."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgebrain.errors import BadBundle, BadImage, BadKit
from edgebrain.files import read_json, write_files, write_json
from edgebrain.runtime import session as session_module
from edgebrain.runtime import transform
from edgebrain.runtime.__main__ import main
from edgebrain.runtime.engines.interpreter import TFLiteEngine
from edgebrain.runtime.selftest import record, self_test
from edgebrain.runtime.session import STEPS, open_session
from tests.runtime.pictures import bright_disc, encoded
from tests.runtime.tiny import tiny_bundle

SLICES = 6


@pytest.fixture(params=["int8", "float32"])
def kit(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    return make_kit(tmp_path / "kit", request.param)


def slices() -> dict[str, bytes]:
    """Bright discs, soft and noisy, of sizes that the network's is no divisor of."""
    files = {}
    for number, kind in enumerate((".png", ".jpg", ".tiff") * (SLICES // 3), start=1):
        noise = np.random.default_rng(number).integers(0, 20, (90 + 7 * number, 75 + number), np.uint8)
        disc = cv2.GaussianBlur(bright_disc(*noise.shape), (0, 0), 4) // 10 * 9
        files[f"slice_{number}{kind}"] = encoded(disc + noise, kind)
    return files


def make_kit(folder: Path, precision: str = "int8") -> Path:
    """A folder as the self-test wants it, recorded on this machine."""
    bundle = tiny_bundle(folder / "bundle", precision=precision)
    write_files(folder / "reference", record(open_session(bundle), slices()))
    return folder


def linear(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """The resize that rounds differently from processor to processor."""
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)


def changed(function: Callable[..., np.ndarray], step: float = 1) -> Callable[..., np.ndarray]:
    """The function with its first value moved by a step."""

    def other(*arguments: Any) -> np.ndarray:
        array = function(*arguments).copy()
        array.flat[0] += array.dtype.type(step) if array.flat[0] < 100 else array.dtype.type(-step)
        return array

    return other


def test_the_same_bytes_pass_and_every_step_is_named(kit: Path) -> None:
    verdict = self_test(kit)
    assert verdict.passed
    assert f"PASS: {SLICES} slices" in verdict.lines()[-1]
    assert all(step in verdict.lines()[-1] for step in STEPS)


def test_the_reference_is_the_same_bytes_each_time(tmp_path: Path) -> None:
    session = open_session(tiny_bundle(tmp_path / "b", precision="int8"))
    first, again = (record(session, slices()) for _ in range(2))
    assert first == again
    assert len(first) == 2 * SLICES + 1


def test_a_decoded_pixel_is_named_at_decode(kit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "decode", changed(session_module.decode))
    verdict = self_test(kit)
    assert verdict.first.step == "decode"
    assert "FAIL at decode: slice_1" in "\n".join(verdict.lines())
    assert "1 of " in verdict.first.what and "the largest difference is 1" in verdict.first.what


def test_a_picture_that_cannot_be_decoded_here_fails_at_decode(kit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_jpeg(data: bytes, name: str) -> np.ndarray:
        if name.endswith(".jpg"):
            raise BadImage(f"{name}: no JPEG here")
        return decode(data, name)

    decode = session_module.decode
    monkeypatch.setattr(session_module, "decode", no_jpeg)
    verdict = self_test(kit)
    assert verdict.first.step == "decode" and verdict.first.slice.endswith(".jpg")
    assert "no JPEG here" in verdict.first.what


def test_the_usual_bilinear_resize_is_named_at_resize(kit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transform, "resize_exact", linear)
    verdict = self_test(kit)
    assert verdict.first.step == "resize"
    assert "the largest difference is 1" in verdict.first.what
    assert verdict.lines()[1] == "the same bytes in every slice: decode"


def test_another_input_tensor_is_named(kit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "to_tensor", changed(session_module.to_tensor))
    assert self_test(kit).first.step == "input tensor"


@pytest.mark.parametrize("role", ["mask", "class"])
def test_a_raw_output_one_step_off_is_named_with_the_number_of_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, role: str
) -> None:
    kit, run = make_kit(tmp_path / "kit"), TFLiteEngine.run

    def off(engine: TFLiteEngine, tensor: np.ndarray) -> dict[str, np.ndarray]:
        raw = run(engine, tensor)
        raw[role].flat[:2] += np.where(raw[role].flat[:2] < 0, 1, -1).astype(np.int8)
        return raw

    monkeypatch.setattr(TFLiteEngine, "run", off)
    verdict = self_test(kit)
    assert verdict.first.step == f"raw outputs ({role})"
    total = 256 if role == "mask" else 4
    assert verdict.first.what == f"2 of {total} values differ, the largest difference is 1"
    assert f"{SLICES} of {SLICES} slices differ" in verdict.lines()[2]


def test_outputs_that_are_no_numbers_fail_at_the_raw_outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kit, run = make_kit(tmp_path / "kit", "float32"), TFLiteEngine.run
    monkeypatch.setattr(TFLiteEngine, "run", lambda *a: {role: raw * np.nan for role, raw in run(*a).items()})
    assert self_test(kit).first.step == "raw outputs (mask)"


def test_another_threshold_is_named_at_the_mask(kit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "threshold_mask", lambda probability, threshold: probability >= 100)
    verdict = self_test(kit)
    assert verdict.first.step == "mask"
    assert "raw outputs (class)" in verdict.lines()[1]


def test_a_mask_grown_with_another_resize_is_named_at_the_mask(kit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "resize_exact", linear)
    assert self_test(kit).first.step == "mask"


def test_the_earliest_step_of_all_slices_is_named_not_the_first_slice(
    kit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def third(data: bytes, name: str) -> np.ndarray:
        return (other if name.startswith("slice_3") else decode)(data, name)

    decode = session_module.decode
    other = changed(decode)
    monkeypatch.setattr(session_module, "decode", third)
    monkeypatch.setattr(session_module, "threshold_mask", lambda probability, threshold: probability >= 100)
    verdict = self_test(kit)
    assert verdict.first.step == "decode" and verdict.first.slice.startswith("slice_3")
    assert len(verdict.differences) > 1


def test_libraries_that_differ_are_told_beside_a_failure(kit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = read_json(kit / "reference/expected.json", BadKit)
    expected["made"]["opencv"] = "4.0.0"
    write_json(kit / "reference/expected.json", expected)
    assert self_test(kit).passed, "the bytes decide, not the versions"
    monkeypatch.setattr(session_module, "decode", changed(session_module.decode))
    assert f"  opencv: 4.0.0 there, {cv2.__version__} here" in self_test(kit).lines()


def test_a_byte_of_the_weights_is_found_by_its_hash(kit: Path) -> None:
    model = kit / "bundle/model.tflite"
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)
    with pytest.raises(BadBundle, match=r"model\.tflite: does not match its hash"):
        self_test(kit)


def test_another_bundle_is_refused(kit: Path, tmp_path: Path) -> None:
    (kit / "bundle").rename(tmp_path / "aside")
    tiny_bundle(kit / "bundle", precision="float32", postprocess={"threshold": 0.4, "classes": ["a", "b", "c", "d"]})
    with pytest.raises(BadKit, match="is another bundle than the one the reference was made with"):
        self_test(kit)


def test_a_reference_that_was_changed_is_not_called_a_difference(kit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = next((kit / "reference/slices").glob("slice_2*"))
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(BadKit, match=r"slice_2.*: was changed"):
        self_test(kit)
    path.unlink()
    with pytest.raises(BadKit, match=r"slice_2.*: cannot be read"):
        self_test(kit)
    steps = next((kit / "reference/steps").glob("slice_1*"))
    monkeypatch.setattr(session_module, "decode", changed(session_module.decode))
    for content in (b"nonsense", steps.read_bytes()[:-9]):
        steps.write_bytes(content)
        with pytest.raises(BadKit, match=r"slice_1.*: was changed"):
            self_test(kit)


def test_a_folder_without_a_reference_or_of_another_schema_is_refused(kit: Path, tmp_path: Path) -> None:
    with pytest.raises(BadKit, match=r"expected\.json: cannot be read"):
        self_test(tmp_path)
    expected = read_json(kit / "reference/expected.json", BadKit)
    write_json(kit / "reference/expected.json", {**expected, "schema": 2})
    with pytest.raises(BadKit, match="schema"):
        self_test(kit)


def test_the_command_ends_with_0_3_or_1(
    kit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["selftest", str(kit)]) == 0
    assert "PASS" in capsys.readouterr().out
    monkeypatch.setattr(session_module, "threshold_mask", lambda probability, threshold: probability >= 100)
    assert main(["selftest", str(kit)]) == 3
    assert "FAIL at mask" in capsys.readouterr().out
    assert main(["selftest", str(tmp_path / "nowhere")]) == 1
    assert capsys.readouterr().err.startswith("Error: ")
