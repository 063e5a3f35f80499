"""Splits that leak: refused when they are read; copies that no group tells are found by the audit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edgebrain.cli import main
from edgebrain.data.split import Split
from edgebrain.errors import BadData
from tests.auditing.factories import Folder, phantom_head
from tests.planted.conftest import Shelf, lines


def group_with_two(split: Split) -> str:
    """A slice of the training side whose group has another one there."""
    groups = [split.groups[name] for name in split.train]
    return next(name for name in split.train if groups.count(split.groups[name]) > 1)


def test_a_group_on_two_sides_is_named_with_both_slices(shelf: Shelf, capsys: pytest.CaptureFixture[str]) -> None:
    moved = group_with_two(shelf.split)
    leaking = replace(
        shelf.split,
        train=tuple(name for name in shelf.split.train if name != moved),
        test=tuple(sorted((*shelf.split.test, moved))),
    )
    leaking.write(shelf.run / "split.json")
    bundle = shelf.quantized("any", lines(shelf.of_side("train")))
    with pytest.raises(SystemExit) as ended:
        main(["evaluate", str(bundle.path)])
    said = capsys.readouterr().err
    assert ended.value.code == 1
    assert f"split.json: leaks: group {shelf.split.groups[moved]} is on two sides" in said and moved in said
    assert "split again by group and train again" in said


def test_a_test_slice_repeated_in_training_is_named(shelf: Shelf) -> None:
    twice = shelf.split.test[0]
    replace(shelf.split, train=(*shelf.split.train, twice)).write(shelf.run / "split.json")
    with pytest.raises(BadData, match=rf"leaks: group .* is on two sides \({twice}: train, {twice}: test\)"):
        Split.read(shelf.run / "split.json")


def test_an_edited_split_is_named(shelf: Shelf) -> None:
    path = shelf.run / "split.json"
    path.write_text(path.read_text().replace(shelf.split.test[0], "another.png"))
    with pytest.raises(BadData, match=r"split\.json: does not match its own hash"):
        Split.read(path)


def test_a_split_made_anew_after_training_is_named(shelf: Shelf, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = shelf.quantized("planted", lines(shelf.of_side("train")), split_sha256="f" * 64)
    for command in ("bench", "evaluate"):
        with pytest.raises(SystemExit) as ended:
            main([command, str(bundle.path)])
        said = capsys.readouterr().err
        assert ended.value.code == 1
        assert f"{bundle.path}: was trained on another split (ffffffffffff)" in said
        assert "put back the split" in said


def test_an_honest_split_is_read(shelf: Shelf) -> None:
    assert Split.read(shelf.run / "split.json") == shelf.split


@pytest.mark.parametrize(
    ("turn", "words"),
    [
        (lambda image: image, "byte-identical files, across sides"),
        (lambda image: image[:, ::-1], "mirrored copies, across sides"),
    ],
    ids=["copy", "mirrored"],
)
def test_a_copy_in_training_that_no_group_tells_is_found_by_the_audit(
    turn: object, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Folder(tmp_path / "set")
    names = [folder.put(phantom_head(n), side=("train", "test")[n % 2]) for n in range(6)]
    copied = folder.put(turn(phantom_head(0)), side="test")  # type: ignore[operator]
    with pytest.raises(SystemExit) as ended:
        main(["data", "audit", str(folder.root)])
    said = capsys.readouterr().out
    assert not ended.value.code
    assert words in said and names[0] in said and copied in said and "split by groups" in " ".join(said.split())
