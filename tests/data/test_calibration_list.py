"""Which lists of calibration images are refused; from a bundle, tests/planted/test_calibration.py does so."""

from __future__ import annotations

import pytest

from edgebrain.data.calibration_list import check_calibrated, read_list
from edgebrain.data.split import Split
from edgebrain.errors import BadData

# A training side of 80 gliomas and 20 healthy slices.
LABELS = {f"{n:03d}.png": "no_tumor" if n % 5 == 0 else "glioma" for n in range(100)}
SPLIT = Split(tuple(LABELS), (), (), {})
GLIOMAS = [name for name, label in LABELS.items() if label == "glioma"]


def check(names: list[str]) -> None:
    check_calibrated("calibration.csv", [(name, name) for name in names], SPLIT, LABELS, {name: name for name in names})


def test_a_class_that_a_short_list_misses_by_chance_is_no_mistake() -> None:
    # Nine slices of a fifth: fewer than two healthy ones are expected.
    check(GLIOMAS[:9])
    with pytest.raises(BadData, match="one class only, glioma; no slice of no_tumor"):
        check(GLIOMAS[:10])


def test_a_list_without_hashes_is_refused() -> None:
    with pytest.raises(BadData, match="has no column 'sha256'"):
        read_list(b"name\na.png\n")
