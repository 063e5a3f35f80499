"""Our own export, judged: which versions today's converter writes, and how much of it no public record decides."""

from __future__ import annotations

import numpy as np
import pytest

from edgebrain.bundle import Bundle, write_bundle
from edgebrain.coral.check import FALLS_BACK, MAPPED, UNKNOWN, check_bundle
from edgebrain.model.spec import UNetSpec


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A U-Net of width 2 at 16 px, its biases not 0, as int8 TFLite by the exporter of `edgebrain quantize`."""
    import keras

    from edgebrain.compression.calibration import Calibration
    from edgebrain.compression.exporters import tflite
    from edgebrain.compression.saved_model import save_model
    from edgebrain.model.network import build
    from edgebrain.quiet import quiet
    from edgebrain.training.float_bundle import float_manifest

    folder = tmp_path_factory.mktemp("export")
    spec, rng = UNetSpec.of_width(2, side=16), np.random.default_rng(0)
    model = build(spec, keras, batch_size=1)
    for layer in model.layers:
        layer.set_weights([abs(rng.normal(0.0, 0.3, weight.shape)) + 0.01 for weight in layer.get_weights()])
    with quiet():
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
    assert found.share(UNKNOWN) == pytest.approx(4 / 30) and found.mac_share(UNKNOWN) < 0.06
    assert found.share(MAPPED) == pytest.approx(26 / 30)
