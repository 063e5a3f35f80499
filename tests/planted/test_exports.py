"""Exports that went wrong: the gate refuses the written file and names what was done to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgebrain.cli import main
from edgebrain.compression.diagnosis import REPAIRS, Repair, repaired
from edgebrain.compression.formats import Exported
from edgebrain.compression.gate import Answers, admit, answer, diagnose, judge
from edgebrain.errors import BadBundle, GateRefused
from edgebrain.graph import tflite as graph
from edgebrain.runtime.session import open_session
from tests.networks import FinishedRun
from tests.planted.broken_exports import (
    after,
    before,
    child,
    mask_port,
    parent,
    rolled,
    samples,
    stored_as_uint8,
    weights,
    without,
)
from tests.runtime.tiny import MODELS, SIDE, tiny_bundle

SLICES = samples()
LIMITS = (0.05, 0.85)
BACKWARDS = np.arange(SIDE)[::-1].astype(np.int64)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """What the parent says, through the session that the gate uses."""
    return answer(open_session(parent(tmp_path_factory.mktemp("sound") / "parent")), SLICES)


def refused(folder: Path, sound: Answers, *edits: Any, **changes: Any) -> GateRefused:
    """What the gate says of a child."""
    session = open_session(child(folder, *edits, **changes))
    with pytest.raises(GateRefused) as caught:
        admit("planted", sound, session, SLICES, *LIMITS)
    assert caught.value.message.startswith("planted: refused") and caught.value.hint
    return caught.value


NAMED = {
    "inverted input": ([before("Sub", 1.0, first=False)], {}, "the input is inverted", "255 - x"),
    "input of 0 to 255": ([before("Div", 255.0)], {}, "it wants 0 to 255", "divided by 255, once"),
    "input divided twice": ([before("Mul", 255.0)], {}, "divided by 255 twice", "divided by 255, once"),
    "input of -1 to 1": ([before("Div", 2.0), before("Add", 1.0)], {}, "it wants -1 to 1", "divided by 255, once"),
    "background as lesion": (
        [after("mask", "Sub", np.float32(1.0), place=1)],
        {},
        "lesion and background are exchanged",
        "probability of lesion",
    ),
    "transposed mask": ([after("mask", "Transpose", perm=[0, 2, 1, 3])], {}, "the mask is transposed", "height, width"),
    "mirrored mask": ([after("mask", "Gather", BACKWARDS, place=0, axis=2)], {}, "flipped left-right", "augmentation"),
    "mask upside down": ([after("mask", "Gather", BACKWARDS, axis=1)], {}, "flipped upside down", "top to bottom"),
    "shifted mask": ([after("mask", "Gather", rolled(2), axis=1)], {}, "shifted by 2 rows", "paddings and strides"),
    "classes in another order": (
        [after("class", "Gather", np.int64([1, 2, 3, 0]), axis=1)],
        {},
        "classes are in another order: meningioma, pituitary, no_tumor, glioma",
        "export them as glioma, meningioma, pituitary, no_tumor",
    ),
}


@pytest.mark.parametrize("name", NAMED)
def test_a_mistake_that_can_be_undone_is_named_and_no_other_one(name: str, tmp_path: Path, sound: Answers) -> None:
    edits, changes, _, advice = NAMED[name]
    said = refused(tmp_path, sound, *edits, **changes)
    named = [one for one, (*_, mistake, _) in NAMED.items() if mistake in said.message]
    assert named == [name] and "so read, it answers as its parent does" in said.message
    assert advice in said.hint and "nothing was written" in said.hint


@pytest.mark.parametrize("repair", REPAIRS, ids=lambda one: one.mistake)
def test_no_repair_is_named_for_a_sound_model(repair: Repair, tmp_path: Path, sound: Answers) -> None:
    """A repair that changed nothing would bring every model back; each of the table takes a sound one away."""
    session = open_session(parent(tmp_path / "parent"))
    try:
        broken = answer(repaired(session, repair), SLICES)
    except BadBundle:
        return  # So read, its numbers are no probabilities.
    assert judge(sound, broken, *LIMITS).reasons


COLLAPSED = {
    "all background": ([weights(shift=-100.0)], "all background: no lesion pixel on 12 tumour slices"),
    "saturated mask": ([weights(shift=100.0)], "saturated mask: at least 100%"),
    "constant mask": ([after("mask", "Mul", np.float32(0.0)), after("mask", "Add", np.float32(0.6))], "constant mask"),
    "constant class": ([weights(matrix=0.0)], "constant class: the same probabilities for every slice"),
    "every healthy slice marked": ([weights(shift=-9.0)], "every healthy slice is marked: 6 of 6, by its parent 0"),
    "random classes": ([weights(bias=[4, 1, -4, 2])], "class agreement is"),
    "smaller masks": ([weights(shift=-23.0)], "Dice fell from"),
}


@pytest.mark.parametrize("name", COLLAPSED)
def test_a_collapse_that_nothing_undoes_is_named_and_not_explained_away(
    name: str, tmp_path: Path, sound: Answers
) -> None:
    edits, words = COLLAPSED[name]
    said = refused(tmp_path, sound, *edits)
    assert words in said.message and "so read" not in said.message


NO_PROBABILITIES = {
    "lost sigmoid": ([without("Sigmoid")], {}, "'mask' holds no probabilities", "its sigmoid was lost", "its sigmoid"),
    "lost softmax": ([without("Softmax")], {}, "'class' holds no probabilities", "its softmax was lost", "its softmax"),
    "forgotten zero point": (
        [stored_as_uint8],
        mask_port(1 / 255, 128),
        "'mask' holds no probabilities but numbers from -0.50",
        "its dequantization is wrong (scale 0.00392157, zero point 128)",
        "scale and zero point of the file",
    ),
}


@pytest.mark.parametrize("name", NO_PROBABILITIES)
def test_answers_that_are_no_probabilities_are_told_with_the_bundle(name: str, tmp_path: Path, sound: Answers) -> None:
    edits, changes, what, mistake, advice = NO_PROBABILITIES[name]
    said = refused(tmp_path, sound, *edits, **changes)
    assert str(tmp_path / "child") in said.message and what in said.message and mistake in said.message
    assert advice in said.hint


def test_a_mask_in_8_bit_integers_with_its_own_scale_passes(tmp_path: Path, sound: Answers) -> None:
    session = open_session(child(tmp_path, stored_as_uint8, **mask_port(1 / 255, 0)))
    assert admit("honest", sound, session, SLICES, *LIMITS)[1].reasons == ()


def test_weights_that_are_no_numbers_are_told_with_the_bundle(tmp_path: Path, sound: Answers) -> None:
    said = refused(tmp_path, sound, weights(kernel=np.nan))
    assert f"{tmp_path / 'child'}: the model's output" in said.message and "NaN or infinity" in said.message
    assert "train or export it again" in said.hint


@pytest.mark.parametrize(("fmt", "precision"), [("onnx", "float32"), ("openvino", "float32"), ("tflite", "int8")])
def test_honest_children_pass(fmt: str, precision: str, tmp_path: Path, sound: Answers) -> None:
    session = open_session(tiny_bundle(tmp_path / "honest", fmt, precision))
    _, verdict = admit("honest", sound, session, SLICES, *LIMITS)
    assert verdict.reasons == () and verdict.agreement > 0.85


def test_a_sound_child_with_few_answers_changed_is_not_diagnosed(tmp_path: Path, sound: Answers) -> None:
    """No repair makes a weak child better: none is named for the sake of naming one."""
    session = open_session(child(tmp_path, weights(shift=-23.0)))
    assert diagnose(sound, session, SLICES, *LIMITS) is None


def test_a_child_that_answers_nonsense_when_it_is_asked_otherwise_is_still_judged(
    tmp_path: Path, sound: Answers
) -> None:
    """Without its sigmoid and squeezed into 0.18 to 0.42: marks nothing as it is, and far from 1 when fed 0 to 255."""
    squeezed = [without("Sigmoid"), after("mask", "Mul", np.float32(0.01)), after("mask", "Add", np.float32(0.3))]
    said = refused(tmp_path, sound, *squeezed)
    assert "all background" in said.message and "so read" not in said.message


def test_a_child_that_marks_as_many_healthy_slices_as_its_parent_passes(tmp_path: Path) -> None:
    eager = open_session(child(tmp_path, weights(shift=-9.0)))
    says = answer(eager, SLICES)
    assert admit("eager", says, eager, SLICES, *LIMITS)[1].reasons == ()


class FloatExporter:
    """A converter that was asked for int8 and wrote float: no calibration images, and nobody looked."""

    @staticmethod
    def export(saved: Path, side: int, precision: str, calibration: Any) -> Exported:
        content = (MODELS / "tiny_float32.tflite").read_bytes()
        bundle = tiny_bundle(saved.parent / "any", "tflite")
        ports = {role: bundle.output(role) for role in ("mask", "class")}
        return Exported({"model.tflite": content}, bundle.input, ports, tuple(graph.operators(content)))


def test_a_quantized_file_with_float_weights_is_refused_by_quantize(
    computed: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from edgebrain.compression import quantize

    monkeypatch.setattr(quantize, "format_module", lambda name: FloatExporter)
    recipe = tmp_path / "tflite.toml"
    recipe.write_text('name = "tflite"\n[compress]\nformats = ["tflite"]\n[calibration]\nslices = 16\n')
    # The float sibling is there already, so that only the int8 file is exported.
    tiny_bundle(tmp_path / "out" / "tflite-float32")
    with pytest.raises(SystemExit) as ended:
        main(["quantize", str(computed.run), "--recipe", str(recipe), "--out", str(tmp_path / "out")])
    said = capsys.readouterr().err
    assert ended.value.code == 1
    assert "tflite-int8: refused: not one multiply-add of the written file is int8" in said
    assert "weights float32, activations float32" in said
    assert not (tmp_path / "out" / "tflite-int8").exists()


def test_a_model_of_keras_with_nan_weights_is_told_by_layer(computed: FinishedRun, tmp_path: Path) -> None:
    import shutil

    from edgebrain.bundle import write_bundle
    from edgebrain.model.network import weights_bytes
    from edgebrain.training.float_bundle import open_float_model

    bundle, model = open_float_model(computed.run / "float")
    kernel = model.get_layer("mid_conv1").get_weights()[0]
    kernel[0, 0, 0, 0] = np.nan
    model.get_layer("mid_conv1").set_weights([kernel])
    shutil.copytree(computed.run / "float", tmp_path / "float")
    write_bundle(tmp_path / "float", bundle.manifest, {"model.weights.h5": weights_bytes(model)}, force=True)
    with pytest.raises(BadBundle, match=r"float: layer mid_conv1 holds NaN") as caught:
        open_float_model(tmp_path / "float")
    assert caught.value.hint == "train it again"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scale", "offset", "mistake"),
    [(-1.0, 1.0, "the input is inverted"), (1.0 / 255.0, 0.0, "it wants 0 to 255, slices come as 0 to 1")],
    ids=["inverted", "scaled"],
)
def test_a_whole_network_exported_with_another_input_is_named_by_quantize(
    scale: float,
    offset: float,
    mistake: str,
    computed: FinishedRun,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The whole way: the wrong layer in front of the network, TensorFlow's converter, the interpreter, the gate."""
    import keras

    from edgebrain.compression import quantize

    real = quantize.save_model

    def with_a_layer_too_many(model: Any, side: int, folder: Path) -> None:
        given = keras.Input((side, side, 1), batch_size=1)
        real(keras.Model(given, model(keras.layers.Rescaling(scale, offset)(given))), side, folder)

    monkeypatch.setattr(quantize, "save_model", with_a_layer_too_many)
    recipe = tmp_path / "tflite.toml"
    recipe.write_text('name = "tflite"\n[compress]\nformats = ["tflite"]\n[calibration]\nslices = 16\n')
    with pytest.raises(SystemExit) as ended:
        main(["quantize", str(computed.run), "--recipe", str(recipe), "--out", str(tmp_path / "out")])
    said = capsys.readouterr().err
    assert ended.value.code == 1 and "tflite-float32: refused on" in said and mistake in said
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())
