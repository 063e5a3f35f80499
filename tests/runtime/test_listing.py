"""Which files a folder means, for every command."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from edgebrain.runtime.listing import Listing, left_out, list_files
from edgebrain.runtime.predict import predict_files
from edgebrain.runtime.results_file import MASK, OVERLAY
from edgebrain.runtime.session import open_session
from tests.runtime.pictures import bright_disc, save
from tests.runtime.tiny import tiny_bundle


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def names(listing: Listing, root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path in listing.pictures]


def test_pictures_are_found_at_every_depth_whatever_the_case_of_their_ending(tmp_path: Path) -> None:
    wanted = ["a.PNG", "b.Jpeg", "c/d.tif", "c/e.jfif", "c/f/g.JPE", "z.TIFF"]
    touch(*(tmp_path / name for name in (*wanted, "notes.txt", "c/scan.dcm", "c/f/IM0001", "Thumbs.db")))
    listing = list_files(tmp_path)
    assert names(listing, tmp_path) == wanted
    assert listing.other == {".txt": 1, ".dcm": 1, "no ending": 1, ".db": 1}
    assert left_out(listing.other).startswith("4 other files left out (")
    assert (listing.own, listing.unreadable) == (0, ())
    assert left_out({}) == "" and left_out({".dcm": 1}) == "1 other file left out (.dcm 1)"


def test_hidden_files_and_folders_do_not_count_unless_they_are_the_folder_named(tmp_path: Path) -> None:
    touch(tmp_path / "a.png", tmp_path / ".b.png", tmp_path / ".trash" / "c.png", tmp_path / "d" / ".e" / "f" / "g.png")
    listing = list_files(tmp_path)
    assert names(listing, tmp_path) == ["a.png"] and not listing.other
    assert names(list_files(tmp_path / ".trash"), tmp_path / ".trash") == ["c.png"]


def test_a_folder_named_like_a_picture_is_a_folder(tmp_path: Path) -> None:
    touch(tmp_path / "series.png" / "a.png")
    assert names(list_files(tmp_path), tmp_path) == ["series.png/a.png"]


def test_links_are_followed_once(tmp_path: Path) -> None:
    root, elsewhere = tmp_path / "in", tmp_path / "elsewhere"
    touch(root / "a.png", root / "sub" / "b.png", elsewhere / "c.png", elsewhere / "deep" / "d.png")
    (root / "again.png").symlink_to(root / "a.png")
    (root / "away").symlink_to(elsewhere)
    (root / "zaway").symlink_to(elsewhere / "deep")
    (root / "sub" / "round").symlink_to(root)
    (elsewhere / "back").symlink_to(root / "sub")
    listing = list_files(root)
    # What lies here has its own name; what lies elsewhere has that of the first link to it.
    assert names(listing, root) == ["a.png", "away/c.png", "away/deep/d.png", "sub/b.png"]
    assert not listing.unreadable


def test_links_that_lead_nowhere_or_in_a_circle_are_named(tmp_path: Path) -> None:
    touch(tmp_path / "a.png")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "round").symlink_to(tmp_path / "round")
    listing = list_files(tmp_path)
    assert names(listing, tmp_path) == ["a.png"]
    assert [path.name for path, _ in listing.unreadable] == ["gone.png", "round"]
    assert all(reason.startswith("a link that leads nowhere") for _, reason in listing.unreadable)


def test_pipes_and_sockets_are_no_pictures(tmp_path: Path) -> None:
    touch(tmp_path / "a.png")
    os.mkfifo(tmp_path / "pipe.png")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(os.path.relpath(tmp_path / "s.png"))
        listing = list_files(tmp_path)
    assert names(listing, tmp_path) == ["a.png"]
    assert [path.name for path in listing.special] == ["pipe.png", "s.png"] and listing.others == ()
    assert listing.other == {"pipe or device": 2}


def test_folders_that_cannot_be_opened_are_named_and_the_rest_is_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path / "a.png", tmp_path / "locked" / "b.png", tmp_path / "open" / "c.png")
    if os.geteuid() == 0:  # whom no permission stops
        real = os.scandir

        def refusing(path: str) -> object:
            if str(path).endswith("locked"):
                raise PermissionError(13, "Permission denied", path)
            return real(path)

        monkeypatch.setattr(os, "scandir", refusing)
    else:
        (tmp_path / "locked").chmod(0)
    listing = list_files(tmp_path)
    assert names(listing, tmp_path) == ["a.png", "open/c.png"]
    assert listing.unreadable == ((tmp_path / "locked", "Permission denied"),)
    assert list_files(tmp_path / "nowhere").unreadable == ((tmp_path / "nowhere", "No such file or directory"),)
    if os.geteuid():
        (tmp_path / "locked").chmod(stat.S_IRWXU)


def test_sub_folders_that_are_not_looked_into_are_named(tmp_path: Path) -> None:
    touch(tmp_path / "a.png", tmp_path / "sub" / "b.png", tmp_path / ".hidden" / "c.png")
    listing = list_files(tmp_path, recursive=False)
    assert names(listing, tmp_path) == ["a.png"] and listing.folders == (tmp_path / "sub",)


@pytest.mark.parametrize("out", ["answers", ".", "deep/er"])
def test_what_edgebrain_wrote_is_never_listed(tmp_path: Path, out: str) -> None:
    root = tmp_path / "in"
    for name in ("a.png", "b/a.png"):
        save(root / name, bright_disc())
    save(root / "b" / "other_mask.png", bright_disc())
    mine = names(list_files(root), root)
    session = open_session(tiny_bundle(tmp_path / "bundle"))
    predict_files(session, [root], root / out)
    # Killed between the overlay and its line.
    touch(root / out / f"late{MASK}", root / out / f"late{OVERLAY}")
    (root / out / ".unfinished").write_text("late")
    # A person's own, beside the table.
    touch(root / out / "own_mask.png")
    listing = list_files(root)
    assert sorted(names(listing, root)) == sorted([*mine, (Path(out) / "own_mask.png").as_posix()])
    # Two files a picture, the table, the note of the model, and the two that came late.
    assert listing.own == 2 * len(mine) + 4
    # Also where the folder that is named lies below the table.
    below = list_files(root / out / "b") if out != "." else None
    assert below is None or below.pictures == ()


def test_a_persons_own_mask_and_table_are_no_outputs_of_ours(tmp_path: Path) -> None:
    touch(tmp_path / "a.png", tmp_path / "a_mask.png")
    (tmp_path / "results.csv").write_text("patient,score\nx,1\n")
    listing = list_files(tmp_path)
    assert names(listing, tmp_path) == ["a.png", "a_mask.png"] and listing.own == 0
    assert listing.other == {".csv": 1}


def test_pictures_of_runs_are_outputs_too(tmp_path: Path) -> None:
    touch(tmp_path / "runs/one/run.json", tmp_path / "runs/one/curves.png", tmp_path / "runs/one/new/curves.png")
    touch(tmp_path / "runs/one/evaluation/x/evaluation.json", tmp_path / "runs/one/evaluation/x/confusion.png")
    assert names(list_files(tmp_path), tmp_path) == ["runs/one/new/curves.png"]
