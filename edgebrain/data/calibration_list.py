"""Check the images that a model was calibrated on: unchanged slices of the training side, of every class.

Done when a model is quantized, and again when a bundle is measured on slices of the same split.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence

from edgebrain.data.split import Split
from edgebrain.errors import BadData

# Where a proportional draw would hold fewer slices of a class than this, the class may be missing by chance.
FEWEST_EXPECTED = 2
QUANTIZE_AGAIN = "quantize again: edgebrain draws from the training side, a share of each class"


def read_list(content: bytes) -> list[tuple[str, str]]:
    """Read a calibration.csv.

    Args:
        content: The file's bytes.

    Returns:
        Name and SHA-256 of the image file of each calibration image.

    Raises:
        BadData: A column is missing.

    Example:
        >>> read_list(b"name,sha256\\na.png,00ff\\n")
        [('a.png', '00ff')]
    """
    rows = list(csv.DictReader(io.StringIO(content.decode(errors="replace"))))
    try:
        return [(row["name"], row["sha256"]) for row in rows]
    except KeyError as problem:
        raise BadData(f"calibration.csv: has no column {problem}", QUANTIZE_AGAIN) from problem


def check_calibrated(
    where: str,
    listed: Sequence[tuple[str, str]],
    split: Split,
    labels: Mapping[str, str],
    sha256s: Mapping[str, str],
) -> None:
    """Refuse calibration images that give wrong ranges, or that leak.

    Args:
        where: Name of the list in messages.
        listed: Name and SHA-256 of the image file of each calibration image.
        split: The split that the model is measured on.
        labels: Name -> class of every slice of the data set.
        sha256s: Name -> SHA-256 of the image file, of the listed slices at least.

    Raises:
        BadData: An image is not of the data set, is on another side than train, has changed, or a class is missing.
    """
    unknown = [name for name, _ in listed if name not in labels]
    if unknown:
        raise BadData(
            f"{where}: {len(unknown)} of {len(listed)} calibration images are not slices of the data set "
            f"(first: {unknown[0]}): noise or other pictures give ranges that slices do not have",
            QUANTIZE_AGAIN,
        )
    train = set(split.train)
    leaked = [name for name, _ in listed if name not in train]
    if leaked:
        raise BadData(
            f"{where}: calibrated on the {split.side(leaked[0])} side: {leaked[0]} ({len(leaked)} slices in all) "
            "influenced the model that it is meant to test",
            QUANTIZE_AGAIN,
        )
    changed = [name for name, sha256 in listed if sha256s[name] != sha256]
    if changed:
        raise BadData(
            f"{where}: {changed[0]} does not have the listed hash ({len(changed)} slices in all): the list was edited, "
            "or the picture was changed",
            "copy bundle and data set again from their source, or quantize again",
        )
    _check_classes(where, [labels[name] for name, _ in listed], [labels[name] for name in split.train])


def _check_classes(where: str, calibrated: Sequence[str], train: Sequence[str]) -> None:
    in_training, in_list = Counter(train), Counter(calibrated)
    missing = [
        label
        for label, count in sorted(in_training.items())
        if not in_list[label] and count / len(train) * len(calibrated) >= FEWEST_EXPECTED
    ]
    if missing:
        only = "one class only, " if len(in_list) == 1 else ""
        raise BadData(
            f"{where}: calibrated on {only}{', '.join(sorted(in_list))}; no slice of {', '.join(missing)}, which the "
            "training side has",
            QUANTIZE_AGAIN,
        )
