"""Several slices in one call of an engine: what comes back is what each alone gets, or it is an error."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgebrain.bundle import Bundle, write_bundle
from edgebrain.errors import EdgebrainError, MissingExtra
from edgebrain.runtime.engines import open_engine
from edgebrain.runtime.latency import time_batched
from edgebrain.runtime.session import open_session
from tests.instruction_sets import skip_openvino_under_a_cap
from tests.runtime.pictures import bright_disc, encoded
from tests.runtime.tiny import SIDE, tiny_bundle

KINDS = [("openvino", "float32"), ("openvino", "float16"), ("onnx", "float32")]


@pytest.fixture(autouse=True)
def swapped(monkeypatch: pytest.MonkeyPatch) -> None:
    """The device's name swapped: the way to a GPU, in real sessions on the CPU."""
    monkeypatch.setitem(pytest.importorskip("edgebrain.runtime.engines.openvino").DEVICES, "gpu", "CPU")
    providers = pytest.importorskip("edgebrain.runtime.engines.onnxruntime").PROVIDERS
    monkeypatch.setitem(providers, "gpu", ("CPUExecutionProvider",))


def slices(count: int) -> list[np.ndarray]:
    """Discs of different sizes, in pictures of different sizes."""
    return [bright_disc(40 + 3 * number, 64 - number) for number in range(count)]


def reshaping(folder: Path, as_node: bool = False) -> Bundle:
    """The tiny ONNX network, reshaped to the shape of one slice as tf2onnx writes it in place of a transposition.

    as_node: the shape is no constant of the file but a node's, where it is not looked for.
    """
    import onnx

    bundle = tiny_bundle(folder / "plain", "onnx")
    model = onnx.load_from_string(bundle.contents["model.onnx"])
    shape = onnx.numpy_helper.from_array(np.int64([1, 1, SIDE, SIDE]), "one slice")
    nodes = [onnx.helper.make_node("Reshape", ["slice", "one slice"], ["nchw"]), *list(model.graph.node)[1:]]
    if as_node:
        nodes.insert(0, onnx.helper.make_node("Constant", [], ["one slice"], value=shape))
    else:
        model.graph.initializer.append(shape)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    manifest = {key: value for key, value in bundle.manifest.items() if key not in ("schema", "files", "sha256")}
    return write_bundle(folder / "reshaping", manifest, {"model.onnx": model.SerializeToString()})


@pytest.mark.delicate
@pytest.mark.parametrize("count", [2, 8])
@pytest.mark.parametrize(("fmt", "precision"), KINDS)
def test_slices_answered_together_get_the_answers_of_each_alone(
    tmp_path: Path, fmt: str, precision: str, count: int
) -> None:
    if precision == "float16":
        skip_openvino_under_a_cap(fmt)
    bundle, images = tiny_bundle(tmp_path / "b", fmt, precision), slices(count)
    alone = open_session(bundle, device="gpu")
    expected = [alone.predict(image) for image in images]
    found = open_session(bundle, device="gpu", slices=count).predict_batch(images)
    assert len({one.outputs_sha256 for one in found}) == count
    for one, other in zip(found, expected, strict=True):
        assert np.array_equal(one.mask, other.mask) and one.label == other.label
        # Kernels may sum in another order at another batch; two discs are further apart than a grey step.
        assert np.abs(one.probability.astype(int) - other.probability).max() <= 1
        assert np.allclose(one.class_probabilities, other.class_probabilities, atol=1e-5)


def test_an_onnx_file_that_reshapes_to_one_slice_is_changed_for_several(tmp_path: Path) -> None:
    bundle, images = reshaping(tmp_path), slices(8)
    alone = open_session(bundle, device="gpu")
    found = open_session(bundle, device="gpu", slices=8).predict_batch(images)
    assert [one.outputs_sha256 for one in found] == [alone.predict(image).outputs_sha256 for image in images]


def test_an_onnx_file_whose_shapes_cannot_be_changed_is_refused_and_still_answers_one(tmp_path: Path) -> None:
    bundle = reshaping(tmp_path, as_node=True)
    assert open_session(bundle, device="gpu").predict(bright_disc()).mask.any()
    with pytest.raises(EdgebrainError, match=r"reshaping: onnxruntime cannot answer 8 slices in one call \(.*eshape"):
        open_session(bundle, device="gpu", slices=8)


def test_an_interpreter_that_is_asked_for_one_slice_a_call_says_so(tmp_path: Path) -> None:
    with pytest.raises(EdgebrainError, match="litert cannot answer 8 slices in one call") as caught:
        open_engine(tiny_bundle(tmp_path / "b"), slices=8)
    assert "one by one" in caught.value.hint


def test_the_library_that_changes_onnx_files_is_named_where_it_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tiny_bundle(tmp_path / "b", "onnx")
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.delitem(sys.modules, "edgebrain.runtime.engines.onnx_slices", raising=False)
    with pytest.raises(MissingExtra) as caught:
        open_engine(bundle, device="gpu", slices=8)
    assert caught.value.message.startswith("onnx is not installed") and "edgebrain[onnx]" in caught.value.hint
    assert open_engine(bundle, device="gpu").describe()["device"] == "gpu"


def test_files_are_asked_for_in_turn_and_each_call_is_timed_whole(tmp_path: Path) -> None:
    bundle, images = tiny_bundle(tmp_path / "b", "onnx"), slices(3)
    files = [(f"{number}.png", encoded(image)) for number, image in enumerate(images)]
    alone = open_session(bundle)
    hashes = [alone.predict(image).outputs_sha256 for image in images]
    session = open_session(bundle, slices=2)
    calls = time_batched(session, files, 4)
    asked: list[Any] = [sha256 for call in calls for sha256 in call.outputs_sha256]
    assert asked == [hashes[place % 3] for place in range(8)]
    (together,) = {tuple(one.stage_ns) for one in session.predict_batch(images[:2])}
    assert together == ("preprocess", "inference", "postprocess") and all(call.call_ns > 0 for call in calls)
