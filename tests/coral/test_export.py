"""Our own export, judged: which versions today's converter writes, and how much of it no public record decides."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgebrain.bundle import Bundle, write_bundle
from edgebrain.coral.check import FALLS_BACK, MAPPED, UNKNOWN, check_bundle
from edgebrain.model.families.unet import UNetSpec


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return written(tmp_path_factory.mktemp("export"), UNetSpec.of_width(2, side=16))


@pytest.fixture(scope="module")
def doubling(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The same with pixels repeated in place of transposed convolutions."""
    return written(tmp_path_factory.mktemp("export"), UNetSpec.of_width(2, side=16, upsampling="nearest"))


def written(folder: Path, spec: UNetSpec) -> Bundle:
    """A U-Net of width 2 at 16 px, its biases not 0, as int8 TFLite by the exporter of `edgebrain quantize`."""
    import keras

    from edgebrain.capture_output import capture_output
    from edgebrain.compression.calibration import Calibration
    from edgebrain.compression.formats import tflite
    from edgebrain.compression.saved_model import save_model
    from edgebrain.training.float_bundle import float_manifest

    rng = np.random.default_rng(0)
    model = spec.build(keras, batch_size=1)
    for layer in model.layers:
        layer.set_weights([abs(rng.normal(0.0, 0.3, weight.shape)) + 0.01 for weight in layer.get_weights()])
    with capture_output():
        save_model(model, spec.side, folder / "saved")
    names = tuple(f"{number}" for number in range(4))
    images = rng.integers(0, 256, (4, 16, 16), dtype=np.uint8)
    made = tflite.export(folder / "saved", spec.side, "int8", Calibration(names, names, names, images))
    manifest = {
        **float_manifest("export", spec, {"parent": None}),
        "format": "tflite",
        "precision": "int8",
        "input": made.input.as_json(),
        "outputs": {role: port.as_json() for role, port in made.outputs.items()},
    }
    return write_bundle(folder / "int8", manifest, dict(made.contents))


def test_nothing_of_our_export_is_known_to_fall_back(exported: Bundle) -> None:
    found = check_bundle(exported)
    assert found.share(FALLS_BACK) == 0.0 and not found.refused
    versions = {row.detail.operator.kind: row.detail.operator.version for row in found.rows}
    # A bias or an activation in a transposed convolution would raise its version to one that compilers refuse.
    assert versions["TRANSPOSE_CONV"] == 2 and versions["CONV_2D"] == 3


def test_layers_have_their_keras_names_in_the_order_of_computation(exported: Bundle) -> None:
    rows = check_bundle(exported).rows
    names = [row.layer for row in rows]
    wanted = [layer.name for layer in UNetSpec.of_width(2, side=16).layers()]
    assert [name for name in names if name in wanted] == wanted
    assert {"enc1_pool", "enc3_pool", "dec3_concat", "dec1_concat", "head_pool"} <= set(names)
    assert names.index("dec3_up") < names.index("dec3_concat") < names.index("dec3_conv1")


def test_transposed_convolutions_and_the_mean_are_all_that_is_unknown(exported: Bundle) -> None:
    found = check_bundle(exported)
    unknown = {row.layer for row in found.rows if row.finding.status == UNKNOWN}
    assert unknown == {"dec3_up", "dec2_up", "dec1_up", "head_pool"}
    assert found.share(UNKNOWN) == pytest.approx(4 / 29) and found.mac_share(UNKNOWN) < 0.06
    assert found.share(MAPPED) == pytest.approx(25 / 29)


def test_with_repeated_pixels_only_the_mean_is_unknown(doubling: Bundle) -> None:
    found = check_bundle(doubling)
    versions = {row.detail.operator.kind: row.detail.operator.version for row in found.rows}
    assert versions["RESIZE_NEAREST_NEIGHBOR"] == 2 and "TRANSPOSE_CONV" not in versions
    assert {row.layer for row in found.rows if row.finding.status != MAPPED} == {"head_pool"}
    assert {"dec3_double", "dec1_double", "dec3_up"} <= {row.layer for row in found.rows}


def test_doubling_without_half_pixel_centres_answers_the_same_bytes(doubling: Bundle) -> None:
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    from edgebrain.compression.formats.tflite_edits import lower_resize_version, pack

    plain = doubling.contents["model.tflite"]
    assert lower_resize_version(plain) == plain, "what is plain already stays"
    model = schema.ModelT.InitFromPackedBuf(plain, 0)
    for code in model.operatorCodes:
        if code.builtinCode == schema.BuiltinOperator.RESIZE_NEAREST_NEIGHBOR:
            code.version = 3
    centred = 0
    for operator in model.subgraphs[0].operators:
        if hasattr(operator.builtinOptions, "halfPixelCenters"):
            operator.builtinOptions.halfPixelCenters = True
            centred += 1
    assert centred == 3
    answers = []
    rng = np.random.default_rng(1)
    tensors = rng.integers(-128, 128, (5, 1, 16, 16, 1), dtype=np.int8)
    for content in (pack(model), plain):
        # XNNPACK fails on half-pixel centres.
        own = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        interpreter = Interpreter(model_content=content, experimental_op_resolver_type=own)
        interpreter.allocate_tensors()
        for tensor in tensors:
            interpreter.set_tensor(interpreter.get_input_details()[0]["index"], tensor)
            interpreter.invoke()
            answers.append([interpreter.get_tensor(out["index"]) for out in interpreter.get_output_details()])
    for before, after in zip(answers[:5], answers[5:], strict=True):
        for a, b in zip(before, after, strict=True):
            np.testing.assert_array_equal(a, b)
    assert lower_resize_version(pack(model)) != pack(model)
