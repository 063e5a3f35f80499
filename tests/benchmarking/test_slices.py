from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgebrain.benchmarking import slices as module
from edgebrain.benchmarking.slices import choose_slices, content_sha256, spread
from edgebrain.data.masks import MaskEncoding
from edgebrain.data.sample import Dataset
from edgebrain.data.split import Split
from edgebrain.errors import BadData
from tests.benchmarking.factories import records
from tests.runtime.pictures import save


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run whose split holds t0 and t1 for training, t2 for validation, and t3 for the test."""
    found = tuple(sorted(records(tmp_path / "data"), key=lambda record: record.name))
    monkeypatch.setattr(module, "open_dataset", lambda path: Dataset(path, "fake", found))
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps({"data": {"path": str(tmp_path / "data")}}))
    groups = {name: f"group of {name}" for name in ("t0.png", "t1.png", "t2.png", "t3.png")}
    Split(("t0.png", "t1.png"), ("t2.png",), ("t3.png",), groups).write(folder / "split.json")
    return folder


def test_the_runs_own_split_and_groups_are_used(run: Path) -> None:
    chosen, facts = choose_slices(run, None, "test")
    assert [(one.id, one.group) for one in chosen] == [("t3.png", "group of t3.png")]
    assert facts.source == "the run's split" and facts.slices == 1


def test_a_data_set_that_lacks_slices_of_the_split_is_taken_by_its_own_folders(run: Path) -> None:
    Split((), (), ("elsewhere.png",), {}).write(run / "split.json")
    chosen, facts = choose_slices(run, None, "test")
    assert len(chosen) == 6 and facts.source == "the data set's own folders"


def test_fewer_slices_are_spread_evenly_and_change_the_hash(run: Path) -> None:
    few, facts = choose_slices(None, run, "all", most=3)
    assert [one.id for one in few] == ["h0.png", "t0.png", "t2.png"]
    assert facts.names_sha256 != choose_slices(None, run, "all")[1].names_sha256
    assert spread(few, 99) == few


@pytest.mark.parametrize(("side", "word"), [("nowhere", "no side of a split"), ("val", "no slice on the side")])
def test_a_side_without_slices_is_an_error(run: Path, side: str, word: str) -> None:
    with pytest.raises(BadData, match=word):
        choose_slices(None, run, side)


def test_without_run_and_data_the_way_out_is_named() -> None:
    with pytest.raises(BadData) as caught:
        choose_slices(None, None, "test")
    assert "--data" in caught.value.hint


def test_slices_that_cannot_be_used_are_left_out_and_named(run: Path, tmp_path: Path) -> None:
    save(tmp_path / "data" / "t2_mask.png", np.zeros((66, 60), np.uint8))
    with pytest.raises(BadData, match="1 of 4 masks cannot be used, more than a tenth"):
        choose_slices(None, run, "all")
    chosen, facts = choose_slices(None, run, "all", allow_rejected=True)
    assert [one.id for one in chosen] == ["h0.png", "h1.png", "t0.png", "t1.png", "t3.png"]
    assert facts.slices == 5 and [one.name for one in facts.rejected] == ["t2.png"]
    assert facts.left_out.startswith("1 of 6 slices left out: ") and "an empty mask" in facts.left_out


def test_a_side_of_which_nothing_can_be_used_is_an_error_even_with_leave(run: Path, tmp_path: Path) -> None:
    (tmp_path / "data" / "t3.png").write_bytes(b"")
    with pytest.raises(BadData, match="not one slice of glioma can be used"):
        choose_slices(run, None, "test", allow_rejected=True)


def test_a_resumed_bench_asks_for_the_slices_that_were_left_out_too() -> None:
    from edgebrain.benchmarking.report import parse_report
    from edgebrain.benchmarking.resume import BenchRequest
    from tests.benchmarking.factories import report, row

    found = report(row())
    found["request"] = {"bundles": ["."], "targets": ["cpu"], "threads": [1]}
    found["failures"] = [{"target": "cpu", "message": "x", "hint": "", "rows": 0}]
    found["data"] |= {"content_sha256": "0" * 64, "rejected": [{"name": "a", "reason": "b"}] * 3}
    asked = BenchRequest.from_report(parse_report(found), "report.json")
    assert (asked.slices, asked.allow_rejected) == (12, True)


def test_the_hash_of_the_content_knows_how_masks_are_read(run: Path) -> None:
    chosen, _ = choose_slices(None, run, "all")
    encoding = MaskEncoding(0, (0, 255, 128))
    labels = [replace(one, record=replace(one.record, encoding=encoding)) for one in chosen]
    assert content_sha256(labels) != content_sha256(chosen)


def test_a_bench_reads_each_picture_and_each_mask_once(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgebrain.benchmarking.run import run_bench
    from tests.runtime.tiny import tiny_bundle

    opened: Counter[str] = Counter()
    real = Path.read_bytes

    def count(self: Path) -> bytes:
        opened[self.name] += self.suffix == ".png"
        return real(self)

    bundle = tiny_bundle(tmp_path / "b")
    monkeypatch.setattr(Path, "read_bytes", count)
    # Workers are processes of their own, which read what they are asked for.
    slices, facts = choose_slices(None, run, "all", bundles=[bundle])
    assert facts.content_sha256 is not None
    run_bench([bundle.path], slices, [1], 7, data=facts)
    masks = {f"t{number}_mask.png" for number in range(4)}
    assert {name: times for name, times in opened.items() if times} == dict.fromkeys(
        {one.id for one in slices} | masks, 1
    )


def test_a_slice_keeps_its_mask_and_size_as_they_were_read(run: Path) -> None:
    chosen, _ = choose_slices(None, run, "all")
    for one in chosen:
        sample = one.record.load()
        assert one.shape == sample.image.shape and np.array_equal(one.mask, sample.mask)
        assert (one.image_sha256, one.mask_sha256) == (sample.image_sha256, sample.mask_sha256)
