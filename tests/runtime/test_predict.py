from __future__ import annotations

import csv
import json
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgebrain.errors import BadImage, CannotWrite, EdgebrainError
from edgebrain.runtime.__main__ import main
from edgebrain.runtime.outputs import OUTLINE_BGR, caption, overlay
from edgebrain.runtime.predict import Outcome, find_pictures, free_folder, predict_files, unique_stems
from edgebrain.runtime.session import Session, open_session
from tests.runtime.pictures import bright_disc, save
from tests.runtime.tiny import tiny_bundle


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return open_session(tiny_bundle(tmp_path / "bundle"))


def rows_of(out: Path) -> list[dict[str, str]]:
    with (out / "results.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


@contextmanager
def files_no_larger_than(size_bytes: int) -> Iterator[None]:
    """A disk that is full: the kernel refuses to write more than this to a file."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)


def test_mask_overlay_and_table_are_written_at_the_slices_own_size(tmp_path: Path, session: Session) -> None:
    picture = save(tmp_path / "in" / "scan.png", bright_disc(96, 80))
    outcome = predict_files(session, [picture], tmp_path / "out", pixel_mm=0.5)
    mask = cv2.imread(str(tmp_path / "out" / "scan_mask.png"), cv2.IMREAD_UNCHANGED)
    assert mask.shape == (96, 80) and set(np.unique(mask)) == {0, 255}
    assert cv2.imread(str(tmp_path / "out" / "scan_overlay.png")).ndim == 3
    (row,) = rows_of(tmp_path / "out")
    area = int((mask == 255).sum())
    assert int(row["area_px"]) == area == outcome.results[0].area_px
    assert float(row["area_cm2"]) == pytest.approx(area * 0.05 * 0.05, abs=1e-4)
    assert row["label"] in session.classes
    assert float(row[row["label"]]) == float(row["probability"]) > 0


def test_without_a_pixel_size_there_is_no_area_in_cm2(tmp_path: Path, session: Session) -> None:
    predict_files(session, [save(tmp_path / "scan.png", bright_disc())], tmp_path / "out")
    assert rows_of(tmp_path / "out")[0]["area_cm2"] == ""


@pytest.mark.parametrize("pixel_mm", [0.0, -1.0, float("nan"), float("inf"), 1000.0])
def test_an_impossible_pixel_size_is_refused_before_anything_is_written(
    tmp_path: Path, session: Session, pixel_mm: float
) -> None:
    with pytest.raises(EdgebrainError, match="no pixel size"):
        predict_files(session, [save(tmp_path / "scan.png", bright_disc())], tmp_path / "out", pixel_mm)
    assert not (tmp_path / "out").exists()


def test_bad_pictures_in_a_folder_are_counted_and_the_rest_is_done(tmp_path: Path, session: Session) -> None:
    for name in ("a.png", "c.jpg", "d.tiff"):
        save(tmp_path / "in" / name, bright_disc())
    (tmp_path / "in" / "b.png").write_bytes(b"")
    told: list[tuple[int, int]] = []
    outcome = predict_files(session, [tmp_path / "in"], tmp_path / "out", progress=lambda *done: told.append(done))
    assert [Path(result.name).name for result in outcome.results] == ["a.png", "c.jpg", "d.tiff"]
    assert "b.png: is empty" in outcome.failures[0].message
    assert [row["error"] != "" for row in rows_of(tmp_path / "out")] == [False, True, False, False]
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert outcome.summary().startswith("3 of 4 pictures done, 1 could not be used")


def test_nothing_is_overwritten_without_force(tmp_path: Path, session: Session) -> None:
    picture = save(tmp_path / "scan.png", bright_disc())
    old = save(tmp_path / "out" / "scan_mask.png", np.zeros((3, 3), np.uint8)).read_bytes()
    with pytest.raises(CannotWrite, match=r"scan_mask\.png: already exists"):
        predict_files(session, [picture], tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["scan_mask.png"]
    predict_files(session, [picture], tmp_path / "out", force=True)
    assert (tmp_path / "out" / "scan_mask.png").read_bytes() != old


def test_what_was_done_before_ctrl_c_is_kept_in_the_table(tmp_path: Path, session: Session) -> None:
    for name in "abc":
        save(tmp_path / "in" / f"{name}.png", bright_disc())

    def interrupt(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict_files(session, [tmp_path / "in"], tmp_path / "out", progress=interrupt)
    assert [Path(row["name"]).name for row in rows_of(tmp_path / "out")] == ["a.png", "b.png"]


def test_a_full_disk_is_an_error_that_leaves_no_half_a_file(tmp_path: Path, session: Session) -> None:
    picture = save(tmp_path / "scan.png", bright_disc(512, 512))
    with files_no_larger_than(2000), pytest.raises(CannotWrite) as caught:
        predict_files(session, [picture], tmp_path / "out")
    assert "cannot be written" in caught.value.message and str(tmp_path / "out") in caught.value.message
    assert all(path.stat().st_size < 2000 and not path.name.startswith(".") for path in (tmp_path / "out").iterdir())
    assert not (tmp_path / "out" / "scan_overlay.png").exists()


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path, session: Session) -> None:
    picture = save(tmp_path / "scan.png", bright_disc())
    with pytest.raises(CannotWrite, match="cannot be written"):
        predict_files(session, [picture], picture / "out")


def test_a_folder_without_pictures_is_an_error_and_hidden_files_do_not_count(tmp_path: Path) -> None:
    save(tmp_path / "in" / ".hidden.png", bright_disc())
    (tmp_path / "in" / "notes.txt").write_text("x")
    with pytest.raises(BadImage, match="holds no picture"):
        find_pictures([tmp_path / "in"])


def test_pictures_of_one_name_do_not_overwrite_each_other() -> None:
    pictures = [Path("a/x.png"), Path("a/x.jpg"), Path("b/x.png"), Path("c/x.png")]
    assert unique_stems(pictures) == ["x", "x.jpg", "x.png", "x.png-2"]


def test_a_picture_named_twice_is_done_once(tmp_path: Path) -> None:
    picture = save(tmp_path / "in" / "a.png", bright_disc())
    assert find_pictures([picture, tmp_path / "in"]) == [picture]


def test_without_an_output_folder_the_next_free_one_is_taken(tmp_path: Path) -> None:
    wished = tmp_path / "predictions"
    assert free_folder(wished) == wished
    wished.mkdir()
    (tmp_path / "predictions-2").mkdir()
    assert free_folder(wished) == tmp_path / "predictions-3"


@pytest.mark.parametrize(
    ("label", "area", "disagree"),
    [("glioma", 5, False), ("glioma", 0, True), ("no_tumor", 0, False), ("no_tumor", 5, True)],
)
def test_a_class_that_contradicts_the_mask_is_pointed_out(label: str, area: int, disagree: bool) -> None:
    assert ("class and mask disagree" in caption(label, 0.9, area, None)) == disagree


def test_a_long_caption_stays_inside_a_narrow_overlay() -> None:
    image, mask = np.full((60, 50), 90, np.uint8), np.zeros((60, 50), bool)
    strip = overlay(image, mask, "meningioma " * 12)[-20:]
    assert strip.any() and not strip[:, -4:].any()


def test_the_overlay_shows_the_outline_and_leaves_the_inside_visible() -> None:
    image, mask = np.full((60, 50), 90, np.uint8), np.zeros((60, 50), bool)
    mask[20:40, 15:35] = True
    drawn = overlay(image, mask, "glioma 90.0 %")
    factor = drawn.shape[1] // 50
    assert (drawn == OUTLINE_BGR).all(axis=-1).any()
    assert drawn[30 * factor, 25 * factor].tolist() == [90, 90, 90]
    assert min(drawn.shape[:2]) >= 384


def test_an_empty_outcome_says_that_nothing_was_done(tmp_path: Path) -> None:
    assert Outcome(tmp_path).summary().startswith("0 of 0")


def test_the_devices_command_prints_json_and_ends_with_1_after_a_bad_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = tiny_bundle(tmp_path / "bundle", precision="int8").path
    good, bad = save(tmp_path / "a.png", bright_disc()), tmp_path / "b.png"
    bad.write_bytes(b"\x89PNG")
    options = ["--bundle", str(bundle), "--json", "--out"]
    assert main(["predict", str(good), *options, str(tmp_path / "one")]) == 0
    capsys.readouterr()
    assert main(["predict", str(good), str(bad), *options, str(tmp_path / "two")]) == 1
    said = capsys.readouterr()
    assert [Path(result["name"]).name for result in json.loads(said.out)] == ["a.png"]
    assert said.err.startswith(f"Error: {bad}: ")
    assert "Traceback" not in said.err


def test_predicting_imports_no_framework_and_no_terminal_library(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "bundle", precision="int8").path
    picture = save(tmp_path / "a.png", bright_disc())
    program = (
        "import sys\nfrom edgebrain.runtime.__main__ import main\n"
        f"code = main(['predict', {str(picture)!r}, '--bundle', {str(bundle)!r}, '--out', {str(tmp_path / 'out')!r}])\n"
        "print(code, *sorted({'tensorflow', 'keras', 'typer', 'rich', 'scipy', 'openvino'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0"
    assert done.stderr == ""
