"""One layer is broken on purpose, and is found by name, blamed in Dice, and kept in float."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgebrain.bundle import open_bundle
from edgebrain.compression.formats import Exported
from edgebrain.data.readers import open_dataset
from edgebrain.errors import BadBundle, BadRecipe, GateRefused
from edgebrain.model.families.unet import UNetSpec
from edgebrain.recipe import CalibrationPart, GatePart, QuantizeRecipe, check_quantize, replaced
from edgebrain.runs import read_run
from edgebrain.runtime.session import open_session
from edgebrain.runtime.transform import downsample, to_tensor
from tests.instruction_sets import skip_openvino_under_a_cap
from tests.networks import BROKEN, BROKEN_DICE, FinishedRun, finished_run

RECIPE = QuantizeRecipe(
    "int8",
    calibration=CalibrationPart(slices=24),
    gate=GatePart(slices=24, max_dice_drop=0.15, min_agreement=0.5),
)
FORMATS = ("tflite", "openvino", "onnx")


def ignore(what: str, done: int, total: int) -> None:
    """No bar."""


def opened(data: FinishedRun) -> Any:
    from edgebrain.compression.run_inputs import open_run

    return open_run(data.run, open_dataset(data.phantoms), None, read_run(data.run)["data"]["sha256"], ignore)


def compress(data: FinishedRun, recipe: QuantizeRecipe, out: Path) -> dict[str, Any]:
    from edgebrain.compression.quantize import quantize

    return {outcome.name: outcome for outcome in quantize(opened(data), recipe, out, False, ignore)}


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory, session_cache: Path) -> FinishedRun:
    """A network with one layer that INT8 destroys and float does not notice; see networks.py for how much."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(session_cache))
        return finished_run(tmp_path_factory.mktemp("broken"), broken=True)


@pytest.fixture(scope="module")
def loose(broken: FinishedRun) -> Path:
    """Bundles of the broken run, written through a gate that lets everything pass."""
    recipe = replace(RECIPE, gate=GatePart(slices=24, max_dice_drop=1.0, min_agreement=0.0))
    outcomes = compress(broken, recipe, broken.run / "bundles")
    errors = [outcome.error.message for outcome in outcomes.values() if outcome.error]
    assert not errors
    return broken.run / "bundles"


@pytest.fixture(scope="module", params=["tflite", "openvino"])
def found(request: pytest.FixtureRequest, broken: FinishedRun, loose: Path) -> Iterator[dict[str, Any]]:
    from edgebrain.compression.sensitivity import explain

    skip_openvino_under_a_cap(request.param)
    run = opened(broken)
    yield explain(run, open_bundle(loose / f"{request.param}-int8"), 24, ignore)


@pytest.mark.delicate
def test_the_broken_layer_is_named_by_its_own_noise(found: dict[str, Any]) -> None:
    noise = {layer["layer"]: layer["sqnr_db"] for layer in found["layers"]}
    assert min(noise, key=lambda name: noise[name]) == BROKEN
    others = sorted(value for name, value in noise.items() if name != BROKEN)
    # Half of its channels give nothing: a few dB. 8 bits give the others 30 and more.
    assert noise[BROKEN] < 10.0 < 20.0 < others[0]


@pytest.mark.delicate
def test_the_broken_layer_gives_the_most_dice_back(found: dict[str, Any]) -> None:
    back = {layer["layer"]: layer["dice_recovered"] for layer in found["layers"]}
    assert max(back, key=lambda name: back[name]) == BROKEN
    lost = found["dice"]["parent"] - found["dice"]["bundle"]
    # On the 64 pixels of the network a ring of 4.5 is told to a tenth.
    assert found["dice"]["parent"] > 0.9 and found["dice"]["bundle"] == pytest.approx(BROKEN_DICE, abs=0.1)
    assert back[BROKEN] > 0.8 * lost


@pytest.mark.delicate
def test_drift_starts_as_own_noise_and_grows_behind_the_broken_layer(found: dict[str, Any]) -> None:
    layers = {layer["layer"]: layer for layer in found["layers"]}
    if found["format"] == "tflite":
        # Nothing but the input stands before the first layer, and its grey values are stored as they are.
        assert layers["enc1_conv1"]["drift_db"] == pytest.approx(layers["enc1_conv1"]["sqnr_db"], abs=1.0)
    assert layers["dec1_conv2"]["drift_db"] < layers["dec1_up"]["drift_db"] - 10.0


