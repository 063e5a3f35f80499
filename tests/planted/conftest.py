from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from edgebrain.bundle import Bundle
from edgebrain.data.readers import open_dataset
from edgebrain.data.sample import Dataset, Record
from edgebrain.data.split import Split, make_split
from edgebrain.files import sha256_bytes
from edgebrain.phantom.generator import write_phantoms
from tests.runtime.tiny import tiny_bundle, tiny_manifest


@dataclass(frozen=True)
class Shelf:
    """A run on phantoms whose bundles are tiny networks: enough to be measured, nothing to be trained."""

    run: Path
    dataset: Dataset
    split: Split

    def of_side(self, side: str) -> list[Record]:
        return list(self.dataset.named(self.split.names_of(side)))

    def quantized(self, name: str, calibrated: Sequence[tuple[str, str, str]], split_sha256: str = "") -> Bundle:
        """An int8 bundle of the run with this calibration list: (name, group, sha256)."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([("name", "group", "sha256"), *calibrated])
        listed = text.getvalue().encode()
        manifest = tiny_manifest("tflite", "int8", name)
        manifest["lineage"] = {
            "parent": None,
            "split_sha256": split_sha256 or self.split.sha256,
            "calibration_sha256": sha256_bytes(listed),
        }
        from edgebrain.bundle import write_bundle

        content = tiny_bundle(self.run / "parts" / name, precision="int8").contents
        return write_bundle(self.run / "bundles" / name, manifest, {**content, "calibration.csv": listed})


def lines(records: Sequence[Record]) -> list[tuple[str, str, str]]:
    """The records as lines of a calibration list."""
    return [(one.name, one.group, sha256_bytes(one.image_path.read_bytes())) for one in records]


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("planted") / "phantoms"
    write_phantoms(folder, 64, seed=3)
    return folder


@pytest.fixture
def shelf(phantoms: Path, tmp_path: Path) -> Shelf:
    dataset = open_dataset(phantoms)
    records = dataset.records
    columns = ([getattr(one, key) for one in records] for key in ("name", "label", "plane", "group"))
    split = make_split(*columns, seed=0)
    run = tmp_path / "runs" / "planted"
    run.mkdir(parents=True)
    (run / "run.json").write_text(json.dumps({"data": {"path": str(phantoms)}}))
    split.write(run / "split.json")
    return Shelf(run, dataset, split)
