"""Settings: values into dataclasses and back, and what is said of wrong ones."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebrain.errors import BadRecipe
from edgebrain.settings import Meta, as_builtins, as_toml, from_builtins, near_spellings, read_toml


@dataclass(frozen=True)
class Part:
    epochs: Annotated[int, Meta(ge=1, le=10)] = 5
    rate: float = 0.5
    schedule: Literal["cosine", "constant"] = "cosine"


@dataclass(frozen=True)
class Whole:
    name: str
    part: Part = field(default_factory=Part)
    names: tuple[str, ...] = ()
    folder: Path | None = None


def read(values: dict[str, Any]) -> Whole:
    return from_builtins(values, Whole, "mine.toml", BadRecipe)


@pytest.mark.parametrize(
    ("values", "message", "hint"),
    [
        ({"nam": "x"}, "mine.toml: unknown key 'nam'", "did you mean name"),
        ({"name": "x", "part": {"epoch": 1}}, "mine.toml: unknown key 'part.epoch'", "did you mean epochs?"),
        ({}, "mine.toml: key 'name' is missing", ""),
        ({"name": 3}, "mine.toml: name = 3: expected str, got int", ""),
        ({"name": "x", "part": {"epochs": True}}, "mine.toml: part.epochs = True: expected int, got bool", ""),
        ({"name": "x", "part": {"epochs": 11}}, "mine.toml: part.epochs = 11 is not between 1 and 10", ""),
        ({"name": "x", "part": {"schedule": "cosin"}}, "mine.toml: part.schedule = 'cosin' is not known", "cosine?"),
        ({"name": "x", "part": 3}, "mine.toml: part must be a table", "write [part]"),
        ({"name": "x", "names": ["a", 1]}, "mine.toml: names[1] = 1: expected str, got int", ""),
    ],
)
def test_a_wrong_value_is_named_by_its_path(values: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(BadRecipe) as refused:
        read(values)
    assert refused.value.message == message
    assert hint in refused.value.hint


@given(st.builds(Part, st.integers(1, 10), st.floats(-1e6, 1e6), st.sampled_from(["cosine", "constant"])), st.text())
def test_what_is_written_as_toml_is_read_again(part: Part, name: str) -> None:
    whole = Whole(name, part, ("a", "b"))
    assert read(tomllib.loads(as_toml(whole))) == whole


def test_paths_become_text_and_none_is_left_out_of_toml() -> None:
    whole = Whole("x", folder=Path("a/b"))
    assert as_builtins(whole)["folder"] == "a/b"
    assert read(as_builtins(whole)) == whole
    assert "folder" not in tomllib.loads(as_toml(Whole("x")))


def test_unknown_keys_are_dropped_where_a_newer_writer_may_add_some() -> None:
    assert from_builtins({"name": "x", "new": 1}, Whole, "report", BadRecipe, extra=True) == Whole("x")


def test_a_file_that_is_not_toml_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    with pytest.raises(BadRecipe, match="cannot be read"):
        read_toml(path, BadRecipe)
    path.write_text("= 3")
    with pytest.raises(BadRecipe, match="is not TOML"):
        read_toml(path, BadRecipe, "copy a fresh one")


def test_where_no_spelling_is_near_all_are_named() -> None:
    assert near_spellings("zzz", ["epochs", "batch"]) == "known: batch, epochs"


def test_a_field_that_took_its_default_is_written_too() -> None:
    part = {"epochs": 5, "rate": 0.5, "schedule": "cosine"}
    assert as_builtins(read({"name": "x"})) == {"name": "x", "part": part, "names": [], "folder": None}