def test_every_layer_has_its_place_work_time_and_size(found: dict[str, Any], loose: Path) -> None:
    spec = UNetSpec.from_json(open_bundle(loose / "tflite-int8").manifest["model"])
    assert [layer["layer"] for layer in found["layers"]] == [layer.name for layer in spec.layers()]
    assert sum(layer["macs"] for layer in found["layers"]) == spec.macs
    counted = [layer["ms"] for layer in found["layers"] if layer["ms"] is not None]
    assert len(counted) >= len(found["layers"]) - 2
    # The parts are timed in another run than the whole: on a busy machine one of both is slowed down, by less than 4.
    assert 0.0 < sum(counted) < 4.0 * found["whole_ms"]
    for layer, known in zip(found["layers"], spec.layers(), strict=True):
        weights = known.size**2 * known.inputs * known.outputs
        assert weights <= layer["bytes"] <= weights + 4 * known.outputs + 32, layer["layer"]


def test_explain_refuses_what_it_cannot_look_into(computed: FinishedRun, broken: FinishedRun, loose: Path) -> None:
    from edgebrain.compression.sensitivity import explain

    run = opened(broken)
    with pytest.raises(BadBundle, match="cannot be looked into"):
        explain(run, open_bundle(loose / "onnx-int8"), 24, ignore)
    with pytest.raises(BadBundle, match="nothing in it is quantized"):
        explain(run, open_bundle(loose / "tflite-float32"), 24, ignore)
    with pytest.raises(BadBundle, match="float parent is not in"):
        explain(opened(computed), open_bundle(loose / "tflite-int8"), 24, ignore)


@pytest.mark.parametrize("name", FORMATS)
def test_a_layer_in_float_leaves_the_rest_of_the_file_as_it_is(name: str, loose: Path, broken: FinishedRun) -> None:
    int8, plain, spec = read(loose, name)
    from edgebrain.compression.sensitivity import with_float

    bundle = open_bundle(loose / f"{name}-int8")
    images = [record.load().image for record in open_dataset(broken.phantoms).records[:6]]
    before = [open_session(bundle).predict(image).outputs_sha256 for image in images]
    untouched = open_session(with_float(bundle, int8, plain, spec, []))
    assert [untouched.predict(image).outputs_sha256 for image in images] == before


@pytest.mark.delicate
@pytest.mark.parametrize("name", FORMATS)
def test_with_every_layer_in_float_the_answers_are_the_float_files(name: str, loose: Path, broken: FinishedRun) -> None:
    from edgebrain.compression.formats import keep_float
    from edgebrain.compression.sensitivity import with_float

    skip_openvino_under_a_cap(name)
    int8, plain, spec = read(loose, name)
    every = [layer.name for layer in spec.layers()]
    mixed = keep_float(name, int8, plain, spec, every)
    assert not any(operator.int8 for operator in mixed.operators if operator.macs)
    bundle = open_bundle(loose / f"{name}-int8")
    wanted, got, rounded = (
        open_session(one)
        for one in (open_bundle(loose / f"{name}-float32"), with_float(bundle, int8, plain, spec, every), bundle)
    )
    images = [record.load().image for record in open_dataset(broken.phantoms).records[:6]]

    def distance(session: Any) -> float:
        pairs = [(session.predict(image), wanted.predict(image)) for image in images]
        return float(np.mean([np.abs(a.probability.astype(int) - b.probability).mean() for a, b in pairs]))

    # Rounded, the broken layer loses the ring of every lesion; in float nothing is lost. In ONNX and TFLite what passes
    # between the layers stays rounded, which moves a few pixels at the edges of rings: a tenth of it at most.
    assert distance(rounded) > 5.0 and distance(got) < 0.2 * distance(rounded)


def test_a_layer_in_float_has_the_float_files_weights_in_onnx_bit_by_bit(loose: Path) -> None:
    import onnx

    from edgebrain.compression.formats import keep_float
    from edgebrain.graph.layers import layer_operators

    int8, plain, spec = read(loose, "onnx")
    every = [layer.name for layer in spec.layers()]
    mixed = keep_float("onnx", int8, plain, spec, every)

    def weights(one: Any) -> dict[str, list[bytes]]:
        graph = onnx.load_model_from_string(one.contents["model.onnx"]).graph
        stored = {tensor.name: onnx.numpy_helper.to_array(tensor).tobytes() for tensor in graph.initializer}
        places = layer_operators(one.operators, spec)
        return {layer: [stored[name] for name in graph.node[place].input[1:]] for layer, place in places.items()}

    assert weights(mixed) == weights(plain) and all(weights(plain)[layer] for layer in every)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("tflite", marks=pytest.mark.delicate),
        *(pytest.param(name, marks=pytest.mark.slow) for name in FORMATS[1:]),
    ],
)
def test_auto_keeps_the_broken_layer_in_float_and_passes(name: str, broken: FinishedRun, tmp_path: Path) -> None:
    recipe = replaced(RECIPE, "compress", formats=(name,), keep_float="auto")
    plain = compress(broken, replaced(RECIPE, "compress", formats=(name,)), tmp_path / "plain")
    assert isinstance(plain[f"{name}-int8"].error, GateRefused)
    outcomes = compress(broken, recipe, tmp_path / "auto")
    outcome = outcomes[f"{name}-int8-mixed"]
    assert outcome.error is None and outcome.bundle is not None and not outcome.gate.reasons
    assert BROKEN in outcome.bundle.manifest["kept_float"]
    assert outcome.bundle.precision == "mixed"
    assert f"{BROKEN} stays float" in outcome.note and "times as long" in outcome.note
    assert not (tmp_path / "auto" / f"{name}-int8").exists()
    assert open_session(open_bundle(outcome.bundle.path)).describe()["engine"]


