from __future__ import annotations

import csv
import json
import os
import resource
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgebrain.errors import BadImage, CannotWrite, EdgebrainError
from edgebrain.runtime import image, outputs
from edgebrain.runtime.__main__ import main
from edgebrain.runtime.inputs import FoundPictures, find_inputs, find_pictures
from edgebrain.runtime.outputs import OUTLINE_BGR, caption, overlay
from edgebrain.runtime.predict import PredictionRun, predict_files
from edgebrain.runtime.session import Session, open_session
from tests.runtime.pictures import bright_disc, encoded, save
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
    told: list[tuple[str, int, int]] = []
    outcome = predict_files(session, [tmp_path / "in"], tmp_path / "out", progress=lambda *done: told.append(done))
    assert [Path(result.name).name for result in outcome.results] == ["a.png", "c.jpg", "d.tiff"]
    assert "b.png: is empty" in outcome.failures[0].message
    assert [row["error"] != "" for row in rows_of(tmp_path / "out")] == [False, True, False, False]
    assert told == [("pictures", done, 4) for done in (1, 2, 3, 4)]
    assert outcome.summary().startswith("3 of 4 pictures done, 1 could not be used")


def test_nothing_is_overwritten_without_force(tmp_path: Path, session: Session) -> None:
    picture = save(tmp_path / "scan.png", bright_disc())
    old = save(tmp_path / "out" / "scan_mask.png", np.zeros((3, 3), np.uint8)).read_bytes()
    with pytest.raises(CannotWrite, match=r"scan_mask\.png: already exists"):
        predict_files(session, [picture], tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["scan_mask.png"]
    predict_files(session, [picture], tmp_path / "out", existing="replace")
    assert (tmp_path / "out" / "scan_mask.png").read_bytes() != old


def test_what_was_done_before_ctrl_c_is_kept_in_the_table(tmp_path: Path, session: Session) -> None:
    for name in "abc":
        save(tmp_path / "in" / f"{name}.png", bright_disc())

    def interrupt(what: str, done: int, total: int) -> None:
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
    left = {path.name: path.stat().st_size for path in (tmp_path / "out").iterdir()}
    assert set(left) <= {"scan_mask.png", "results.csv", "model.json", ".unfinished"} and max(left.values()) < 2000
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


def test_a_picture_named_twice_is_done_once(tmp_path: Path) -> None:
    picture = save(tmp_path / "in" / "a.png", bright_disc())
    assert find_pictures([picture, tmp_path / "in"]) == [picture]


@pytest.mark.parametrize(
    ("label", "area", "disagree"),
    [("glioma", 5, False), ("glioma", 0, True), ("no_tumor", 0, False), ("no_tumor", 5, True)],
)
def test_a_class_that_contradicts_the_mask_is_pointed_out(label: str, area: int, disagree: bool) -> None:
    assert ("class and mask disagree" in caption(label, 0.9, area, None)) == disagree


def test_a_long_caption_stays_inside_a_narrow_overlay() -> None:
    slice_, mask = np.full((60, 50), 90, np.uint8), np.zeros((60, 50), bool)
    strip = overlay(slice_, mask, "meningioma " * 12)[-20:]
    assert strip.any() and not strip[:, -4:].any()


def test_the_overlay_shows_the_outline_and_leaves_the_inside_visible() -> None:
    slice_, mask = np.full((60, 50), 90, np.uint8), np.zeros((60, 50), bool)
    mask[20:40, 15:35] = True
    drawn = overlay(slice_, mask, "glioma 90.0 %")
    factor = drawn.shape[1] // 50
    assert (drawn == OUTLINE_BGR).all(axis=-1).any()
    assert drawn[30 * factor, 25 * factor].tolist() == [90, 90, 90]
    assert min(drawn.shape[:2]) >= 384


def test_an_empty_outcome_says_that_nothing_was_done(tmp_path: Path) -> None:
    assert PredictionRun(tmp_path, FoundPictures()).summary().startswith("0 of 0")


def test_the_devices_command_prints_json_and_ends_with_1_after_a_bad_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = tiny_bundle(tmp_path / "bundle", precision="int8").path
    good, bad = save(tmp_path / "a.png", bright_disc()), tmp_path / "b.png"
    bad.write_bytes(b"\x89PNG")
    options = ["--bundle", str(bundle), "--json", "-", "--out"]
    assert main(["predict", str(good), *options, str(tmp_path / "one")]) == 0
    capsys.readouterr()
    assert main(["predict", str(good), str(bad), *options, str(tmp_path / "two")]) == 1
    said = capsys.readouterr()
    entries = [(Path(entry["name"]).name, entry["error"] is None) for entry in json.loads(said.out)]
    assert entries == [("a.png", True), ("b.png", False)]
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


def test_sub_folders_are_kept_and_equal_names_stay_apart(tmp_path: Path, session: Session) -> None:
    names = ["flair.png", "p1/flair.png", "p2/flair.png", "p2/flair.jpg", "p2/FLAIR.png", "p2/deep er/flair.png"]
    for name in names:
        save(tmp_path / "in" / name, bright_disc())
    predict_files(session, [tmp_path / "in"], tmp_path / "out")
    rows = rows_of(tmp_path / "out")
    masks = {Path(row["name"]).relative_to(tmp_path / "in").as_posix(): row["mask"] for row in rows}
    assert masks == {
        "flair.png": "flair_mask.png",
        "p1/flair.png": "p1/flair_mask.png",
        "p2/FLAIR.png": "p2/FLAIR_mask.png",
        "p2/deep er/flair.png": "p2/deep er/flair_mask.png",
        # Where a file system does not tell them from FLAIR, they must not meet either.
        "p2/flair.jpg": "p2/flair.jpg_mask.png",
        "p2/flair.png": "p2/flair.png_mask.png",
    }
    assert all((tmp_path / "out" / mask).is_file() for mask in masks.values())


def test_long_and_strange_names_are_answered_with_the_others(tmp_path: Path, session: Session) -> None:
    names = ["a.png", "頭" * 80 + ".png", "頭" * 80 + "x.png", "two\nlines.png", os.fsdecode(b"bytes\xff.png")]
    (tmp_path / "in").mkdir()
    for name in names:
        (tmp_path / "in" / name).write_bytes(encoded(bright_disc()))
    outcome = predict_files(session, [tmp_path / "in"], tmp_path / "out")
    assert len(outcome.results) == len(names) and not outcome.failures
    rows = rows_of(tmp_path / "out")
    assert len((tmp_path / "out" / "results.csv").read_bytes().splitlines()) == 1 + len(names)
    assert len({row["mask"] for row in rows}) == len(names)
    assert len(list((tmp_path / "out").glob("*_mask.png"))) == len(list((tmp_path / "out").glob("*_overlay.png"))) == 5


@pytest.mark.parametrize("encoding", ["ascii", "utf-8", "latin-1"])
def test_a_terminal_that_cannot_show_a_name_does_not_cost_the_answer(tmp_path: Path, encoding: str) -> None:
    bundle = tiny_bundle(tmp_path / "bundle", precision="int8").path
    (tmp_path / "in").mkdir()
    for name in ("頭.png", os.fsdecode(b"bytes\xff.png")):
        (tmp_path / "in" / name).write_bytes(encoded(bright_disc()))
    (tmp_path / "in" / "brökén.png").write_bytes(b"x")
    for program in ("edgebrain", "edgebrain.runtime"):
        out = tmp_path / program
        command = [sys.executable, "-m", program, "predict", "in", "--bundle", str(bundle), "--out", str(out)]
        environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(command, capture_output=True, cwd=tmp_path, env=environment)
        assert done.returncode == 1 and b"Traceback" not in done.stderr, done.stderr
        assert done.stdout.count(b"lesion") == 2 and b"2 of 3 pictures done" in done.stdout
        assert len(rows_of(out)) == 3


def test_the_table_holds_every_line_that_was_done_when_the_disk_is_full(
    tmp_path: Path, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abcd":
        save(tmp_path / "in" / f"{name}.png", bright_disc())
    real, calls = outputs.write_bytes, []

    def full(path: Path, content: bytes) -> None:
        calls.append(path)
        if len(calls) == 5:
            raise CannotWrite(f"{path}: cannot be written (No space left on device)")
        real(path, content)

    monkeypatch.setattr(outputs, "write_bytes", full)
    with pytest.raises(CannotWrite, match="No space left"):
        predict_files(session, [tmp_path / "in"], tmp_path / "out")
    assert [Path(row["name"]).name for row in rows_of(tmp_path / "out")] == ["a.png", "b.png"]
    monkeypatch.undo()
    outcome = predict_files(session, [tmp_path / "in"], tmp_path / "out", existing="continue")
    assert (outcome.done_before, len(outcome.results)) == (2, 2)
    assert [Path(row["name"]).name for row in rows_of(tmp_path / "out")] == ["a.png", "b.png", "c.png", "d.png"]


def test_a_resumed_run_does_what_is_new_or_changed_or_failed_and_says_so(tmp_path: Path, session: Session) -> None:
    for name in ("same", "changed"):
        save(tmp_path / "in" / f"{name}.png", bright_disc())
    (tmp_path / "in" / "broken.png").write_bytes(b"x")
    predict_files(session, [tmp_path / "in"], tmp_path / "out")
    before = (tmp_path / "out" / "results.csv").read_text()
    old = (tmp_path / "out" / "changed_mask.png").read_bytes()
    save(tmp_path / "in" / "changed.png", bright_disc(60, 60))
    save(tmp_path / "in" / "broken.png", bright_disc())
    save(tmp_path / "in" / "new.png", bright_disc())
    outcome = predict_files(session, [tmp_path / "in"], tmp_path / "out", existing="continue")
    assert outcome.done_before == 1 and ", 1 were done before" in outcome.summary()
    assert sorted(Path(result.name).name for result in outcome.results) == ["broken.png", "changed.png", "new.png"]
    assert (tmp_path / "out" / "results.csv").read_text().startswith(before)
    added = {Path(row["name"]).name: row for row in rows_of(tmp_path / "out")[3:]}
    assert "the file has changed" in added["changed.png"]["warning"]
    assert "the file has changed" not in added["new.png"]["warning"]
    assert (tmp_path / "out" / "changed_mask.png").read_bytes() == old, "the answer of the first line is kept"
    assert (tmp_path / "out" / added["changed.png"]["mask"]).read_bytes() != old
    (tmp_path / "in" / "other.png").write_bytes(b"x")
    for lines in (7, 7):
        again = predict_files(session, [tmp_path / "in"], tmp_path / "out", existing="continue")
        assert (again.done_before, again.results, len(again.failures)) == (4, [], 1)
        assert len(rows_of(tmp_path / "out")) == lines, "what the table says already is not said again"


def test_a_resumed_run_is_never_another_models(tmp_path: Path, session: Session) -> None:
    picture = save(tmp_path / "a.png", bright_disc())
    predict_files(session, [picture], tmp_path / "out")
    other = open_session(tiny_bundle(tmp_path / "other", precision="int8"))
    with pytest.raises(CannotWrite, match="holds the results of bundle, and this is other"):
        predict_files(other, [picture], tmp_path / "out", existing="continue")
    predict_files(other, [picture], tmp_path / "out", existing="replace")
    assert len(rows_of(tmp_path / "out")) == 1


def test_runs_that_start_at_once_never_share_a_folder(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "bundle", precision="int8").path
    for number in range(6):
        save(tmp_path / f"{number}.png", bright_disc())
    command = [sys.executable, "-m", "edgebrain.runtime", "predict", "--bundle", str(bundle)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}

    def all_at_once(*options: str) -> list[int]:
        started = [
            subprocess.Popen([*command, f"{number}.png", *options], cwd=tmp_path, env=environment, stdout=-3, stderr=-3)
            for number in range(6)
        ]
        return sorted(process.wait() for process in started)

    assert all_at_once() == [0] * 6
    tables = sorted(tmp_path.glob("predictions*/results.csv"))
    assert len(tables) == 6 and {len(rows_of(table.parent)) for table in tables} == {1}
    # With one --out for all, one gets it and the others are refused.
    assert all_at_once("--out", "mine") == [0, 1, 1, 1, 1, 1]
    assert len(rows_of(tmp_path / "mine")) == 1


def test_a_name_that_was_mistyped_leaves_nothing_behind(
    tmp_path: Path, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = predict_files(session, [Path("nowhere.png")])
    assert outcome.failures[0].message == "nowhere.png: cannot be read (No such file or directory)"
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "IM1.dcm").write_bytes(b"x")
    outcome = predict_files(session, [Path("empty")])
    assert outcome.entries[0]["error"] == "empty: holds no picture (1 other file left out (.dcm 1))"
    assert outcome.out is None and "0 of 1 pictures done" in outcome.summary()
    assert not list(tmp_path.glob("predictions*"))
    outcome = predict_files(session, [Path("nowhere.png"), save(Path("a.png"), bright_disc()), Path("empty")])
    assert len(outcome.results) == 1 and len(outcome.failures) == 2
    assert outcome.out is not None
    assert [row["name"] for row in rows_of(outcome.out) if row["error"]] == ["empty", "nowhere.png"]


def test_what_was_left_out_stands_in_the_last_lines(tmp_path: Path, session: Session) -> None:
    save(tmp_path / "in" / "a.png", bright_disc())
    for name in ("b.dcm", "c.DCM", "notes.txt", "README"):
        (tmp_path / "in" / name).write_bytes(b"x")
    outcome = predict_files(session, [tmp_path / "in"], tmp_path / "in" / "answers")
    assert outcome.summary().splitlines()[-1] == "4 other files left out (.dcm 2, no ending 1, .txt 1)"
    again = predict_files(session, [tmp_path / "in"], tmp_path / "again")
    assert len(again.results) == 1
    assert "4 of edgebrain's own outputs left out" in again.summary()


def test_a_picture_that_is_no_head_is_answered_with_a_warning(tmp_path: Path, session: Session) -> None:
    blank = save(tmp_path / "blank.png", np.zeros((64, 64), np.uint8))
    outcome = predict_files(session, [blank], tmp_path / "out")
    (row,) = rows_of(tmp_path / "out")
    assert row["warning"].startswith("this does not look like a head slice")
    assert outcome.entries[0]["warning"] == row["warning"] and row["warning"] in outcome.results[0].sentence()
    assert ", 1 with a warning" in outcome.summary()


def test_resuming_never_touches_a_persons_own_mask(tmp_path: Path, session: Session) -> None:
    picture = save(tmp_path / "c" / "c1.png", bright_disc())
    mine = save(tmp_path / "c" / "c1_mask.png", bright_disc()).read_bytes()
    outcome = predict_files(session, [picture], tmp_path / "c", existing="continue")
    assert (tmp_path / "c" / "c1_mask.png").read_bytes() == mine
    assert outcome.results[0].mask == "c1.png_mask.png"


def test_what_was_being_written_when_it_was_killed_is_written_again_under_its_name(
    tmp_path: Path, session: Session
) -> None:
    picture, out = save(tmp_path / "a.png", bright_disc()), tmp_path / "out"
    out.mkdir()
    for name in ("a_mask.png", "a_overlay.png", ".77.3.part", ".download.png.part"):
        (out / name).write_bytes(b"half")
    (out / ".unfinished").write_text("a")
    outcome = predict_files(session, [picture], out, existing="continue")
    assert outcome.results[0].mask == "a_mask.png"
    # Another program's unfinished file is not ours to take away.
    assert sorted(path.name for path in out.iterdir() if path.name.startswith(".")) == [".download.png.part"]


def test_replacing_takes_away_what_the_old_table_names_and_nothing_else(tmp_path: Path, session: Session) -> None:
    for name in ("p1/a.png", "p2/a.png"):
        save(tmp_path / "in" / name, bright_disc())
    out = tmp_path / "out"
    predict_files(session, [tmp_path / "in"], out)
    save(out / "p2" / "own_mask.png", bright_disc())
    predict_files(session, [tmp_path / "in" / "p1"], out, existing="replace")
    left = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
    assert left == ["a_mask.png", "a_overlay.png", "model.json", "p2/own_mask.png", "results.csv"]


def test_two_names_whose_escapes_would_be_alike_are_two_pictures(tmp_path: Path, session: Session) -> None:
    names = ["two\nlines.png", r"two\nlines.png", os.fsdecode(b"\xff.png"), r"\udcff.png", "plain.png"]
    (tmp_path / "in").mkdir()
    for number, name in enumerate(names):
        (tmp_path / "in" / name).write_bytes(encoded(bright_disc(60 + number, 60)))
    for done_before in (0, 5, 5):
        outcome = predict_files(session, [tmp_path / "in"], tmp_path / "out", existing="continue")
        assert (outcome.done_before, len(outcome.results)) == (done_before, 5 - done_before)
    rows = rows_of(tmp_path / "out")
    assert len({row["name"] for row in rows}) == len({row["mask"] for row in rows}) == 5
    heights = {cv2.imdecode(np.fromfile(tmp_path / "out" / row["mask"], np.uint8), -1).shape[0] for row in rows}
    assert heights == {60, 61, 62, 63, 64}, "each line names a mask that is there, and is its own"
    # Changed: the line before keeps its mask, whatever the name.
    (tmp_path / "in" / names[0]).write_bytes(encoded(bright_disc(90, 60)))
    predict_files(session, [tmp_path / "in"], tmp_path / "out", existing="continue")
    first = [row for row in rows_of(tmp_path / "out") if row["name"].endswith(r"two\nlines.png")]
    assert len({row["mask"] for row in first}) == len(first)


@pytest.mark.parametrize("edit", ["bom", "semicolons", "crlf", "float sizes"])
def test_a_table_that_a_spreadsheet_has_saved_is_still_ours(tmp_path: Path, session: Session, edit: str) -> None:
    picture, out = save(tmp_path / "in" / "a.png", bright_disc()), tmp_path / "in" / "out"
    predict_files(session, [picture], out)
    text = (out / "results.csv").read_text()
    size = str(picture.stat().st_size)
    changed = {
        "bom": "\ufeff" + text,
        "semicolons": text.replace(",", ";"),
        "crlf": text.replace("\n", "\r\n"),
        "float sizes": text.replace(f",{size},", f",{size}.0,"),
    }[edit]
    (out / "results.csv").write_text(changed, newline="")
    assert [one.path for one in find_inputs([tmp_path / "in"]).pictures] == [picture]
    if edit == "semicolons":
        with pytest.raises(CannotWrite, match="other columns, or separators"):
            predict_files(session, [picture], out, existing="continue")
    else:
        assert predict_files(session, [picture], out, existing="continue").done_before == 1


def test_a_folder_or_a_picture_that_is_named_twice_counts_once(tmp_path: Path, session: Session) -> None:
    save(tmp_path / "in" / "a.png", bright_disc())
    (tmp_path / "in" / "bad.png").write_bytes(b"")
    (tmp_path / "in" / "x.dcm").write_bytes(b"")
    again = tmp_path / "in" / ".." / "in"
    outcome = predict_files(session, [tmp_path / "in", again, again / "a.png"], tmp_path / "out")
    assert outcome.summary().startswith("1 of 2 pictures done, 1 could not be used")
    assert outcome.summary().endswith("1 other file left out (.dcm 1)")


def test_a_pipe_that_nobody_writes_to_is_refused_and_one_with_a_writer_is_read(
    tmp_path: Path, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image, "PIPE_PATIENCE_S", 0.3)
    pipe = tmp_path / "pipe.png"
    os.mkfifo(pipe)
    with pytest.raises(BadImage, match="is a pipe that nobody writes to"):
        image.read_file(pipe, "pipe.png")
    writer = threading.Thread(target=lambda: pipe.write_bytes(encoded(bright_disc())))
    writer.start()
    assert image.read_file(pipe, "pipe.png")[0] == encoded(bright_disc())
    writer.join()


def test_json_is_an_array_whatever_happened(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = str(tiny_bundle(tmp_path / "bundle", precision="int8").path)
    (tmp_path / "empty").mkdir()
    for given in ("nowhere.png", "empty"):
        assert main(["predict", str(tmp_path / given), "--bundle", bundle, "--json", "-"]) == 1
        (entry,) = json.loads(capsys.readouterr().out)
        assert entry["name"].endswith(given) and entry["error"] and entry["hint"]
