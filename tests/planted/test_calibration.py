"""Calibration on what it must not be: refused when a model is quantized, and again when the bundle is measured."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from edgebrain.cli import main
from edgebrain.compression.calibration import Calibration, check_calibration, choose_calibration
from edgebrain.compression.formats import Exported, written_operators
from edgebrain.data.pack import Pack, open_pack
from edgebrain.data.readers import open_dataset
from edgebrain.data.split import Split
from edgebrain.errors import BadData
from edgebrain.files import sha256_bytes
from edgebrain.recipe import CalibrationPart
from tests.networks import FinishedRun
from tests.planted.conftest import Shelf, lines
from tests.runtime.tiny import tiny_bundle

PART = CalibrationPart(slices=24)
Plant = Callable[[Pack, Split], Calibration]


def of(pack: Pack, names: list[str]) -> Calibration:
    """A calibration written by hand."""
    rows = pack.index(names)
    columns = (tuple(column[row] for row in rows) for column in (pack.names, pack.groups, pack.sha256s))
    return Calibration(*columns, np.array(pack.images[rows]))


def noise(pack: Pack, split: Split) -> Calibration:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (24, *pack.images.shape[1:]), dtype=np.uint8)
    names = tuple(f"noise{number}.png" for number in range(24))
    return Calibration(names, names, tuple(sha256_bytes(image.tobytes()) for image in images), images)


def noise_under_good_names(pack: Pack, split: Split) -> Calibration:
    return replace(choose_calibration(pack, split, PART), images=noise(pack, split).images)


def foreign_pictures(pack: Pack, split: Split) -> Calibration:
    chosen = choose_calibration(pack, split, PART)
    return replace(chosen, names=tuple(f"cat{number}.jpg" for number in range(24)))


def test_slices(pack: Pack, split: Split) -> Calibration:
    return of(pack, [*split.train[:20], *split.test[:4]])


test_slices.__test__ = False  # type: ignore[attr-defined]


def validation_slices(pack: Pack, split: Split) -> Calibration:
    return of(pack, list(split.val[:16]))


def one_class(pack: Pack, split: Split) -> Calibration:
    rows = pack.index(split.train)
    return of(pack, [pack.names[row] for row in rows if pack.labels[row] == 0][:24])


def no_healthy_slice(pack: Pack, split: Split) -> Calibration:
    rows = pack.index(split.train)
    return of(pack, [pack.names[row] for row in rows if pack.labels[row] != 3][:40])


def inverted(pack: Pack, split: Split) -> Calibration:
    chosen = choose_calibration(pack, split, PART)
    return replace(chosen, images=255 - chosen.images)


def other_content(pack: Pack, split: Split) -> Calibration:
    chosen = choose_calibration(pack, split, PART)
    return replace(chosen, sha256s=("0" * 64, *chosen.sha256s[1:]))


PLANTED: list[tuple[Plant, str]] = [
    (noise, "the images are random noise (neighbouring pixels correlate by 0.00"),
    (noise_under_good_names, "the images are random noise (neighbouring pixels correlate by"),
    (foreign_pictures, "24 of 24 calibration images are not slices of the data set (first: cat0.jpg)"),
    (test_slices, "calibrated on the test side: "),
    (validation_slices, "calibrated on the val side: "),
    (one_class, "calibrated on one class only, glioma; no slice of meningioma, no_tumor, pituitary"),
    (no_healthy_slice, "no slice of no_tumor, which the training side has"),
    (inverted, "are not those of the slice of that name (24 slices in all): inverted, scaled or otherwise changed"),
    (other_content, "does not have the listed hash (1 slices in all): the list was edited"),
]


@pytest.fixture(scope="module")
def pack(computed: FinishedRun) -> Pack:
    return open_pack(open_dataset(computed.phantoms), 64)


@pytest.fixture(scope="module")
def split(computed: FinishedRun) -> Split:
    return Split.read(computed.run / "split.json")


@pytest.mark.parametrize(("plant", "mistake"), PLANTED, ids=lambda one: getattr(one, "__name__", ""))
def test_a_calibration_that_must_not_be_is_refused_by_name(
    plant: Plant, mistake: str, pack: Pack, split: Split
) -> None:
    with pytest.raises(BadData) as caught:
        check_calibration(plant(pack, split), pack, split)
    assert caught.value.message.startswith("calibration: ") and mistake in caught.value.message
    assert caught.value.hint


def test_the_command_refuses_before_anything_is_exported(
    computed: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from edgebrain.compression import quantize

    monkeypatch.setattr(quantize, "choose_calibration", lambda pack, split, part: noise(pack, split))
    with pytest.raises(SystemExit) as ended:
        main(["quantize", str(computed.run), "--int8", "--out", str(tmp_path / "out")])
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert "calibration: the images are random noise" in said and "draws from the training side" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("slices", [8, 24, 64])
def test_what_edgebrain_draws_itself_passes(slices: int, pack: Pack, split: Split) -> None:
    check_calibration(choose_calibration(pack, split, CalibrationPart(slices=slices)), pack, split)


class LazyExporter:
    """A converter whose observers read a part of the images, and which writes an int8 file all the same."""

    def __init__(self, read: int) -> None:
        self._read = read

    def export(self, saved: Path, side: int, precision: str, calibration: Calibration) -> Exported:
        deque(islice(calibration.tensors(), self._read), maxlen=0)
        bundle = tiny_bundle(saved.parent / "any", "tflite", "int8")
        ports = {role: bundle.output(role) for role in ("mask", "class")}
        return Exported(bundle.contents, bundle.input, ports, written_operators("tflite", bundle.contents))


@pytest.mark.parametrize("read", [0, 5, 23])
def test_the_command_refuses_a_file_whose_observers_read_a_part_of_the_images(
    read: int,
    computed: FinishedRun,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from edgebrain.compression import quantize

    monkeypatch.setattr(quantize, "format_module", lambda name: LazyExporter(read))
    monkeypatch.setattr(quantize, "save_model", lambda model, side, folder: None)
    recipe = tmp_path / "tflite.toml"
    recipe.write_text('[compress]\nformats = ["tflite"]\n[calibration]\nslices = 24\n[gate]\nslices = 4\n')
    # The float sibling is there already, so that only the int8 file is exported.
    tiny_bundle(tmp_path / "out" / "tflite-float32")
    with pytest.raises(SystemExit) as ended:
        main(["quantize", str(computed.run), "--recipe", str(recipe), "--out", str(tmp_path / "out")])
    said = capsys.readouterr().err
    assert ended.value.code == 1 and f"the observers saw {read} of 24 calibration images" in said
    assert not (tmp_path / "out" / "tflite-int8").exists()


def test_an_image_that_is_read_twice_counts_once(pack: Pack, split: Split) -> None:
    chosen = choose_calibration(pack, split, PART)
    deque(islice(chosen.tensors(), 5), maxlen=0)
    deque(islice(chosen.tensors(), 7), maxlen=0)
    assert chosen.seen == 7 and chosen.unread().seen == 0


def said_by(command: str, bundle: Path, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main([command, str(bundle), *options])
    return int(ended.value.code or 0), capsys.readouterr().err


@pytest.mark.parametrize("command", ["evaluate", "bench"])
def test_a_bundle_that_saw_a_test_slice_does_not_get_to_be_judged_on_it(
    command: str, shelf: Shelf, capsys: pytest.CaptureFixture[str]
) -> None:
    leaked = shelf.of_side("test")[0]
    bundle = shelf.quantized("planted", lines([*shelf.of_side("train")[:20], leaked]))
    code, said = said_by(command, bundle.path, capsys)
    assert code == 1
    assert f"{bundle.path / 'calibration.csv'}: calibrated on the test side: {leaked.name} (1 slices in all)" in said
    assert "quantize again" in said


def test_away_from_its_run_the_slice_is_known_by_its_content(
    shelf: Shelf, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The data set elsewhere, with sides of its own and the picture under another name."""
    from tests.auditing.factories import Folder, phantom_head

    folder = Folder(tmp_path / "elsewhere")
    for number in range(4):
        folder.put(phantom_head(number), ("glioma", "no_tumor")[number % 2], ("train", "test")[number // 2])
    picture = next(record for record in open_dataset(folder.root).records if record.folder == "test")
    seen = ("once.png", "g", sha256_bytes(picture.image_path.read_bytes()))
    bundle = shelf.quantized("planted", [seen])
    (tmp_path / "alone").mkdir()
    bundle.path.rename(tmp_path / "alone" / "planted")
    options = ("--data", str(folder.root), "--out", str(tmp_path / "out"))
    code, said = said_by("evaluate", tmp_path / "alone" / "planted", capsys, *options)
    assert code == 1 and f"calibrated on {picture.name} (1 of the 2 slices that are to judge the model)" in said


def test_a_list_whose_content_is_not_the_data_sets_is_found_at_the_bench(
    shelf: Shelf, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = lines(shelf.of_side("train"))
    bundle = shelf.quantized("planted", [(listed[0][0], listed[0][1], "0" * 64), *listed[1:]])
    code, said = said_by("bench", bundle.path, capsys)
    assert code == 1 and f"{listed[0][0]} does not have the listed hash" in said


def test_one_class_in_the_list_is_found_at_the_bench(shelf: Shelf, capsys: pytest.CaptureFixture[str]) -> None:
    gliomas = [record for record in shelf.of_side("train") if record.label == "glioma"]
    bundle = shelf.quantized("planted", lines(gliomas))
    code, said = said_by("bench", bundle.path, capsys)
    assert code == 1 and "calibrated on one class only, glioma" in said


def test_an_honest_list_is_measured(shelf: Shelf, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = shelf.quantized("honest", lines(shelf.of_side("train")))
    code, _ = said_by("evaluate", bundle.path, capsys, "--out", str(tmp_path / "out"))
    assert code == 0 and (tmp_path / "out" / "evaluation.json").is_file()
