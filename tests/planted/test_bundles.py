"""Bundles that are not what they say: refused when they are opened, or when a bench counts again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import onnx
import pytest
from ai_edge_litert import schema_py_generated as schema

from edgebrain.benchmarking.verify_bundle import check_claims
from edgebrain.bundle import Bundle, open_bundle, write_bundle
from edgebrain.cli import main
from edgebrain.errors import BadBundle
from edgebrain.files import canonical_json, sha256_bytes
from edgebrain.model.families.unet import UNetSpec
from edgebrain.runtime.session import open_session
from tests.planted.broken_exports import child, weights
from tests.runtime.pictures import bright_disc, save
from tests.runtime.tiny import tiny_bundle, tiny_manifest


def edited(bundle: Bundle, change: Callable[[dict[str, Any]], None]) -> Path:
    """The manifest changed on the disk, as by hand."""
    manifest = json.loads((bundle.path / "manifest.json").read_text())
    change(manifest)
    (bundle.path / "manifest.json").write_text(canonical_json(manifest))
    return bundle.path


def said_by_predict(bundle: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What `edgebrain predict` says of a bundle, and that it ends with 1."""
    picture = save(folder / "slice.png", bright_disc())
    with pytest.raises(SystemExit) as ended:
        main(["predict", str(picture), "--bundle", str(bundle), "--out", str(folder / "out")])
    assert ended.value.code == 1
    return capsys.readouterr().err


def swap_roles(manifest: dict[str, Any]) -> None:
    outputs = manifest["outputs"]
    outputs["mask"], outputs["class"] = outputs["class"], outputs["mask"]


def swap_tensors(manifest: dict[str, Any]) -> None:
    mask, label = manifest["outputs"]["mask"], manifest["outputs"]["class"]
    mask["tensor"], label["tensor"] = label["tensor"], mask["tensor"]


def forget_mask_scale(manifest: dict[str, Any]) -> None:
    manifest["outputs"]["mask"].update(scale=1.0, zero_point=0)


def scores_for_probabilities(manifest: dict[str, Any]) -> None:
    manifest["outputs"]["mask"].update(scale=0.1, zero_point=0)


def input_of_0_to_255(manifest: dict[str, Any]) -> None:
    manifest["input"].update(scale=1.0)


def any_pixel_above_0(manifest: dict[str, Any]) -> None:
    manifest["postprocess"]["threshold"] = 0.0


def any_step_above_0(manifest: dict[str, Any]) -> None:
    manifest["postprocess"]["threshold"] = 0.003


def threshold_of_1(manifest: dict[str, Any]) -> None:
    manifest["postprocess"]["threshold"] = 1.0


def better_name(manifest: dict[str, Any]) -> None:
    manifest["precision"] = "mixed"


def class_names_reordered(manifest: dict[str, Any]) -> None:
    manifest["postprocess"]["classes"].reverse()


PLANTED = [
    (swap_roles, "the outputs are swapped: 'mask' has shape (1, 4)", "quantize"),
    (forget_mask_scale, "output 'mask' is int8 with scale 1: its dequantization was forgotten", "scale and zero point"),
    (scores_for_probabilities, "output 'mask' is int8 with scale 0.1: it holds scores", "sigmoid and softmax"),
    (input_of_0_to_255, "the input's scale is 1: grey values come as 0 to 1, and only 2 of 256", "divided by 255"),
    (any_pixel_above_0, "threshold is 0: every pixel above 0 would be lesion", "cut at 0.5"),
    (any_step_above_0, "threshold is 0.003: every pixel above 0 would be lesion", "cut at 0.5"),
    (threshold_of_1, "threshold is 1: nothing would be lesion", "cut at 0.5"),
    (better_name, "was edited: it does not match its own hash", "copy the bundle again"),
    (class_names_reordered, "was edited: it does not match its own hash", "copy the bundle again"),
]


