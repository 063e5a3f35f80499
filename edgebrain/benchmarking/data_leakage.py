"""Has a bundle seen the slices that are to judge it: in training, by another split, or in calibration?"""

from __future__ import annotations

from collections.abc import Sequence

from edgebrain.bundle import CALIBRATION, Bundle
from edgebrain.data.calibration_list import check_calibrated, read_list
from edgebrain.data.sample import Dataset, Record, read
from edgebrain.data.split import Split
from edgebrain.errors import BadData
from edgebrain.files import sha256_bytes

JUDGING_SIDES = ("val", "test")


def refuse_seen(
    bundles: Sequence[Bundle], dataset: Dataset, split: Split | None, side: str, chosen: Sequence[Record]
) -> None:
    """Raises BadData: a bundle was trained on another split, or calibrated on a slice that is to judge it, named.

    Args: split: the run's, where the slices come from it, else None; its calibration lists are then held against its
    training side too. side: which one was asked for; the training side judges nobody. chosen: the slices.
    """
    for bundle in bundles:
        if split is not None:
            _refuse_other_split(bundle, split)
        if CALIBRATION not in bundle.contents:
            continue
        listed = read_list(bundle.contents[CALIBRATION])
        where = str(bundle.path / CALIBRATION)
        if split is not None:
            _check_against(where, listed, dataset, split)
        elif side in JUDGING_SIDES:
            _refuse_same_pictures(where, listed, chosen)


def _refuse_other_split(bundle: Bundle, split: Split) -> None:
    trained = bundle.lineage.get("split_sha256")
    if trained is not None and trained != split.sha256:
        raise BadData(
            f"{bundle.path}: was trained on another split ({trained[:12]}) than its run's split.json "
            f"({split.sha256[:12]}): slices that it learnt from may stand on the test side",
            "put back the split that the run was trained with, or train again",
        )


def _check_against(where: str, listed: Sequence[tuple[str, str]], dataset: Dataset, split: Split) -> None:
    known = {record.name: record for record in dataset.records}
    named = [known[name] for name, _ in listed if name in known]
    hashes = {record.name: sha256_bytes(read(record.image_path)) for record in named}
    check_calibrated(where, listed, split, {name: record.label for name, record in known.items()}, hashes)


def _refuse_same_pictures(where: str, listed: Sequence[tuple[str, str]], chosen: Sequence[Record]) -> None:
    calibrated = {sha256 for _, sha256 in listed}
    seen = [record.name for record in chosen if sha256_bytes(read(record.image_path)) in calibrated]
    if seen:
        raise BadData(
            f"{where}: calibrated on {seen[0]} ({len(seen)} of the {len(chosen)} slices that are to judge the model)",
            "measure on other slices, or quantize again",
        )
