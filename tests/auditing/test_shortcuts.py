from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgebrain.auditing.facts import PictureFacts
from edgebrain.auditing.shortcuts import ALL_FACTS, Shortcut, shortcut_findings, shortcuts
from edgebrain.data.sample import Record

LABELS = ("glioma", "no_tumor")
PLAIN = PictureFacts(
    Record("", Path(), None, "", ""), "", "", "JPEG", 512, 512, 1, 1, "aa", 20_000, 3.0, 40.0, 0.4, None
)  # fmt: skip


def facts(count: int = 400, **fields: list[object]) -> list[PictureFacts]:
    """Slices with every measured fact drawn by lot, alternating glioma and healthy; fields: one value a slice."""
    rng, drawn = np.random.default_rng(0), []
    for place in range(count):
        record = Record(f"{place}.jpg", Path(), None, LABELS[place % 2], "")
        lot: dict[str, object] = {"size_bytes": int(rng.integers(9000, 40000)), "border": float(rng.uniform(0, 5))}
        lot |= {"mean": float(rng.uniform(20, 60)), "dark": float(rng.uniform(0.2, 0.6))}
        lot |= {name: values[place] for name, values in fields.items()}
        drawn.append(replace(PLAIN, record=record, **lot))
    return drawn


def by_fact(found: list[Shortcut]) -> dict[str, Shortcut]:
    return {shortcut.fact: shortcut for shortcut in found}


def own_groups(count: int = 400) -> list[str]:
    return [f"g{place}" for place in range(count)]


def test_where_nothing_depends_on_the_class_nothing_tells_it() -> None:
    found = shortcuts(facts(), own_groups())
    assert not any(shortcut.is_shortcut for shortcut in found) and shortcut_findings(facts(), found) == []
    assert all(shortcut.majority == 0.5 and abs(shortcut.accuracy - 0.5) < 0.12 for shortcut in found)


@pytest.mark.parametrize(
    ("field", "values", "fact"),
    [
        ("width", (512, 369), "size"),
        ("channels", (1, 3), "file type and channels"),
        ("tables", ("aa", "bb"), "JPEG tables"),
        ("border", (1.0, 9.0), "border brightness"),
        ("mean", (30.0, 50.0), "mean brightness"),
        ("dark", (0.2, 0.5), "share of dark pixels"),
        ("size_bytes", (10_000, 30_000), "file bytes"),
    ],
)
def test_a_fact_that_tells_the_class_is_named(field: str, values: tuple[object, object], fact: str) -> None:
    # One slice in ten has the other class's value: no fact of a real set is without exceptions.
    drawn = facts(**{field: [values[(place + (place % 10 == 3)) % 2] for place in range(400)]})
    found = shortcuts(drawn, own_groups())
    told = by_fact(found)
    assert {name for name, one in told.items() if one.is_shortcut} == {fact, ALL_FACTS}
    assert told[fact].accuracy == pytest.approx(0.9, abs=0.01) and told[fact].tumour_accuracy == told[fact].accuracy
    finding = shortcut_findings(drawn, found)[0]
    assert finding.key == "shortcut" and set(finding.items) == {(fact,), (ALL_FACTS,)}


def test_a_value_that_one_class_has_alone_gives_it_away() -> None:
    drawn = facts(width=[369 if place % 2 and place < 100 else 512 for place in range(400)])
    findings = {finding.key: finding for finding in shortcut_findings(drawn, shortcuts(drawn, own_groups()))}
    assert findings["give-away"].items == (("size 369x512",),)
    assert findings["give-away"].details == ("50 of 50 are no_tumor",)


def test_what_only_a_group_has_in_common_is_not_a_shortcut() -> None:
    # Ten groups, each of one class and with a border of its own: within a group the border tells the class, and a
    # classifier that has seen the group would be right every time.
    groups = [f"g{place % 10}" for place in range(400)]
    drawn = facts(border=[float(place % 10) for place in range(400)])
    told = by_fact(shortcuts(drawn, groups))
    assert told["border brightness"].accuracy < 0.8
    assert by_fact(shortcuts(drawn, own_groups()))["border brightness"].accuracy > 0.9


def test_one_class_or_too_few_groups_have_no_shortcuts() -> None:
    same = [replace(fact, record=replace(fact.record, label="glioma")) for fact in facts(40)]
    assert shortcuts(same, own_groups(40)) == [] and shortcut_findings(same, []) == []
    assert shortcuts(facts(40), ["a", "b"] * 20) == []


def test_slices_without_class_are_left_out() -> None:
    drawn = facts(width=[512 if place % 2 else 369 for place in range(400)])
    nameless = [replace(fact, record=replace(fact.record, label="")) for fact in facts(100)]
    told = by_fact(shortcuts([*drawn, *nameless], own_groups(500)))
    assert told["size"].accuracy == 1.0


@pytest.mark.parametrize(
    ("accuracy", "standard_error", "expected"),
    [(0.54, 0.001, False), (0.56, 0.001, True), (0.56, 0.03, False), (0.60, 0.03, True)],
)
def test_a_shortcut_is_five_points_and_three_standard_errors_above_guessing(
    accuracy: float, standard_error: float, expected: bool
) -> None:
    assert Shortcut("size", accuracy, 0.5, standard_error, None, None).is_shortcut == expected
