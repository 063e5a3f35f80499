"""A finished run through every exporter and the gate, judged from the written files by real interpreters."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgebrain.bundle import CLASSES, Bundle, open_bundle
from edgebrain.data.readers import open_dataset
from edgebrain.data.split import Split
from edgebrain.errors import BadRun, CannotWrite, GateRefused
from edgebrain.formats import FORMATS as TABLE
from edgebrain.model.families.unet import UNetSpec
from edgebrain.recipe import CalibrationPart, FinetunePart, GatePart, QuantizeRecipe, replaced
from edgebrain.runs import read_run
from edgebrain.runtime.session import open_session
from tests.networks import FinishedRun
from tests.system_programs import needs

# The gate has more room here than the computed network needs, and is tested by itself. A step of Adam moves a weight by
# its learning rate at most: what is fine-tuned by 1e-6 is what was computed.
RECIPE = QuantizeRecipe(
    "int8",
    calibration=CalibrationPart(slices=24),
    finetune=FinetunePart(epochs=1, learning_rate=1e-6, qat_epochs=1, qat_learning_rate=1e-6),
    gate=GatePart(slices=24, max_dice_drop=0.2, min_agreement=0.5, pruned_dice_drop=1.0, pruned_agreement=0.0),
)
FORMATS = [name for name, row in TABLE.items() if row.exporter]


@dataclass(frozen=True)
class Quantized:
    """The bundles of the small run."""

    computed: FinishedRun
    folder: Path

    def open(self, name: str) -> Bundle:
        return open_bundle(self.folder / name)


def compress(computed: FinishedRun, recipe: QuantizeRecipe, out: Path, run: Path | None = None) -> list[Any]:
    from edgebrain.compression.quantize import quantize
    from edgebrain.compression.run_inputs import open_run

    run = run or computed.run
    dataset = open_dataset(computed.phantoms)
    sha256 = read_run(run)["data"]["sha256"]
    return quantize(open_run(run, dataset, None, sha256, ignore), recipe, out, False, ignore)


def ignore(what: str, done: int, total: int) -> None:
    """No bar."""


@pytest.fixture(scope="module")
def quantized(computed: FinishedRun, tmp_path_factory: pytest.TempPathFactory) -> Quantized:
    folder = tmp_path_factory.mktemp("bundles")
    outcomes = compress(computed, RECIPE, folder)
    assert [outcome.error for outcome in outcomes] == [None] * 6
    return Quantized(computed, folder)


def test_each_format_has_an_int8_bundle_and_a_float_sibling(quantized: Quantized) -> None:
    names = sorted(path.name for path in quantized.folder.iterdir())
    assert names == sorted(f"{fmt}-{kind}" for fmt in FORMATS for kind in ("float32", "int8"))


def stop_nncf(monkeypatch: pytest.MonkeyPatch, images: int) -> None:
    import nncf

    real = nncf.quantize
    monkeypatch.setattr(nncf, "quantize", lambda *args, **options: real(*args, **{**options, "subset_size": images}))


def stop_tensorflow(monkeypatch: pytest.MonkeyPatch, images: int) -> None:
    from tensorflow.lite.python.optimize.calibrator import Calibrator

    real = Calibrator._feed_tensors

    def feed(self: Any, dataset: Any, resize_input: bool) -> None:
        real(self, lambda: islice(dataset(), images), resize_input)

    monkeypatch.setattr(Calibrator, "_feed_tensors", feed)


def stop_onnxruntime(monkeypatch: pytest.MonkeyPatch, images: int) -> None:
    from onnxruntime.quantization.calibrate import CalibrationDataReader, MinMaxCalibrater

    real = MinMaxCalibrater.collect_data

    class First(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self, reader: Any) -> None:
            self._inputs = (reader.get_next() for _ in range(images))

        def get_next(self) -> Any:
            return next(self._inputs, None)

    monkeypatch.setattr(MinMaxCalibrater, "collect_data", lambda self, reader: real(self, First(reader)))


STOPPED = {"openvino": stop_nncf, "tflite": stop_tensorflow, "onnx": stop_onnxruntime}


@pytest.mark.parametrize("fmt", FORMATS)
def test_an_observer_that_stops_early_is_found_out_in_every_format(
    computed: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fmt: str
) -> None:
    """Stopped in the library itself: what counts is what it asked for, not what was handed to it."""
    STOPPED[fmt](monkeypatch, 5)
    recipe = replace(RECIPE, compress=replace(RECIPE.compress, formats=(fmt,)))
    outcomes = {outcome.name: outcome for outcome in compress(computed, recipe, tmp_path / "out")}
    assert "the observers saw 5 of 24 calibration images" in str(outcomes[f"{fmt}-int8"].error)
    assert not (tmp_path / "out" / f"{fmt}-int8").exists()


def test_the_int8_share_is_read_from_the_file(quantized: Quantized) -> None:
    for name in ("tflite", "openvino"):
        bundle = quantized.open(f"{name}-int8")
        assert (bundle.manifest["int8_mac_share"], bundle.precision) == (1.0, "int8")
    for name in FORMATS:
        assert quantized.open(f"{name}-float32").manifest["int8_mac_share"] == 0.0


def test_onnx_says_that_its_transposed_convolutions_stay_float(quantized: Quantized) -> None:
    bundle = quantized.open("onnx-int8")
    assert bundle.precision == "mixed"
    assert 0.9 < bundle.manifest["int8_mac_share"] < 1.0
    assert len(bundle.manifest["kept_float"]) == 3


@pytest.mark.delicate
def test_tflite_int8_gives_the_scores_that_its_softmax_would_be_given(quantized: Quantized) -> None:
    """LiteRT's int8 softmax is another one on Arm. Behind ours, the classes are the float sibling's."""
    from edgebrain.graph.tflite import operators

    int8, plain = quantized.open("tflite-int8"), quantized.open("tflite-float32")
    kinds = [[one.kind for one in operators(bundle.contents["model.tflite"])] for bundle in (int8, plain)]
    assert ["SOFTMAX" in one for one in kinds] == [False, True]
    assert (int8.output("class").activation, plain.output("class").activation) == ("softmax", "")
    assert int8.manifest["outputs"]["class"]["activation"] == "softmax"
    grey = np.random.default_rng(0).integers(0, 256, (40, 40)).astype(np.uint8)
    ours, theirs = (open_session(bundle).predict(grey).class_probabilities for bundle in (int8, plain))
    np.testing.assert_allclose(ours, theirs, atol=0.1)


def test_tflite_int8_holds_no_float_tensor_and_per_channel_weights(quantized: Quantized) -> None:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_content=quantized.open("tflite-int8").contents["model.tflite"],
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    details = interpreter.get_tensor_details()
    assert {np.dtype(detail["dtype"]).name for detail in details} <= {"int8", "int32"}
    scales = [len(d["quantization_parameters"]["scales"]) for d in details if d["dtype"] == np.int8]
    spec = UNetSpec.from_json(quantized.open("tflite-int8").manifest["model"])
    widths = [layer.outputs for layer in spec.layers() if layer.outputs > 1]
    assert sorted(count for count in scales if count > 1) == sorted(widths)
    assert [d["dtype"] for d in (*interpreter.get_input_details(), *interpreter.get_output_details())] == [np.int8] * 3


@pytest.mark.parametrize("fmt", FORMATS)
def test_the_border_of_every_int8_bundle_is_eight_bit(fmt: str, quantized: Quantized) -> None:
    bundle = quantized.open(f"{fmt}-int8")
    assert {port.dtype for port in (bundle.input, bundle.output("mask"), bundle.output("class"))} <= {"int8", "uint8"}


@pytest.mark.parametrize("fmt", FORMATS)
def test_int8_files_are_smaller_than_their_float_sibling(fmt: str, quantized: Quantized) -> None:
    # The smallest network: structure weighs as much as weights. The full one is 3.8 times smaller.
    assert quantized.open(f"{fmt}-int8").model_bytes < quantized.open(f"{fmt}-float32").model_bytes * 0.9


@pytest.mark.delicate
@pytest.mark.parametrize("fmt", FORMATS)
def test_float_siblings_answer_as_keras_does(fmt: str, quantized: Quantized) -> None:
    keras_session = open_session(quantized.computed.run / "float")
    session = open_session(quantized.folder / f"{fmt}-float32")
    for record in open_dataset(quantized.computed.phantoms).records[:6]:
        image = record.load().image
        ours, theirs = session.predict(image), keras_session.predict(image)
        # Each sums in its own order, and the class is 80 times the brightness: 1e-6 of this is 1e-4 of a probability.
        np.testing.assert_allclose(ours.class_probabilities, theirs.class_probabilities, atol=1e-3)
        assert np.abs(ours.probability.astype(int) - theirs.probability.astype(int)).max() <= 1


@pytest.mark.delicate
@pytest.mark.parametrize("fmt", FORMATS)
def test_int8_bundles_stay_near_their_float_sibling(fmt: str, quantized: Quantized) -> None:
    small, full = (open_session(quantized.folder / f"{fmt}-{kind}") for kind in ("int8", "float32"))
    far = []
    for record in open_dataset(quantized.computed.phantoms).records[:8]:
        image = record.load().image
        ours, theirs = (session.predict(image).probability.astype(int) for session in (small, full))
        far.append(np.abs(ours - theirs).mean())
    # INT8 moves a pixel in a hundred by a few steps; an inverted or empty mask is 10 and more away.
    assert np.mean(far) < 3.0


# AVX2 without AVX-512 or VNNI, and an Atom that has no AVX at all. The interpreters choose their kernels by CPUID, of
# which only oneDNN can be talked out otherwise.
PROCESSORS = ("Haswell", "Denverton")
ON_A_PROCESSOR = """
import sys
from pathlib import Path
import numpy as np
from edgebrain.runtime.session import open_session
said = {}
for asked in sys.argv[3:]:
    folder, _, engine = asked.partition("@")
    session = open_session(Path(folder), engine or None)
    answers = [session.predict(image) for image in np.load(sys.argv[1])]
    said[f"{asked} mask"] = [one.mask for one in answers]
    said[f"{asked} class"] = [one.class_probabilities.argmax() for one in answers]
    said[f"{asked} sha256"] = [one.outputs_sha256 for one in answers]
