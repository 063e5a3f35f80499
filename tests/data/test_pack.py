from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgebrain.data.pack import open_pack
from edgebrain.data.readers import open_dataset, scan
from edgebrain.errors import BadData, CannotWrite
from edgebrain.files import sha256_file
from edgebrain.runtime.transform import downsample
from tests.data.pictures import no_file_above, put_image, put_mask


def test_a_pack_holds_every_slice_as_the_transform_shrinks_it(phantoms: Path) -> None:
    dataset = open_dataset(phantoms)
    pack = open_pack(dataset, side=64)
    assert pack.images.shape == pack.masks.shape == (84, 64, 64) and pack.images.dtype == np.uint8
    assert pack.rejected == ()
    for row in (0, 13, 83):
        sample = dataset.records[row].load()
        assert sample.mask is not None
        assert (pack.images[row] == downsample(sample.image, 64, 64)).all()
        assert (pack.masks[row] == downsample(sample.mask.astype(np.uint8) * 255, 64, 64)).all()
        assert pack.sha256s[row] == sha256_file(dataset.records[row].image_path)
    assert list(pack.names) == [record.name for record in dataset.records]
    assert pack.labels.tolist() == [record.label_index for record in dataset.records]
    assert pack.planes == tuple(record.plane for record in dataset.records)
    assert pack.groups == tuple(record.group for record in dataset.records)


def test_soft_masks_keep_the_lesions_area(phantoms: Path) -> None:
    dataset = open_dataset(phantoms)
    pack = open_pack(dataset)
    for row, record in enumerate(dataset.records):
        mask = record.load().mask
        assert mask is not None
        assert pack.masks[row].mean() / 255.0 == pytest.approx(mask.mean(), abs=0.0005)


def test_a_pack_is_memory_mapped_and_built_once(phantoms: Path, cache: Path) -> None:
    calls: list[tuple[str, int, int]] = []
    first = open_pack(open_dataset(phantoms), progress=lambda *step: calls.append(step))
    assert calls == [("reading slices", n, 84) for n in range(1, 85)]
    second = open_pack(open_dataset(phantoms), progress=lambda *step: calls.append(step))
    assert len(calls) == 84 and isinstance(second.images, np.memmap)
    assert second.sha256 == first.sha256 and (second.images == first.images).all()
    assert len(list(cache.iterdir())) == 1


def test_a_changed_file_makes_another_pack_with_another_hash(few_phantoms: Path, cache: Path) -> None:
    before = open_pack(open_dataset(few_phantoms))
    image = few_phantoms / "images" / before.names[3]
    pixels = cv2.imread(str(image), cv2.IMREAD_GRAYSCALE)
    assert cv2.imwrite(str(image), 255 - pixels)
    after = open_pack(open_dataset(few_phantoms))
    assert after.sha256 != before.sha256 and (after.images[3] == downsample(255 - pixels, 128, 128)).all()
    assert len(list(cache.iterdir())) == 2


def test_a_file_of_the_same_size_but_another_time_is_read_again(few_phantoms: Path, cache: Path) -> None:
    before = open_pack(open_dataset(few_phantoms))
    os.utime(few_phantoms / "images" / before.names[3], ns=(1, 1))
    assert open_pack(open_dataset(few_phantoms)).sha256 == before.sha256
    assert len(list(cache.iterdir())) == 2


def test_a_changed_mask_alone_changes_the_hash(few_phantoms: Path) -> None:
    before = open_pack(open_dataset(few_phantoms))
    mask = next((few_phantoms / "masks").iterdir())
    mask.write_bytes(mask.read_bytes() + b"\0")
    assert open_pack(open_dataset(few_phantoms)).sha256 != before.sha256


def test_a_pack_that_was_cut_short_is_built_again(few_phantoms: Path, cache: Path) -> None:
    whole = np.array(open_pack(open_dataset(few_phantoms)).images)
    for name, size in (("images.npy", 1000), ("pack.json", 10)):
        os.truncate(next(cache.glob(f"pack-*/{name}")), size)
        assert (open_pack(open_dataset(few_phantoms)).images == whole).all()


