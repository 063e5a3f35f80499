"""Are these calibration images what they should be: unchanged slices of the training side, of every class?

Asked when a model is quantized, and again when a bundle is measured on slices of the same split.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence

from edgebrain.data.split import Split
from edgebrain.errors import BadData

# A class of which a proportional draw would hold fewer may be missing by chance.
FEWEST_EXPECTED = 2
AGAIN = "quantize again: edgebrain draws from the training side, a share of each class"


def read_list(content: bytes) -> list[tuple[str, str]]:
    """Name and image hash of each line of a calibration.csv. Raises BadData: a column is missing."""
    rows = list(csv.DictReader(io.StringIO(content.decode(errors="replace"))))
    try:
        return [(row["name"], row["sha256"]) for row in rows]
    except KeyError as problem:
        raise BadData(f"calibration.csv: has no column {problem}", AGAIN) from problem


def check_calibrated(
    where: str,
    listed: Sequence[tuple[str, str]],
    split: Split,
    labels: Mapping[str, str],
    sha256s: Mapping[str, str],
) -> None:
    """Raises BadData: calibration on images of no data set, on another side, on changed images, or without a class.

    Args: where: how the errors call the list. listed: (name, SHA-256 of the image file). labels, sha256s: of the data
    set's slices by name; sha256s at least of those that are listed.
    """
    strangers = [name for name, _ in listed if name not in labels]
    if strangers:
        raise BadData(
            f"{where}: {len(strangers)} of {len(listed)} calibration images are no slices of the data set "
            f"({strangers[0]} the first): noise or foreign pictures give scales that no slice needs",
            AGAIN,
        )
    train = set(split.train)
    leaked = [name for name, _ in listed if name not in train]
    if leaked:
        raise BadData(
            f"{where}: calibrated on the {split.side(leaked[0])} side: {leaked[0]} ({len(leaked)} slices in all) "
            "shaped the model that it is to judge",
            AGAIN,
        )
    changed = [name for name, sha256 in listed if sha256s[name] != sha256]
    if changed:
        raise BadData(
            f"{where}: {changed[0]} is listed with another content than it has ({len(changed)} slices in all): the "
            "list was edited, or the picture was changed",
            "copy bundle and data set again from their source, or quantize again",
        )
    _check_classes(where, [labels[name] for name, _ in listed], [labels[name] for name in split.train])


def _check_classes(where: str, calibrated: Sequence[str], train: Sequence[str]) -> None:
    there, here = Counter(train), Counter(calibrated)
    missing = [
        label
        for label, count in sorted(there.items())
        if not here[label] and count / len(train) * len(calibrated) >= FEWEST_EXPECTED
    ]
    if missing:
        seen = "one class only, " if len(here) == 1 else ""
        raise BadData(
            f"{where}: calibrated on {seen}{', '.join(sorted(here))}; no slice of {', '.join(missing)}, which the "
            "training side has",
            AGAIN,
        )