@pytest.mark.parametrize(("change", "mistake", "advice"), PLANTED, ids=lambda one: getattr(one, "__name__", ""))
def test_a_manifest_that_cannot_be_is_refused_by_the_command_line(
    change: Callable[[dict[str, Any]], None],
    mistake: str,
    advice: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bundle = edited(tiny_bundle(tmp_path / "planted", precision="int8"), change)
    said = said_by_predict(bundle, tmp_path, capsys)
    assert f"{bundle / 'manifest.json'}: " in said and mistake in said and advice in said


def test_outputs_that_are_named_after_each_other_are_found_in_the_file(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "right", precision="int8")
    manifest = json.loads(canonical_json(bundle.manifest))
    swap_tensors(manifest)
    write_bundle(tmp_path / "planted", manifest, bundle.contents)
    with pytest.raises(BadBundle, match=r"planted: the outputs are swapped: '.*', named as mask, has the shape of the"):
        open_session(tmp_path / "planted")


def test_a_scale_that_is_not_the_files_is_found_in_the_file(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "right", precision="int8")
    manifest = json.loads(canonical_json(bundle.manifest))
    manifest["input"]["scale"] = 2 / 255
    write_bundle(tmp_path / "planted", manifest, bundle.contents)
    with pytest.raises(BadBundle, match=r"planted: input scale is 0\.0078.* in the manifest, 0\.0039.* in the model"):
        open_session(tmp_path / "planted")


def test_model_files_of_two_bundles_exchanged_are_refused(tmp_path: Path) -> None:
    first, second = (tiny_bundle(tmp_path / name, precision=name) for name in ("float32", "int8"))
    (first.path / "model.tflite").write_bytes(second.contents["model.tflite"])
    with pytest.raises(BadBundle, match=r"float32/model\.tflite: does not match its hash"):
        open_bundle(first.path)


def test_an_exchange_with_mended_hashes_is_an_edited_manifest(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "one")
    other = child(tmp_path / "other", weights(shift=-3.0)).contents["model.onnx"]
    (bundle.path / "model.tflite").write_bytes(other)

    def mend(manifest: dict[str, Any]) -> None:
        manifest["files"] = [{"name": "model.tflite", "bytes": len(other), "sha256": sha256_bytes(other)}]

    with pytest.raises(BadBundle, match=r"one/manifest\.json: was edited"):
        open_bundle(edited(bundle, mend))


def test_a_list_of_calibration_images_changed_afterwards_is_refused(tmp_path: Path) -> None:
    listed = b"name,group,sha256\na.png,g,00\n"
    bundle = tiny_bundle(tmp_path / "right", precision="int8", lineage={"calibration_sha256": sha256_bytes(listed)})
    write_bundle(tmp_path / "honest", bundle.manifest, {**bundle.contents, "calibration.csv": listed})
    with pytest.raises(BadBundle, match=r"planted/calibration\.csv: was changed after the calibration") as caught:
        write_bundle(tmp_path / "planted", bundle.manifest, {**bundle.contents, "calibration.csv": listed[:-5]})
    assert "quantize again" in caught.value.hint


def free_batch_tflite(content: bytes) -> bytes:
    """The file with a free first axis, as a converter writes it for a model without a fixed batch."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    graph = model.subgraphs[0]
    for place in (*graph.inputs, *graph.outputs):
        tensor = graph.tensors[place]
        tensor.shapeSignature = np.array([-1, *tensor.shape[1:]], np.int32)
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def free_batch_onnx(content: bytes) -> bytes:
    model = onnx.load_model_from_string(content)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    return model.SerializeToString()


@pytest.mark.parametrize(("fmt", "free"), [("tflite", free_batch_tflite), ("onnx", free_batch_onnx)])
def test_a_free_batch_where_a_fixed_one_was_promised_is_refused(
    fmt: str, free: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    bundle = tiny_bundle(tmp_path / "honest", fmt)
    assert open_session(bundle).predict(bright_disc()).mask.any()
    content = free(bundle.contents[f"model.{fmt}"])
    write_bundle(tmp_path / "planted", bundle.manifest, {f"model.{fmt}": content})
    with pytest.raises(BadBundle, match="planted: input has a dynamic shape in the model") as caught:
        open_session(tmp_path / "planted")
    assert "(1, 16, 16, 1)" in caught.value.message and "batch 1" in caught.value.hint


@pytest.mark.parametrize("fmt", ["tflite", "openvino", "onnx"])
def test_a_float_sibling_that_poses_as_int8_is_found_by_counting(fmt: str, tmp_path: Path) -> None:
    posing = tiny_bundle(tmp_path / "planted", fmt, precision="float32", **{"int8_mac_share": 1.0})
    manifest = {**posing.manifest, "precision": "int8"}
    posing = write_bundle(tmp_path / "posing", manifest, posing.contents)
    with pytest.raises(
        BadBundle, match="posing: is called int8, but not one multiply-add of its file is int8: a float"
    ):
        check_claims(posing)


def test_a_share_that_is_not_the_files_is_found_by_counting(tmp_path: Path) -> None:
    half = tiny_bundle(tmp_path / "planted", precision="int8", int8_mac_share=0.5)
    with pytest.raises(
        BadBundle, match=r"planted: its manifest claims 50\.0% int8 multiply-adds, its file has 100\.0%"
    ):
        check_claims(half)


def test_weights_of_another_network_are_found_by_counting(tmp_path: Path) -> None:
    """A file of other widths under a manifest whose shapes, hashes and scales all fit."""
    spec = UNetSpec.of_width(4, side=16)
    verify_bundle = {**tiny_manifest("onnx", "float32", "x"), "model": spec.as_json(), "macs": spec.macs}
    planted = write_bundle(tmp_path / "planted", verify_bundle, tiny_bundle(tmp_path / "other", "onnx").contents)
    with pytest.raises(BadBundle, match=r"planted: the file multiplies 2,308 times a slice, .* of another network"):
        check_claims(planted)


def test_what_cannot_be_counted_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgebrain.benchmarking import verify_bundle
    from edgebrain.errors import MissingExtra

    def missing(*arguments: object) -> Any:
        raise MissingExtra("onnx", "onnx", "reading ONNX files")

    monkeypatch.setattr(verify_bundle, "read_operators", missing)
    note = check_claims(tiny_bundle(tmp_path / "bundle", "onnx"))
    assert note is not None and (note.kind, note.bundle) == ("not-counted", "bundle")
    assert note.text == "bundle: its int8 share was not counted again (onnx is not installed)"


@pytest.mark.parametrize(("fmt", "precision"), [("tflite", "float32"), ("tflite", "int8"), ("onnx", "float32")])
def test_honest_bundles_keep_their_claims(fmt: str, precision: str, tmp_path: Path) -> None:
    assert check_claims(tiny_bundle(tmp_path / "honest", fmt, precision)) is None