np.savez(sys.argv[2], **said)
"""


@pytest.mark.slow
@pytest.mark.parametrize("processor", PROCESSORS)
def test_every_bundle_works_on_an_older_processor(processor: str, quantized: Quantized, tmp_path: Path) -> None:
    """Emulated, instruction by instruction: what is there is what the interpreters find and use."""
    needs("qemu-x86_64")
    records = open_dataset(quantized.computed.phantoms).records[:8]
    samples = [record.load() for record in records]
    np.save(tmp_path / "images.npy", [sample.image for sample in samples])
    asked = [f"{quantized.folder}/{fmt}-{kind}" for fmt in FORMATS for kind in ("float32", "int8")]
    asked.append(f"{quantized.folder}/tflite-int8@openvino")
    command = ["qemu-x86_64", "-cpu", processor, sys.executable, "-c", ON_A_PROCESSOR]
    command += map(str, [tmp_path / "images.npy", tmp_path / "said.npz", *asked])
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said = np.load(tmp_path / "said.npz")
    truth = np.stack([sample.mask for sample in samples])
    labels = [CLASSES.index(sample.label) for sample in samples]
    for one in asked:
        mask = said[f"{one} mask"]
        assert 2.0 * (mask & truth).sum() / (mask.sum() + truth.sum()) > 0.9, one
        assert said[f"{one} class"].tolist() == labels, one
    # Sums of whole numbers: the bytes of this processor.
    here = open_session(quantized.folder / "tflite-int8")
    expected = [here.predict(sample.image).outputs_sha256 for sample in samples]
    assert said[f"{here.bundle.path} sha256"].tolist() == expected


def test_lineage_leads_to_the_float_bundle_and_the_split(quantized: Quantized) -> None:
    parent = open_bundle(quantized.computed.run / "float")
    for name in FORMATS:
        for kind in ("float32", "int8"):
            lineage = quantized.open(f"{name}-{kind}").lineage
            assert lineage["parent"] == parent.manifest_sha256
            assert lineage["split_sha256"] == Split.read(quantized.computed.run / "split.json").sha256
            assert lineage["data_sha256"] == parent.lineage["data_sha256"]


@pytest.mark.parametrize("fmt", FORMATS)
def test_calibration_is_listed_by_hash_from_the_training_side_and_counted(fmt: str, quantized: Quantized) -> None:
    bundle = quantized.open(f"{fmt}-int8")
    content = bundle.contents["calibration.csv"]
    rows = list(csv.DictReader(io.StringIO(content.decode())))
    assert hashlib.sha256(content).hexdigest() == bundle.lineage["calibration_sha256"]
    assert bundle.lineage["calibration_slices"] == bundle.lineage["calibration_seen"] == len(rows) == 24
    assert {row["name"] for row in rows} <= set(Split.read(quantized.computed.run / "split.json").names_of("train"))
    image = quantized.computed.phantoms / "images" / rows[0]["name"]
    assert hashlib.sha256(image.read_bytes()).hexdigest() == rows[0]["sha256"]


def test_scores_of_the_gate_lie_in_the_bundle(quantized: Quantized) -> None:
    scores = json.loads(quantized.open("tflite-int8").contents["scores.json"])
    assert scores["side"] == "val"
    assert {image["name"] for image in scores["images"]} <= set(
        Split.read(quantized.computed.run / "split.json").names_of("val")
    )


def test_bundles_that_are_there_are_not_replaced_unasked(quantized: Quantized) -> None:
    with pytest.raises(CannotWrite, match="tflite-int8: already exists"):
        compress(quantized.computed, RECIPE, quantized.folder)


@pytest.mark.slow
def test_fp16_halves_the_weights_and_needs_no_calibration(quantized: Quantized, tmp_path: Path) -> None:
    outcomes = compress(quantized.computed, replaced(RECIPE, "compress", precision="fp16"), tmp_path)
    assert [outcome.error for outcome in outcomes] == [None] * 6
    for fmt in FORMATS:
        bundle = open_bundle(tmp_path / f"{fmt}-fp16")
        assert bundle.precision == "float16"
        assert "calibration.csv" not in bundle.contents and bundle.lineage["calibration_sha256"] is None
    assert open_bundle(tmp_path / "openvino-fp16").contents["model.bin"].__len__() < 0.6 * len(
        quantized.open("openvino-float32").contents["model.bin"]
    )


def broken_run(computed: FinishedRun, folder: Path, layer: str, value: float) -> Path:
    """A copy of the run whose float weights of one layer are overwritten, hashes and all, as a bad export would be."""
    import keras

    from edgebrain.bundle import write_bundle
    from edgebrain.model.network import weights_bytes
    from edgebrain.training.float_bundle import open_float_model

    shutil.copytree(computed.run, folder)
    bundle, model = open_float_model(folder / "float")
    assert keras.backend.backend() == "tensorflow"
    kernel, bias = model.get_layer(layer).get_weights()
    model.get_layer(layer).set_weights([kernel * 0.0, bias * 0.0 + value])
    contents = {**bundle.contents, "model.weights.h5": weights_bytes(model)}
    write_bundle(folder / "float", bundle.manifest, contents, force=True)
    return folder


def test_a_collapsed_export_is_refused_and_not_written(
    quantized: Quantized, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parent is sound; what is exported marks nothing: as if the exporter had lost the decoder."""
    from edgebrain.compression import quantize as module
    from edgebrain.training.float_bundle import open_float_model

    _, dead = open_float_model(broken_run(quantized.computed, tmp_path / "dead", "mask", -20.0) / "float")
    real = module.save_model
    monkeypatch.setattr(module, "save_model", lambda model, side, folder: real(dead, side, folder))
    recipe = replaced(RECIPE, "compress", formats=("tflite",))
    outcomes = compress(quantized.computed, recipe, tmp_path / "out")
    for outcome in outcomes:
        assert isinstance(outcome.error, GateRefused)
        assert "all background" in outcome.error.message
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_a_run_without_a_float_bundle_says_how_to_finish_it(quantized: Quantized, tmp_path: Path) -> None:
    shutil.copytree(quantized.computed.run, tmp_path / "run", ignore=shutil.ignore_patterns("float"))
    with pytest.raises(BadRun, match="no float bundle yet") as caught:
        compress(quantized.computed, RECIPE, tmp_path / "out", tmp_path / "run")
    assert "--resume" in caught.value.hint


