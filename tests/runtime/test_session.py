from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgebrain.errors import BadBundle, BadImage
from edgebrain.runtime.session import Session, open_session
from tests.runtime.pictures import bright_disc, encoded
from tests.runtime.tiny import tiny_bundle


class Fixed:
    """An engine that answers what it is given."""

    def __init__(self, mask: np.ndarray, classes: list[float]) -> None:
        self.mask, self.classes = mask.reshape(1, 16, 16, 1).astype(np.float32), np.float32([classes])

    def run(self, tensor: np.ndarray) -> dict[str, np.ndarray]:
        return {"class": self.classes, "mask": self.mask}

    def describe(self) -> dict[str, Any]:
        return {"engine": "fixed"}


def fixed(folder: Path, mask: np.ndarray, classes: list[float]) -> Session:
    return Session(tiny_bundle(folder), Fixed(mask, classes), 0)


def test_mask_and_probability_have_the_slices_own_size(tmp_path: Path) -> None:
    prediction = open_session(tiny_bundle(tmp_path / "b")).predict(bright_disc(123, 77))
    assert prediction.mask.shape == prediction.probability.shape == (123, 77)
    assert prediction.mask.dtype == bool and prediction.probability.dtype == np.uint8
    assert np.array_equal(prediction.mask, prediction.probability >= 128)


def test_probabilities_are_grown_before_they_are_cut(tmp_path: Path) -> None:
    small = np.zeros((16, 16))
    small[4:8, 4:8] = 0.6
    prediction = fixed(tmp_path / "b", small, [1, 0, 0, 0]).predict(np.zeros((64, 64), np.uint8))
    cut_first = cv2.resize((small > 0.5).astype(np.uint8), (64, 64), interpolation=cv2.INTER_NEAREST)
    # A square at 0.6 loses its corners when it is grown; cut first, it would keep all of its 256 pixels.
    assert 0 < prediction.mask.sum() < cut_first.sum() == 256


def test_the_label_is_the_most_probable_class_in_the_bundles_order(tmp_path: Path) -> None:
    session = fixed(tmp_path / "b", np.zeros((16, 16)), [0.1, 0.2, 0.6, 0.1])
    prediction = session.predict(np.zeros((20, 20), np.uint8))
    assert prediction.label == session.classes[2] == "pituitary"
    assert prediction.class_probabilities.tolist() == pytest.approx([0.1, 0.2, 0.6, 0.1])


def test_a_model_that_answers_nan_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BadBundle, match="NaN"):
        fixed(tmp_path / "b", np.full((16, 16), np.nan), [1, 0, 0, 0]).predict(np.zeros((20, 20), np.uint8))


@pytest.mark.parametrize("image", [np.zeros((4, 4)), np.zeros((4, 4, 3), np.uint8), np.zeros((0, 4), np.uint8)])
def test_only_grey_uint8_slices_are_taken(tmp_path: Path, image: np.ndarray) -> None:
    with pytest.raises(BadImage, match="must be"):
        open_session(tiny_bundle(tmp_path / "b")).predict(image)


def test_the_hash_of_the_outputs_tells_slices_apart_and_repeats(tmp_path: Path) -> None:
    session = open_session(tiny_bundle(tmp_path / "b", precision="int8"))
    first, again, other = (session.predict(image) for image in (bright_disc(), bright_disc(), 255 - bright_disc()))
    assert first.outputs_sha256 == again.outputs_sha256 != other.outputs_sha256


def test_each_stage_has_a_duration_and_decoding_stays_apart(tmp_path: Path) -> None:
    _, prediction = open_session(tiny_bundle(tmp_path / "b")).predict_file(encoded(bright_disc()), "x")
    assert list(prediction.stage_ns) == ["decode", "preprocess", "inference", "postprocess"]
    assert min(prediction.stage_ns.values()) > 0
    assert prediction.predict_ns == sum(prediction.stage_ns.values()) - prediction.stage_ns["decode"]
    assert prediction.stage_ms["inference"] == prediction.stage_ns["inference"] / 1e6


def test_opencv_uses_no_more_threads_than_the_session(tmp_path: Path) -> None:
    for threads in (2, 1):
        open_session(tiny_bundle(tmp_path / str(threads)), threads=threads)
        assert cv2.getNumThreads() == threads


def test_a_changed_model_file_is_refused(tmp_path: Path) -> None:
    path = tiny_bundle(tmp_path / "b").path
    model = path / "model.tflite"
    model.write_bytes(model.read_bytes()[:-1] + b"!")
    with pytest.raises(BadBundle, match="does not match its hash"):
        open_session(path)


def test_another_threshold_in_the_manifest_moves_the_cut(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "b")
    strict = replace(
        bundle, manifest={**bundle.manifest, "postprocess": {"threshold": 0.99, "classes": bundle.classes}}
    )
    areas = [open_session(one).predict(bright_disc()).mask.sum() for one in (bundle, strict)]
    assert areas[0] > areas[1] > 0
