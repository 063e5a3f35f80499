"""A watched folder: every file once, whatever is thrown at it and however it is stopped."""

from __future__ import annotations

import csv
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgebrain.errors import CannotWrite, IncompleteImage
from edgebrain.files import append_line, cut_torn_line
from edgebrain.runtime import outputs
from edgebrain.runtime.arrivals import WatchSettings
from edgebrain.runtime.session import Session, open_session
from edgebrain.runtime.watch import watch
from edgebrain.text import in_one_line
from tests.runtime.pictures import bright_disc, encoded, grey, save
from tests.runtime.tiny import tiny_bundle

OFTEN_S = 0.03
# The same loop as a process of its own, which can be killed.
PROCESS = """
import sys
from pathlib import Path
from edgebrain.runtime.session import open_session
from edgebrain.runtime.arrivals import WatchSettings
from edgebrain.runtime.watch import stop_on_signals, watch
settings = WatchSettings(every_s=0.03)
with stop_on_signals() as stop:
    watch(open_session(Path(sys.argv[1])), Path(sys.argv[2]), Path(sys.argv[3]), stop=stop, settings=settings)
"""


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return open_session(tiny_bundle(tmp_path / "bundle"))


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


class Heard(list[str]):
    """What the watcher said."""


@contextmanager
def watching(
    session: Session, inbox: Path, out: Path, settle_s: float = 0.0, recursive: bool = False
) -> Iterator[Heard]:
    """A watcher in a thread, stopped at the end; its error, if any, is raised here."""
    heard, ended, problems = Heard(), threading.Event(), []
    settings = WatchSettings(OFTEN_S, settle_s, recursive)

    def run() -> None:
        try:
            watch(session, inbox, out, None, heard.append, heard.append, ended.is_set, settings)
        except Exception as problem:
            problems.append(problem)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield heard
    finally:
        ended.set()
        thread.join()
    if problems:
        raise problems[0]