def test_pruning_gives_a_narrower_parent_with_a_lineage(quantized: Quantized, tmp_path: Path) -> None:
    recipe = replaced(RECIPE, "compress", prune=0.5, formats=("tflite",))
    outcomes = compress(quantized.computed, recipe, tmp_path)
    assert [outcome.error for outcome in outcomes] == [None, None]
    root = open_bundle(quantized.computed.run / "float")
    pruned, int8 = open_bundle(tmp_path / "float-prune50"), open_bundle(tmp_path / "tflite-int8-prune50")
    assert pruned.lineage["parent"] == root.manifest_sha256
    assert int8.lineage["parent"] == pruned.manifest_sha256
    assert int8.manifest["parameters"] == pruned.manifest["parameters"] < 0.5 * root.manifest["parameters"]
    assert int8.manifest["macs"] < 0.35 * root.manifest["macs"]
    assert (tmp_path / "tflite-float32-prune50").is_dir()


@pytest.mark.slow
def test_quantization_aware_training_gives_a_full_integer_file(quantized: Quantized, tmp_path: Path) -> None:
    recipe = replaced(RECIPE, "compress", qat=True, formats=("tflite",))
    outcomes = compress(quantized.computed, recipe, tmp_path)
    assert [outcome.error for outcome in outcomes] == [None, None]
    bundle = open_bundle(tmp_path / "tflite-int8-qat")
    assert bundle.manifest["int8_mac_share"] == 1.0
    assert {port.dtype for port in (bundle.input, bundle.output("mask"), bundle.output("class"))} == {"int8"}
    # A dynamic batch would leave shape arithmetic in the graph.
    assert not any(name.startswith(("SHAPE", "PACK", "STRIDED_SLICE")) for name in bundle.manifest["operators"])
    assert bundle.lineage["calibration_sha256"] is None and "calibration.csv" not in bundle.contents


