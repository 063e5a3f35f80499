"""Names of outputs: after the picture, never two alike, never too long."""

from __future__ import annotations

import os
import time
from pathlib import PurePath
from unicodedata import normalize

from hypothesis import given
from hypothesis import strategies as st

from edgebrain.runtime.names import OutputNames

# Any bytes but a slash and NUL, as a file system gives them; and text, whose signs have several spellings.
FILE_NAMES = st.one_of(
    st.binary(min_size=1, max_size=255).map(lambda raw: os.fsdecode(raw.replace(b"/", b"").replace(b"\0", b""))),
    st.text(st.characters(codec="utf-8", exclude_characters="/\0"), max_size=60),
).filter(lambda name: name not in ("", ".", ".."))


def test_the_stem_then_the_file_name_then_a_number() -> None:
    names = OutputNames()
    wished = [("", "x.png"), ("", "x.jpg"), ("", "x.png"), ("", "x.png"), ("p", "x.png"), ("", "X.PNG")]
    assert [names.name(*one) for one in wished] == ["x", "x.jpg", "x.png", "x.png-2", "p/x", "X.PNG-3"]


def test_names_of_an_earlier_run_are_not_given_again() -> None:
    names = OutputNames(taken=["x", "p/y.png"])
    assert names.name("", "x.png") == "x.png"
    assert names.whole_name("p", "y.png") == "p/y.png-2"
    names.give_back("p/y.png-2")
    assert names.whole_name("p", "y.png") == "p/y.png-2"
    assert names.whole_name("p", "y.png") == "p/y.png-3"


@given(st.lists(FILE_NAMES, max_size=30))
def test_no_two_names_are_alike_on_any_file_system_and_all_fit(wished: list[str]) -> None:
    names = OutputNames()
    given_out = [names.name("", name) for name in wished]
    assert len({normalize("NFC", name).casefold() for name in given_out}) == len(wished)
    assert all(len(os.fsencode(f"{PurePath(name).name}_overlay.png")) <= 255 for name in given_out)


def test_thousands_of_equal_names_take_no_longer_each_than_a_few() -> None:
    def seconds(count: int) -> float:
        names, start = OutputNames(), time.perf_counter()
        for _ in range(count):
            names.name("", "image.png")
        return time.perf_counter() - start

    # Ten times the names: ten times the time, where it was a hundred times. The best of three, for a noisy machine.
    few, many = (min(seconds(count) for _ in range(3)) for count in (3_000, 30_000))
    assert many < 40 * few