def until(true: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def rows_of(out: Path) -> list[dict[str, str]]:
    if not (out / "results.csv").exists():
        return []
    with (out / "results.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def names_of(out: Path) -> list[str]:
    return [row["name"] for row in rows_of(out)]


def test_each_slice_that_lands_gives_mask_overlay_and_a_line(session: Session, inbox: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    save(inbox / "first.png", bright_disc())
    with watching(session, inbox, out) as heard:
        until(lambda: names_of(out) == ["first.png"])
        save(inbox / "second.jpg", bright_disc(80, 96))
        until(lambda: len(names_of(out)) == 2)
    assert names_of(out) == ["first.png", "second.jpg"]
    for row, picture in zip(rows_of(out), (bright_disc(), bright_disc(80, 96)), strict=True):
        mask = cv2.imread(str(out / row["mask"]), cv2.IMREAD_UNCHANGED)
        assert mask.shape == picture.shape
        assert int(row["area_px"]) == int((mask == 255).sum()) > 0
        assert (out / row["overlay"]).is_file()
    assert [line.split(":")[0] for line in heard] == ["first.png", "second.jpg"]


def test_what_cannot_be_used_is_kept_with_its_reason(session: Session, inbox: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    given = {
        "scan.dcm": b"\0" * 128 + b"DICM" + b"\0" * 64,
        "cut.png": encoded(grey())[:-30],
        "notes.txt": b"not a slice\n",
        "empty.png": b"",
    }
    for name, content in given.items():
        (inbox / name).write_bytes(content)
    save(inbox / "good.png", bright_disc())
    with watching(session, inbox, out) as heard:
        until(lambda: len(names_of(out)) == 5)
    errors = {row["name"]: row["error"] for row in rows_of(out)}
    assert errors["good.png"] == ""
    assert "DICOM" in errors["scan.dcm"] and "cut short" in errors["cut.png"] and "text" in errors["notes.txt"]
    for name, content in given.items():
        assert (out / "rejected" / name).read_bytes() == content
        reason = (out / "rejected" / f"{name}.txt").read_text()
        assert errors[name] in reason and len(reason.splitlines()) == 2
        assert (inbox / name).read_bytes() == content, "a person's file stays where it is"
    assert any("scan.dcm" in line and "rejected" in line for line in heard)


def test_a_file_that_still_grows_is_waited_for(session: Session, inbox: Path, tmp_path: Path) -> None:
    out, content = tmp_path / "out", encoded(bright_disc(200, 200))
    with watching(session, inbox, out):
        with (inbox / "slow.png").open("wb") as stream:
            for place in range(0, len(content), max(1, len(content) // 20)):
                stream.write(content[place : place + max(1, len(content) // 20)])
                stream.flush()
                time.sleep(OFTEN_S / 3)
        (inbox / ".hidden.png").write_bytes(content)
        (inbox / "upload.png.part").write_bytes(content)
        until(lambda: names_of(out) == ["slow.png"])
    assert rows_of(out)[0]["error"] == ""


def test_a_restart_goes_on_where_it_stopped(session: Session, inbox: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for number in range(3):
        save(inbox / f"{number}.png", grey(seed=number))
    with watching(session, inbox, out):
        until(lambda: len(names_of(out)) == 3)
    before = (out / "results.csv").read_bytes()
    with watching(session, inbox, out) as heard:
        save(inbox / "3.png", grey(seed=3))
        until(lambda: len(names_of(out)) == 4)
    assert (out / "results.csv").read_bytes().startswith(before)
    assert len(heard) == 1


def test_a_torn_last_line_is_done_again(session: Session, inbox: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for number in range(2):
        save(inbox / f"{number}.png", grey(seed=number))
    with watching(session, inbox, out):
        until(lambda: len(names_of(out)) == 2)
    whole = (out / "results.csv").read_bytes()
    for left in range(len(whole.splitlines(keepends=True)[-1])):
        torn = whole[: len(whole) - left - 1]
        (out / "results.csv").write_bytes(torn)
        cut_torn_line(out / "results.csv")
        assert names_of(out) == ["0.png"]
    # What a power cut leaves behind: whose mask was being written.
    (out / ".unfinished").write_text("1.png")
    with watching(session, inbox, out):
        until(lambda: len(names_of(out)) == 2)
    assert (out / "results.csv").read_bytes() == whole


def test_strange_names_are_lines_of_their_own(session: Session, inbox: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    names = ["two\nlines.png", 'comma, "quote".png', "ümläut.png", "a.png", "a.jpg", "x" * 230 + ".png"]
    for place, name in enumerate(names):
        save(inbox / name, grey(seed=place))
    (inbox / os.fsdecode(b"bytes\xff.png")).write_bytes(encoded(bright_disc()))
    with watching(session, inbox, out):
        until(lambda: len(names_of(out)) == 7)
    assert sorted(names_of(out)) == sorted(map(in_one_line, [*names, os.fsdecode(b"bytes\xff.png")]))
    assert len((out / "results.csv").read_bytes().splitlines()) == 8
    assert not [row["error"] for row in rows_of(out) if row["error"]]
    with watching(session, inbox, out) as heard:
        time.sleep(6 * OFTEN_S)
    assert heard == [], "nothing is done twice"


def test_a_folder_that_vanishes_is_waited_for(session: Session, inbox: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with watching(session, inbox, out) as heard:
        until((out / "results.csv").is_file)
        shutil.rmtree(inbox)
        until(lambda: any("waiting for it to come back" in line for line in heard))
        time.sleep(4 * OFTEN_S)
        inbox.mkdir()
        save(inbox / "after.png", bright_disc())
        until(lambda: names_of(out) == ["after.png"])
    assert [bool(re.search("waiting|is back|after.png", line)) for line in heard] == [True, True, True]


def test_two_watchers_two_models_and_foreign_tables_are_kept_apart(
    session: Session, inbox: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with watching(session, inbox, out):
        until((out / "results.csv").is_file)
        with pytest.raises(CannotWrite, match="another process is writing its results here"):
            watch(session, inbox, out, stop=lambda: True)
    other = open_session(tiny_bundle(tmp_path / "other", precision="int8"))
    with pytest.raises(CannotWrite, match="holds the results of bundle, and this is other"):
        watch(other, inbox, out, stop=lambda: True)
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "results.csv").write_text("mine\n")
    with pytest.raises(CannotWrite, match="was not written by edgebrain"):
        watch(session, inbox, foreign, stop=lambda: True)
    assert (foreign / "results.csv").read_text() == "mine\n"
    with pytest.raises(CannotWrite, match="no folder to watch"):
        watch(session, tmp_path / "nowhere", out, stop=lambda: True)
    with pytest.raises(CannotWrite, match="is the folder that is watched"):
        watch(session, inbox, inbox, stop=lambda: True)


def test_a_line_that_does_not_fit_the_disk_leaves_the_table_whole(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    with pytest.raises(CannotWrite, match="No space left"):
        append_line(Path("/dev/full"), "a line\n")
    table = tmp_path / "table"
    table.write_text("head\n")
    append_line(table, "ä line\n")
    assert table.read_text(encoding="utf-8") == "head\nä line\n"


def test_a_copy_that_stalls_is_not_rejected_and_is_answered_once_it_is_whole(
    session: Session, inbox: Path, tmp_path: Path
) -> None:
    out, content = tmp_path / "out", encoded(bright_disc(200, 200))
    for start in (content[: len(content) // 2], b"", bytes(500), content[:9]):
        name = f"slow{len(start)}.png"
        with watching(session, inbox, out, settle_s=60.0):
            (inbox / name).write_bytes(start)
            time.sleep(12 * OFTEN_S)
            assert name not in names_of(out)
            (inbox / name).write_bytes(content)
            until(lambda name=name: name in names_of(out))
    assert {row["error"] for row in rows_of(out)} == {""}
    assert rows_of(out)[0]["mask"] == f"slow{len(content) // 2}.png_mask.png"
    assert not (out / "rejected").exists()


def test_what_stays_incomplete_is_rejected_once_it_has_settled(session: Session, inbox: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (inbox / "cut.png").write_bytes(encoded(grey())[:-30])
    (inbox / "scan.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\0" * 64)
    with watching(session, inbox, out, settle_s=0.6):
        begun = time.monotonic()
        until(lambda: names_of(out) == ["scan.dcm"])
        until(lambda: "cut.png" in names_of(out))
        assert time.monotonic() - begun >= 0.5
    assert "cut short" in rows_of(out)[1]["error"]


def test_a_file_that_changes_is_answered_again_in_a_line_that_says_so(
    session: Session, inbox: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    save(inbox / "a.png", bright_disc(96, 80))
    (inbox / "b.png").write_bytes(b"")
    with watching(session, inbox, out):
        until(lambda: len(names_of(out)) == 2)
        save(inbox / "a.png", bright_disc(60, 60))
        save(inbox / "b.png", bright_disc())
        until(lambda: len(names_of(out)) == 4)
    # Also where nobody watched while it changed.
    save(inbox / "a.png", bright_disc(50, 70))
    with watching(session, inbox, out):
        until(lambda: len(names_of(out)) == 5)
        time.sleep(6 * OFTEN_S)
    rows = rows_of(out)
    assert sorted(row["name"] for row in rows) == ["a.png"] * 3 + ["b.png"] * 2
    answers = [row for row in rows if row["name"] == "a.png"]
    assert [bool(row["warning"].count("the file has changed")) for row in answers] == [False, True, True]
    shapes = [cv2.imread(str(out / row["mask"]), cv2.IMREAD_UNCHANGED).shape for row in answers]
    assert shapes == [(96, 80), (60, 60), (50, 70)], "every line keeps the mask that it speaks of"
    assert [row["error"] == "" for row in rows if row["name"] == "b.png"] == [False, True]


def test_sub_folders_are_looked_into_when_asked_and_named_when_not(
    session: Session, inbox: Path, tmp_path: Path
) -> None:
    save(inbox / "a.png", bright_disc())
    save(inbox / "ward 1" / "a.png", bright_disc(60, 60))
    save(inbox / ".hidden" / "c.png", bright_disc())
    with watching(session, inbox, tmp_path / "flat") as heard:
        until(lambda: names_of(tmp_path / "flat") == ["a.png"])
        time.sleep(6 * OFTEN_S)
    assert [line for line in heard if "ward 1" in line] == [
        f"{inbox / 'ward 1'}: is a sub-folder, which is not looked into; --recursive does"
    ]
    # The answers may lie in the folder itself, and are no slices.
    out = inbox / "answers"
    with watching(session, inbox, out, recursive=True):
        until(lambda: len(names_of(out)) == 2)
        (inbox / "ward 1" / "bad.png").write_bytes(b"")
        until(lambda: len(names_of(out)) == 3)
        time.sleep(8 * OFTEN_S)
    assert names_of(out) == ["a.png", "ward 1/a.png", "ward 1/bad.png"]
    assert (out / "ward 1" / "a.png_mask.png").is_file()
    assert (out / "rejected" / "ward 1" / "bad.png.txt").is_file()


def test_a_pipe_in_the_folder_stops_nothing(session: Session, inbox: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    os.mkfifo(inbox / "a.png")
    save(inbox / "b.png", bright_disc())
    with watching(session, inbox, out) as heard:
        until(lambda: names_of(out) == ["b.png"])
    assert [line for line in heard if "a.png" in line] == [f"{inbox / 'a.png'}: is a pipe or a device, and no file"]


def test_a_file_that_we_may_read_only_later_is_answered_then(
    session: Session, inbox: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, locked = tmp_path / "out", {"p.png"}
    real = outputs.read_file

    def read_file(path: Path, name: str) -> tuple[bytes, os.stat_result]:
        if name in locked:
            raise IncompleteImage(f"{name}: cannot be read (Permission denied)", "check path and permissions")
        return real(path, name)

    monkeypatch.setattr(outputs, "read_file", read_file)
    save(inbox / "p.png", bright_disc())
    with watching(session, inbox, out):
        until(lambda: names_of(out) == ["p.png"])
        time.sleep(6 * OFTEN_S)
        assert names_of(out) == ["p.png"], "said once"
        locked.clear()
        (inbox / "p.png").chmod(0o640)
        until(lambda: len(names_of(out)) == 2)
    assert [bool(row["error"]) for row in rows_of(out)] == [True, False]
    # Also where it was let go while nobody watched; what still cannot be read is not said twice.
    locked.update({"q.png", "r.png"})
    for name in locked:
        save(inbox / name, bright_disc())
    with watching(session, inbox, out):
        until(lambda: len(names_of(out)) == 4)
    locked.remove("q.png")
    with watching(session, inbox, out):
        until(lambda: len(names_of(out)) == 5)
        time.sleep(6 * OFTEN_S)
    assert names_of(out)[-1] == "q.png" and len(names_of(out)) == 5


def test_a_table_that_is_taken_away_ends_the_watch_with_a_word(session: Session, inbox: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(CannotWrite, match="was removed or replaced"), watching(session, inbox, out):
        until((out / "model.json").is_file)
        shutil.rmtree(out)
        save(inbox / "late.png", bright_disc())
        time.sleep(20 * OFTEN_S)
    assert not (out / "results.csv").exists()


@pytest.mark.slow
def test_killed_at_ten_random_moments_each_name_stands_once(session: Session, inbox: Path, tmp_path: Path) -> None:
    out, dice = tmp_path / "out", random.Random(0)
    wanted = [f"{number:04d}.png" for number in range(400)]
    for number, name in enumerate(wanted):
        save(inbox / name, grey(seed=number))
    command = [sys.executable, "-c", PROCESS, str(session.bundle.path), str(inbox), str(out)]
    for kill in range(10):
        before = len(names_of(out))
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        until(lambda before=before: len(names_of(out)) > before, 60.0)
        time.sleep(dice.uniform(0.0, 0.15))
        process.kill()
        process.wait()
        assert before < len(wanted), f"all were done before kill {kill}"
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    until(lambda: len(names_of(out)) == len(wanted), 120.0)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20.0) == 0
    assert Counter(names_of(out)) == Counter(wanted)
    for row in rows_of(out):
        said = session.predict(grey(seed=int(row["name"][:4])))
        mask = cv2.imread(str(out / row["mask"]), cv2.IMREAD_UNCHANGED)
        assert np.array_equal(mask == 255, said.mask)
    assert not list(out.glob(".*.part"))


@pytest.mark.slow
def test_memory_stays_as_it_is_over_ten_thousand_files_that_come_at_once(
    session: Session, inbox: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    for number in range(10_000):
        (inbox / f"{number:05d}.png").write_bytes(encoded(grey(16, 16, seed=number)))
    command = [sys.executable, "-c", PROCESS, str(session.bundle.path), str(inbox), str(out)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    table = out / "results.csv"

    def lines() -> int:
        return table.read_bytes().count(b"\n") - 1 if table.exists() else 0

    until(lambda: lines() >= 1000, 300.0)
    early = resident_mib(process.pid)
    until(lambda: lines() == 10_000, 900.0)
    late = resident_mib(process.pid)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20.0) == 0
    # The names that are done are remembered: about 100 bytes each.
    assert late - early < 4.0, f"{early:.1f} MiB after 1,000 files, {late:.1f} MiB after 10,000"
    assert Counter(names_of(out)).most_common(1)[0][1] == 1


def resident_mib(pid: int) -> float:
    (line,) = (text for text in Path(f"/proc/{pid}/status").read_text().splitlines() if text.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def test_both_command_lines_watch_and_stop_when_asked(session: Session, inbox: Path, tmp_path: Path) -> None:
    save(inbox / "scan.png", bright_disc())
    for place, program in enumerate((["-m", "edgebrain.runtime"], ["-m", "edgebrain"])):
        out = tmp_path / f"out{place}"
        command = [sys.executable, *program, "predict", "--bundle", str(session.bundle.path)]
        command += ["--watch", str(inbox), "--out", str(out)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        until(lambda out=out: names_of(out) == ["scan.png"], 60.0)
        process.send_signal(signal.SIGTERM)
        said, complained = process.communicate(timeout=30.0)
        assert process.returncode == 0, complained
        assert said.splitlines()[-1].startswith("1 files done")
        wrong = subprocess.run([*command[:-2]], capture_output=True, text=True)
        assert wrong.returncode != 0 and "--out" in wrong.stderr