@pytest.mark.slow
def test_another_process_writes_the_same_bytes(quantized: Quantized, tmp_path: Path) -> None:
    recipe = tmp_path / "mine.toml"
    from edgebrain.settings import as_toml

    recipe.write_text(as_toml(RECIPE))
    written = []
    for name in ("a", "b"):
        command = ["quantize", str(quantized.computed.run), "--recipe", str(recipe), "--out", str(tmp_path / name)]
        subprocess.run([sys.executable, "-m", "edgebrain", *command], check=True, capture_output=True)
        files = sorted(path for path in (tmp_path / name).rglob("*") if path.is_file())
        written.append({str(p.relative_to(tmp_path / name)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files})
    assert written[0] == written[1]


def test_two_outcomes_of_one_recipe_differ_only_where_asked() -> None:
    from edgebrain.compression.quantize import variant_name

    assert variant_name(RECIPE) == "int8"
    assert variant_name(replaced(RECIPE, "compress", prune=0.5)) == "int8-prune50"
    assert variant_name(replaced(RECIPE, "compress", qat=True)) == "int8-qat"
    assert variant_name(replaced(RECIPE, "compress", precision="fp16")) == "fp16"
    assert replace(RECIPE, name="x").sha256 != RECIPE.sha256


def test_the_coral_recipe_writes_tflite_and_judges_each_operator(
    computed: FinishedRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from edgebrain.cli import main

    recipe = tmp_path / "coral.toml"
    recipe.write_text(
        'name = "coral"\n[compress]\nformats = ["tflite"]\ncheck = "coral"\n[calibration]\nslices = 24\n'
        "[gate]\nslices = 24\nmax_dice_drop = 0.2\nmin_agreement = 0.5\n"
    )
    command = ["quantize", str(computed.run), "--recipe", str(recipe), "--out", str(tmp_path / "b")]
    with pytest.raises(SystemExit) as ended:
        main(command)
    assert ended.value.code == 0
    out = capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "b").iterdir()) == ["tflite-float32", "tflite-int8"]
    assert "dec1_up" in out and "mapped" in out and "unknown" in out