def test_bad_files_are_named_and_counted_and_the_rest_is_packed(brisc: Path) -> None:
    images, masks = brisc / "segmentation_task/train/images", brisc / "segmentation_task/train/masks"
    for number in range(1, 6):
        put_image(images / f"brisc2025_train_0010{number}_gl_ax_t1.jpg", number)
        put_mask(masks / f"brisc2025_train_0010{number}_gl_ax_t1.png")
    (images / "brisc2025_train_00101_gl_ax_t1.jpg").write_bytes(b"")
    whole = (images / "brisc2025_train_00102_gl_ax_t1.jpg").read_bytes()
    (images / "brisc2025_train_00102_gl_ax_t1.jpg").write_bytes(whole[: len(whole) // 2])
    put_mask(masks / "brisc2025_train_00103_gl_ax_t1.png", shape=(48, 40))
    (masks / "brisc2025_train_00104_gl_ax_t1.png").unlink()
    put_mask(masks / "brisc2025_train_00105_gl_ax_t1.png", on=5)
    pack = open_pack(open_dataset(brisc))
    assert len(pack.names) == 6 and len(pack.images) == 6
    reasons = dict(pack.rejected)
    assert list(reasons) == [f"brisc2025_train_0010{n}_gl_ax_t1.jpg" for n in range(1, 6)]
    assert all(name[:-4] in reason for name, reason in reasons.items())
    texts = list(reasons.values())
    assert "mask is 40x48, its image 48x40" in texts[2]
    assert "without mask" in texts[3]
    assert "an empty mask for a glioma slice" in texts[4]
    assert not set(reasons) & set(pack.names)


def test_a_lesion_in_a_healthy_slice_is_rejected(few_phantoms: Path) -> None:
    healthy = next((few_phantoms / "images").glob("*_no_*.png"))
    tumour_mask = next((few_phantoms / "masks").iterdir())
    shutil.copy(few_phantoms / "images" / tumour_mask.name, healthy)
    shutil.copy(tumour_mask, few_phantoms / "masks" / healthy.name)
    pack = open_pack(open_dataset(few_phantoms))
    assert [name for name, _ in pack.rejected] == [healthy.name]
    assert "a lesion in a slice that is labelled no_tumor" in pack.rejected[0][1]


def test_a_set_in_which_nothing_can_be_read_is_an_error(few_phantoms: Path) -> None:
    for image in (few_phantoms / "images").iterdir():
        image.write_bytes(b"not a picture")
    with pytest.raises(BadData, match="none of 12 slices can be used"):
        open_pack(open_dataset(few_phantoms))


def test_groups_that_the_set_does_not_give_come_from_the_images_once(few_phantoms: Path, cache: Path) -> None:
    dataset = open_dataset(few_phantoms)
    bare = replace(dataset, records=tuple(replace(record, group="") for record in dataset.records))
    for side in (128, 64):
        pack = open_pack(bare, side=side)
        heads = [record.group for record in dataset.records]
        for a in range(12):
            for b in range(12):
                assert (pack.groups[a] == pack.groups[b]) == (heads[a] == heads[b])
        assert open_pack(bare, side=side).groups == pack.groups
    assert len(list(cache.glob("pack-*/groups.json"))) == 2


def test_index_gives_rows_and_names_what_is_missing(few_phantoms: Path) -> None:
    pack = open_pack(open_dataset(few_phantoms))
    assert pack.index([pack.names[7], pack.names[2]]).tolist() == [7, 2]
    assert pack.index([]).shape == (0,)
    with pytest.raises(BadData, match=r"ghost\.png: is not in the data set \(1 of 2"):
        pack.index([pack.names[0], "ghost.png"])


def test_an_interrupted_build_leaves_nothing(few_phantoms: Path, cache: Path) -> None:
    def stop(what: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        open_pack(open_dataset(few_phantoms), progress=stop)
    assert list(cache.iterdir()) == []


def test_a_cache_that_cannot_be_written_says_how_to_move_it(
    few_phantoms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "occupied").write_text("a file where the cache should be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "occupied"))
    with pytest.raises(CannotWrite) as error:
        open_pack(open_dataset(few_phantoms))
    assert "XDG_CACHE_HOME" in error.value.hint


def test_a_full_disk_is_an_error_and_leaves_nothing_half_written(few_phantoms: Path, cache: Path) -> None:
    with no_file_above(50_000), pytest.raises(CannotWrite, match="cannot be written"):
        open_pack(open_dataset(few_phantoms))
    assert list(cache.iterdir()) == []
    assert len(open_pack(open_dataset(few_phantoms)).names) == 12


def test_the_hash_of_the_data_does_not_depend_on_the_side(few_phantoms: Path) -> None:
    dataset = scan(few_phantoms)
    assert open_pack(dataset, side=32).sha256 == open_pack(dataset, side=64).sha256