def test_auto_keeps_nothing_where_int8_passes(computed: FinishedRun, tmp_path: Path) -> None:
    gate = GatePart(slices=24, max_dice_drop=0.2, min_agreement=0.5)
    recipe = replaced(replace(RECIPE, gate=gate), "compress", formats=("tflite",), keep_float="auto")
    outcome = compress(computed, recipe, tmp_path / "b")["tflite-int8"]
    assert outcome.bundle is not None and outcome.bundle.manifest["kept_float"] == []
    assert "nothing stays float" in outcome.note


def test_layers_are_named_and_unknown_ones_refused(computed: FinishedRun, tmp_path: Path) -> None:
    gate = GatePart(slices=24, max_dice_drop=0.2, min_agreement=0.5)
    base = replaced(replace(RECIPE, gate=gate), "compress", formats=("tflite",))
    outcomes = compress(computed, replaced(base, "compress", keep_float="mask, enc1_conv1"), tmp_path / "b")
    assert sorted(outcomes["tflite-int8-mixed"].bundle.manifest["kept_float"]) == ["enc1_conv1", "mask"]
    with pytest.raises(BadBundle, match="no layer 'dec9_conv1'"):
        compress(computed, replaced(base, "compress", keep_float="dec9_conv1"), tmp_path / "c")
    assert not (tmp_path / "c").exists()
    with pytest.raises(BadRecipe, match="stay float"):
        check_quantize(replaced(base, "compress", qat=True, keep_float="mask"), "here")


def test_the_command_prints_a_table_of_80_columns_and_keeps_the_figures(
    loose: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from edgebrain.cli import main

    with pytest.raises(SystemExit) as ended:
        main(["explain", str(loose / "tflite-int8"), "--slices", "24"])
    assert ended.value.code == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert f"most noise of its own: {BROKEN}" in out
    kept = json.loads((loose.parent / "explain" / "tflite-int8.json").read_text())
    assert kept["manifest_sha256"] == open_bundle(loose / "tflite-int8").manifest_sha256


def test_noise_is_told_in_decibels() -> None:
    from edgebrain.compression.sensitivity import Noise

    # Rounding to whole numbers adds noise of variance 1/12 to a uniform signal of variance 200^2 / 12.
    signal = np.random.default_rng(0).uniform(-100.0, 100.0, 200_000)
    noise = Noise()
    for part in np.split(signal, 4):
        noise.add(part, np.round(part))
    assert noise.sqnr_db == pytest.approx(20 * np.log10(200.0), abs=0.05)
    silent = Noise()
    silent.add(signal, signal)
    assert silent.sqnr_db is None


@pytest.mark.delicate
def test_inner_tensors_end_in_what_the_bundle_answers(loose: Path, broken: FinishedRun) -> None:
    from edgebrain.compression.formats import open_probe

    for name in ("tflite", "openvino"):
        bundle = open_bundle(loose / f"{name}-int8")
        spec = UNetSpec.from_json(bundle.manifest["model"])
        image = open_dataset(broken.phantoms).records[0].load().image
        seen = open_probe(bundle, spec).layer_tensors(to_tensor(downsample(image, spec.side, spec.side), bundle.input))
        said = open_session(bundle).predict(image)
        assert seen["class"].outputs.ravel() == pytest.approx(said.class_probabilities, abs=0.02)
        assert seen["mask"].outputs.shape == (1, spec.side, spec.side, 1)
        for layer in spec.layers():
            assert seen[layer.name].inputs.shape[-1] == layer.inputs, layer.name
            assert seen[layer.name].outputs.shape[-1] == layer.outputs, layer.name


def read(folder: Path, name: str) -> tuple[Exported, Exported, UNetSpec]:
    from edgebrain.compression.sensitivity import read_back

    int8, plain = (open_bundle(folder / f"{name}-{kind}") for kind in ("int8", "float32"))
    return read_back(int8), read_back(plain), UNetSpec.from_json(int8.manifest["model"])
