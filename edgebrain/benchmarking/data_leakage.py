"""Data leakage: evaluation slices that a bundle was trained on, by another split, or calibrated on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgebrain.bundle import CALIBRATION, Bundle
from edgebrain.data.calibration_list import check_calibrated, read_list
from edgebrain.data.sample import Dataset, read
from edgebrain.data.split import Split
from edgebrain.errors import BadData
from edgebrain.files import sha256_bytes

JUDGING_SIDES = ("val", "test")


def refuse_seen(
    bundles: Sequence[Bundle], dataset: Dataset, split: Split | None, side: str, hashes: Mapping[str, str]
) -> None:
    """Refuse bundles that have seen the slices which are to judge them.

    Args:
        bundles: The bundles to judge.
        dataset: The data set of the slices.
        split: The run's, where the slices come from it; calibration lists are then checked against its training side.
        side: The side that was asked for; the training side judges nobody.
        hashes: Name of each chosen slice -> SHA-256 of its picture's file.

    Raises:
        BadData: A bundle was trained on another split, or calibrated on a slice that is to judge it, named.
    """
    known = dict(hashes)
    for bundle in bundles:
        if split is not None:
            _refuse_other_split(bundle, split)
        if CALIBRATION not in bundle.contents:
            continue
        listed = read_list(bundle.contents[CALIBRATION])
        where = str(bundle.path / CALIBRATION)
        if split is not None:
            # Bundles of one run share most of their calibration slices, which are hashed once.
            _add_hashes(known, listed, dataset)
            check_calibrated(where, listed, split, {one.name: one.label for one in dataset.records}, known)
        elif side in JUDGING_SIDES:
            _refuse_same_pictures(where, listed, hashes)


def _refuse_other_split(bundle: Bundle, split: Split) -> None:
    trained = bundle.lineage.get("split_sha256")
    if trained is not None and trained != split.sha256:
        raise BadData(
            f"{bundle.path}: was trained on another split ({trained[:12]}) than its run's split.json "
            f"({split.sha256[:12]}): slices that it learnt from may be on the test side",
            "put back the split that the run was trained with, or train again",
        )


def _add_hashes(known: dict[str, str], listed: Sequence[tuple[str, str]], dataset: Dataset) -> None:
    names = {name for name, _ in listed} - known.keys()
    known |= {one.name: sha256_bytes(read(one.image_path)) for one in dataset.records if one.name in names}


def _refuse_same_pictures(where: str, listed: Sequence[tuple[str, str]], hashes: Mapping[str, str]) -> None:
    calibrated = {sha256 for _, sha256 in listed}
    seen = [name for name, sha256 in hashes.items() if sha256 in calibrated]
    if seen:
        raise BadData(
            f"{where}: calibrated on {seen[0]} ({len(seen)} of the {len(hashes)} slices that are to judge the model)",
            "measure on other slices, or quantize again",
        )
