from __future__ import annotations

import csv
import json
import re
import shutil
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgebrain.auditing.finding import LEVELS, Finding
from edgebrain.auditing.leakage import WITHOUT_OWN_GROUP as WITHOUT_OWN
from edgebrain.auditing.listing import list_pictures
from edgebrain.auditing.run import ALONE, COPIED, RELATED, Audit, audit
from edgebrain.data.pack import open_pack
from edgebrain.data.readers import open_dataset
from edgebrain.data.split import Split
from edgebrain.errors import BadData
from edgebrain.files import canonical_json
from tests.auditing.factories import Folder, lesion, phantom_head, write
from tests.data.pictures import put_image, put_mask


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "set")


def found(audited: Audit, key: str) -> Finding | None:
    return next((finding for finding in audited.findings if finding.key == key), None)


def items(audited: Audit, key: str) -> list[tuple[str, ...]]:
    finding = found(audited, key)
    return [] if finding is None else list(finding.items)


def fill(folder: Folder, count: int = 8) -> list[str]:
    """Slices that have nothing in common, tumours and healthy ones, on both sides."""
    labels = ("glioma", "no_tumor", "meningioma", "pituitary")
    return [folder.put(phantom_head(n), labels[n % 4], ("train", "test")[n // 4 % 2], mask=None) for n in range(count)]


def groups_file(path: Path, groups: dict[str, str]) -> Path:
    path.write_text("name,group\n" + "".join(f"{name},{group}\n" for name, group in groups.items()))
    return path


def test_a_clean_set_has_no_findings_of_copies_labels_or_masks(folder: Folder) -> None:
    fill(folder)
    assert [finding.key for finding in audit(folder.root).findings] == []


def test_byte_identical_files_are_found_within_and_across_sides(folder: Folder) -> None:
    fill(folder)
    one = folder.put(phantom_head(10))
    two, three = folder.put(phantom_head(10)), folder.put(phantom_head(10), side="test")
    audited = audit(folder.root)
    # Pairs are told with the first in the order of names, so that a thousand copies are no million pairs.
    assert items(audited, "file-across") == [(three, one), (three, two)]
    assert found(audited, "file-within") is None
    folder.put(phantom_head(11)), folder.put(phantom_head(11))
    audited = audit(folder.root)
    assert len(items(audited, "file-within")) == 1
    assert found(audited, "file-across").level == "leak" and found(audited, "file-within").level == "note"


def test_the_same_pixels_in_another_encoding_are_told_from_equal_files(folder: Folder) -> None:
    fill(folder)
    one = folder.put(phantom_head(10))
    two = folder.put(
        np.dstack([phantom_head(10)] * 3),
        mask=lesion(phantom_head(10).shape),
        options=(cv2.IMWRITE_PNG_COMPRESSION, 9),
    )
    audited = audit(folder.root)
    assert items(audited, "pixels-within") == [(one, two)] and found(audited, "file-within") is None


def test_mirrored_turned_recompressed_and_cropped_copies_have_names_of_their_own(folder: Folder) -> None:
    fill(folder)
    sources = [folder.put(phantom_head(n)) for n in range(10, 15)]
    again = cv2.imdecode(cv2.imencode(".jpg", phantom_head(12), [cv2.IMWRITE_JPEG_QUALITY, 30])[1], 0)
    brighter = (255 * (phantom_head(13) / 255.0) ** 0.6).astype(np.uint8)
    changed = [
        phantom_head(10)[:, ::-1],
        np.rot90(phantom_head(11)),
        again,
        brighter,
        phantom_head(14)[4:-6, 5:-5],
    ]
    copies = [folder.put(image, side="test") for image in changed]
    audited = audit(folder.root)
    pairs = list(zip(copies, sources, strict=True))
    assert items(audited, "mirrored-across") == [pairs[0]]
    assert items(audited, "turned-across") == [pairs[1]]
    assert set(items(audited, "copy-across")) == set(pairs[2:4])
    assert items(audited, "cropped-across") == [pairs[4]]
    assert "mirrored left-right" in found(audited, "mirrored-across").details[0]
    assert "turned by 90" in found(audited, "turned-across").details[0]


def test_a_given_split_takes_the_place_of_the_folders_sides(folder: Folder, tmp_path: Path) -> None:
    names = fill(folder)
    one, two = folder.put(phantom_head(10)), folder.put(phantom_head(10)[:, ::-1])
    assert found(audit(folder.root), "mirrored-across") is None
    every = {name: name for name in (*names, one, two)}
    Split((one, *names[:4]), (names[4],), (two, *names[5:]), every).write(tmp_path / "split.json")
    audited = audit(folder.root, split=tmp_path / "split.json")
    assert items(audited, "mirrored-across") == [(one, two)] and audited.sides == {"train": 5, "val": 1, "test": 4}


def test_one_picture_with_two_labels_or_planes_is_a_contradiction(folder: Folder) -> None:
    fill(folder)
    one, two = folder.put(phantom_head(10), "glioma"), folder.put(phantom_head(10)[:, ::-1], "pituitary")
    three, four = folder.put(phantom_head(11), plane="axial"), folder.put(phantom_head(11), plane="coronal")
    audited = audit(folder.root)
    assert items(audited, "two-labels") == [(one, two)] and items(audited, "two-planes") == [(three, four)]
    assert found(audited, "two-labels").details == ("glioma / pituitary",)


def test_given_groups_that_straddle_sides_or_miss_a_copy_are_named(folder: Folder, tmp_path: Path) -> None:
    names = fill(folder)
    one, two = folder.put(phantom_head(10)), folder.put(phantom_head(10)[:, ::-1])
    groups = {name: f"g{place}" for place, name in enumerate([*names, one, two])}
    groups[names[7]] = groups[names[0]]
    audited = audit(folder.root, groups_file(tmp_path / "g.csv", groups))
    assert items(audited, "group-across") == [(names[7], names[0])]
    assert items(audited, "copies-between-groups") == [(one, two)]
    joined = dict(zip(audited.scan.names, audited.groups, strict=True))
    assert joined[one] == joined[two] and joined[names[0]] == joined[names[7]] and len(set(joined.values())) == 8


def test_near_slices_of_one_head_are_linked_across_sides(tmp_path: Path, phantoms: Path) -> None:
    copied = tmp_path / "set"
    for place, name in enumerate(("phantom_00002", "phantom_00003")):
        source = next((phantoms / "images").glob(f"{name}_*.png"))
        write(copied / ("train", "test")[place] / f"{name}.png", cv2.imread(str(source), 0))
    assert audit(copied).findings[0].key in ("near-across", "copy-across")


MASKS = {
    "mask-size": lambda mask: mask[:-1],
    "mask-grey": lambda mask: (mask * 0.7 + 40).astype(np.uint8),
    "mask-empty": np.zeros_like,
    "mask-dark": lambda mask: (mask > 0).astype(np.uint8),
}


@pytest.mark.parametrize("key", MASKS)
def test_a_bad_mask_is_found_by_its_name(folder: Folder, key: str) -> None:
    fill(folder)
    bad = folder.put(phantom_head(10), mask=MASKS[key](lesion(phantom_head(10).shape)))
    audited = audit(folder.root)
    assert [finding.key for finding in audited.findings if finding.key.startswith("mask")] == [key]
    assert items(audited, key) == [(bad,)] and found(audited, key).level == "wrong"


def test_lossy_masks_are_good_masks(folder: Folder) -> None:
    fill(folder)
    noise = np.random.default_rng(0).integers(0, 10, phantom_head(10).shape).astype(np.uint8)
    folder.put(phantom_head(10), mask=np.where(lesion(phantom_head(10).shape) > 0, 255 - noise, noise))
    folder.put(phantom_head(11), "no_tumor", mask=np.resize(noise, phantom_head(11).shape))
    assert [finding.key for finding in audit(folder.root).findings] == []


def test_a_lesion_in_a_healthy_slice_a_missing_and_a_broken_mask_are_found(folder: Folder) -> None:
    names = fill(folder)
    healthy = folder.put(phantom_head(10), "no_tumor", mask=lesion(phantom_head(10).shape))
    folder.mask(names[0]).unlink()
    folder.mask(names[2]).write_bytes(b"no mask")
    audited = audit(folder.root)
    assert items(audited, "mask-on-healthy") == [(healthy,)]
    assert items(audited, "mask-missing") == [(names[0],)] and items(audited, "mask-unreadable") == [(names[2],)]


def test_one_mask_for_two_pictures_is_noted(folder: Folder) -> None:
    fill(folder)
    pictures = [cv2.resize(phantom_head(n), (220, 210)) for n in (10, 11)]
    one, two = (folder.put(picture) for picture in pictures)
    audited = audit(folder.root)
    assert items(audited, "mask-twice") == [(two,)] and one in found(audited, "mask-twice").details[0]


def test_unreadable_pictures_and_strays_are_named_and_the_rest_is_done(folder: Folder) -> None:
    names = fill(folder)
    one, two = folder.put(phantom_head(10)), folder.put(phantom_head(10)[::-1])
    folder.image(names[0]).write_bytes(b"")
    folder.image(names[1]).write_bytes(folder.image(names[1]).read_bytes()[:500])
    write(folder.root / "segmentation_task/train/images/holiday.png", phantom_head(11))
    audited = audit(folder.root)
    assert items(audited, "unreadable") == [(name,) for name in sorted(names[:2])]
    assert [Path(name).name for (name,) in items(audited, "strays")] == ["holiday.png"]
    assert items(audited, "mirrored-within") == [(one, two)]
    rows = list(csv.DictReader(audited.groups_csv().splitlines()))
    assert len(rows) == 10 and len({row["group"] for row in rows}) == 9


def test_mixed_formats_are_noted(folder: Folder) -> None:
    fill(folder)
    write(folder.root / "segmentation_task/train/images/brisc2025_train_90000_gl_ax_t1.jpg", phantom_head(10))
    audited = audit(folder.root)
    assert items(audited, "mixed-formats") == [("brisc2025_train_90000_gl_ax_t1.jpg",)]


def test_a_groups_file_that_fits_in_part_is_used_in_part(folder: Folder, tmp_path: Path) -> None:
    names = fill(folder)
    groups = {name: "one" for name in names[1:4]} | {"ghost.png": "one"}
    audited = audit(folder.root, groups_file(tmp_path / "g.csv", groups))
    assert items(audited, "groups-unknown") == [("ghost.png",)]
    assert len(items(audited, "groups-lacking")) == 5
    assert len(set(audited.groups)) == 6


def test_a_groups_file_or_split_of_another_set_is_an_error(folder: Folder, tmp_path: Path) -> None:
    fill(folder)
    with pytest.raises(BadData, match=r"g\.csv: names none of the 8 pictures") as error:
        audit(folder.root, groups_file(tmp_path / "g.csv", {"ghost.png": "one"}))
    assert "brisc2025" in error.value.hint
    Split(("a",), ("b",), ("c",), {"a": "1", "b": "2", "c": "3"}).write(tmp_path / "split.json")
    with pytest.raises(BadData, match=r"split\.json: names none"):
        audit(folder.root, split=tmp_path / "split.json")
    (tmp_path / "bad.csv").write_text("what,ever\n")
    with pytest.raises(BadData, match=r"bad\.csv: has no columns"):
        audit(folder.root, tmp_path / "bad.csv")


def test_one_group_and_one_class_are_said_and_the_rest_is_done(folder: Folder, tmp_path: Path) -> None:
    names = [folder.put(phantom_head(n)) for n in range(3)]
    two = folder.put(phantom_head(0)[:, ::-1])
    audited = audit(folder.root, groups_file(tmp_path / "g.csv", dict.fromkeys([*names, two], "only")))
    assert found(audited, "one-group") is not None and audited.shortcuts == ()
    assert any("all slices are glioma" in note for note in audited.notes)
    assert items(audited, "mirrored-within") == [(names[0], two)]


def test_missing_empty_and_unreadable_folders_are_errors_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for path, message in ((tmp_path / "nowhere", "does not exist"), (tmp_path / "empty", "holds no picture")):
        with pytest.raises(BadData, match=message) as error:
            audit(path)
        assert error.value.hint
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.png").write_bytes(b"text")
    with pytest.raises(BadData, match=r"none of 1 pictures can be read \(a\.png is not a picture but text\)"):
        audit(tmp_path / "broken")
    (tmp_path / "set" / "segmentation_task").mkdir(parents=True)
    with pytest.raises(BadData, match="holds no slices"):
        audit(tmp_path / "set")


def test_a_plain_folder_of_pictures_is_searched_for_copies(tmp_path: Path) -> None:
    for n in range(4):
        write(tmp_path / "any" / f"{n}.png", phantom_head(n))
    write(tmp_path / "any" / "deeper" / "copy.png", phantom_head(2)[:, ::-1])
    audited = audit(tmp_path / "any")
    assert items(audited, "mirrored-within") == [("2.png", "deeper/copy.png")]
    assert audited.baselines is None and audited.sides == {} and len(set(audited.groups)) == 4
    assert any("no classes" in note for note in audited.notes)


def test_of_a_set_without_any_mask_no_mask_is_missing_and_of_one_with_some_the_others_are(folder: Folder) -> None:
    names = [folder.put(phantom_head(n)) for n in range(4)]
    for name in names:
        folder.mask(name).rename(folder.root / f"{name}.kept")
    assert found(audit(folder.root), "mask-missing") is None
    (folder.root / f"{names[3]}.kept").rename(folder.root / "segmentation_task" / "train" / "masks" / names[3])
    assert items(audit(folder.root), "mask-missing") == [(name,) for name in names[:3]]


def test_a_plain_folder_tells_sides_classes_and_masks_by_its_names(tmp_path: Path) -> None:
    root = tmp_path / "kaggle"
    write(root / "Training" / "yes" / "images" / "a.png", phantom_head(0))
    write(root / "Training" / "yes" / "masks" / "a.png", lesion(phantom_head(0).shape)[:-3])
    write(root / "Testing" / "no" / "b.png", phantom_head(0)[:, ::-1])
    audited = audit(root)
    assert audited.sides == {"train": 1, "test": 1} and audited.labels == {"yes": 1, "no_tumor": 1}
    assert items(audited, "mirrored-across") == [("Testing/no/b.png", "Training/yes/images/a.png")]
    assert found(audited, "two-labels") is not None
    assert items(audited, "mask-size") == [("Training/yes/images/a.png",)]


def test_what_copying_is_worth_is_told_for_copies_relatives_and_the_rest(folder: Folder, tmp_path: Path) -> None:
    names = fill(folder)
    copy = folder.put(phantom_head(0)[:, ::-1], side="test", mask=lesion(phantom_head(0).shape)[:, ::-1])
    groups = {name: f"g{place}" for place, name in enumerate([*names, copy])}
    groups[names[4]] = groups[names[2]]
    figures = {one.part: one for one in audit(folder.root, groups_file(tmp_path / "g.csv", groups)).baselines or ()}
    assert {part: one.slices for part, one in figures.items()} == {
        "all": 5, COPIED: 1, RELATED: 1, ALONE: 3, WITHOUT_OWN: 5,
    }  # fmt: skip
    assert figures[COPIED].accuracy == 1.0 and figures[COPIED].dice == pytest.approx(1.0, abs=0.02)
    assert figures["all"].masks == 4


def test_the_groups_that_are_written_can_be_trained_with_and_hold_copies_together(
    folder: Folder, tmp_path: Path
) -> None:
    fill(folder)
    one, two = folder.put(phantom_head(10)), folder.put(phantom_head(10)[:, ::-1], side="test")
    (tmp_path / "groups.csv").write_text(audit(folder.root).groups_csv())
    pack = open_pack(open_dataset(folder.root, tmp_path / "groups.csv"))
    groups = dict(zip(pack.names, pack.groups, strict=True))
    assert groups[one] == groups[two] and len(set(groups.values())) == 9


def test_the_audit_groups_slices_as_the_splitter_does(phantoms: Path, tmp_path: Path) -> None:
    shutil.copytree(phantoms / "images", tmp_path / "bare")
    audited = audit(tmp_path / "bare")
    from edgebrain.duplicates.groups import groups_from_images

    assert list(audited.groups) == groups_from_images(audited.scan.images)


def test_findings_stand_worst_first_and_json_holds_all_of_them(folder: Folder) -> None:
    fill(folder)
    folder.put(phantom_head(10))
    folder.put(phantom_head(10), "pituitary", side="test")
    folder.put(phantom_head(10)[:, ::-1])
    audited = audit(folder.root)
    levels = [LEVELS.index(finding.level) for finding in audited.findings]
    assert levels == sorted(levels) and len(set(levels)) == 3
    content = json.loads(canonical_json(audited.as_json()))
    assert content["schema"] == 2 and content["slices"] == 11 and content["groups"] == 9
    assert [entry["key"] for entry in content["findings"]] == [finding.key for finding in audited.findings]
    for entry in content["findings"]:
        assert entry["count"] == len(entry["items"]) and entry["level"] in LEVELS and entry["advice"]


def test_progress_names_what_is_done(folder: Folder) -> None:
    fill(folder)
    seen: list[tuple[str, int, int]] = []
    audit(folder.root, progress=lambda *step: seen.append(step))
    assert list(dict.fromkeys(what for what, _, _ in seen)) == ["reading", "matching"]
    assert seen[0][:2] == ("reading", 1) and seen[-1][1] == seen[-1][2]


@pytest.mark.slow
def test_the_audit_of_the_real_brisc_finds_what_its_documentation_says(real_brisc: Path) -> None:
    audited = audit(real_brisc)
    counts = {finding.key: finding.count for finding in audited.findings}
    assert counts["group-across"] == 366 and counts["two-labels"] >= 2
    assert counts["mirrored-across"] + counts["mirrored-within"] > 1000
    assert not [key for key in counts if key.startswith("mask-") and key != "mask-twice"]
    figures = {one.part: one for one in audited.baselines or ()}
    assert figures["all"].dice == pytest.approx(0.788, abs=0.01)
    assert figures[COPIED].accuracy == 1.0 and figures[ALONE].dice is not None and figures[ALONE].dice < 0.3
    assert {one.fact for one in audited.shortcuts if one.is_shortcut} >= {"size", "JPEG tables", "file bytes"}


def test_patients_of_a_groups_file_are_joined_with_what_is_found(real_figshare: Path, tmp_path: Path) -> None:
    with (real_figshare / "slices.csv").open(newline="") as stream:
        patients = {f"images/{row['name']}.jpg": row["patient"] for row in csv.DictReader(stream)}
    audited = audit(real_figshare, groups_file(tmp_path / "g.csv", patients))
    assert len(audited.scan.facts) == 66 and len(set(audited.groups)) == 6
    near = found(audited, "near-within")
    assert near is not None and near.count > 15 and found(audited, "near-between-groups") is None
    assert all(re.match(r"0\.\d{3}", detail) for detail in near.details)


def kaggle(root: Path, healthy: str = "notumor") -> Path:
    """A plain folder as people share them: classes in folders, masks of the tumours beside them."""
    for place, name in enumerate(("glioma_tumor", "meningioma_tumor", healthy)):
        for number in range(3):
            image = phantom_head(3 * place + number)
            write(root / "Training" / name / f"{name[0]}{number}.png", image)
            if name != healthy:
                write(root / "Training" / "masks" / f"{name[0]}{number}.png", lesion(image.shape))
    return root


@pytest.mark.parametrize("healthy", ["notumor", "no_tumor", "No Tumour", "healthy", "normal", "no"])
def test_healthy_slices_need_no_mask_however_their_folder_is_called(tmp_path: Path, healthy: str) -> None:
    audited = audit(kaggle(tmp_path / "set", healthy))
    assert audited.labels == {"glioma": 3, "meningioma": 3, "no_tumor": 3}
    assert found(audited, "mask-missing") is None and found(audited, "mask-lone") is None
    assert any("glioma_tumor as glioma" in note for note in audited.notes)


@pytest.mark.parametrize("suffix", ["_mask.tif", "-mask.png", "_seg.PNG", "_label.jpg"])
def test_masks_beside_their_pictures_are_no_slices_and_cases_no_classes(tmp_path: Path, suffix: str) -> None:
    for case in range(3):
        for number in range(3):
            image = phantom_head(3 * case + number)
            stem = tmp_path / "set" / f"TCGA_AA_{case}" / f"TCGA_AA_{case}_{number}"
            write(stem.with_name(f"{stem.name}.tif"), image)
            mask = stem.with_name(f"{stem.name}{suffix}")
            write(mask.with_suffix(mask.suffix.lower()), lesion(image.shape, 20 + number))
            mask.with_suffix(mask.suffix.lower()).rename(mask)
    audited = audit(tmp_path / "set")
    assert len(audited.listing.records) == 9 and audited.labels == {}
    assert sum(fact.mask is not None and fact.mask.lesion > 0 for fact in audited.scan.facts) == 9
    assert len(set(audited.groups)) == 3 and found(audited, "two-labels") is None
    assert any("3 folders were taken for cases" in note for note in audited.notes)


def test_masks_that_belong_to_no_picture_are_a_finding_with_their_names(tmp_path: Path) -> None:
    root = kaggle(tmp_path / "set")
    write(root / "Training" / "masks" / "elsewhere.png", lesion(phantom_head(0).shape))
    (root / "Training" / "masks" / "volume.npy").write_bytes(b"x")
    finding = found(audit(root), "mask-lone")
    assert finding is not None and (finding.count, finding.level) == (2, "wrong")
    assert finding.title == "files look like masks and belong to no picture"
    assert finding.items == (("Training/masks/elsewhere.png",), ("Training/masks/volume.npy",))


def test_a_known_layout_names_masks_without_a_picture_too(folder: Folder) -> None:
    fill(folder)
    write(folder.root / "segmentation_task/train/masks/brisc2025_train_99999_gl_ax_t1.png", lesion((40, 40)))
    audited = audit(folder.root)
    assert items(audited, "mask-lone") == [("segmentation_task/train/masks/brisc2025_train_99999_gl_ax_t1.png",)]
    assert found(audited, "strays") is None


def test_masks_of_0_and_1_are_read_by_the_sets_encoding_and_told_in_a_note(folder: Folder) -> None:
    for number in range(6):
        folder.put(phantom_head(number), mask=lesion(phantom_head(number).shape) // 255)
    folder.put(phantom_head(7), "no_tumor")
    audited = audit(folder.root)
    assert [finding.key for finding in audited.findings if finding.key.startswith("mask")] == []
    assert "masks: 0/1 (not 0/255): 1 is read as lesion" in audited.notes
    assert audited.as_json()["mask_encoding"]["name"] == "0/1"
    assert {fact.mask.lesion for fact in audited.scan.facts if fact.mask is not None} == {400}


def test_two_masks_of_one_slice_are_a_finding(folder: Folder) -> None:
    names = fill(folder)
    write(folder.mask(names[0]).with_suffix(".tif"), lesion(phantom_head(0).shape))
    assert items(audit(folder.root), "mask-doubled") == [(names[0],)]


@pytest.mark.parametrize(
    ("outer", "classes", "groups"),
    [
        (("glioma", "no_tumor"), {"glioma": 6, "no_tumor": 6}, {"patient_101", "patient_102"}),
        (("site A", "site B"), {}, {f"site {site}/patient_{number}" for site in "AB" for number in (101, 102)}),
    ],
)
def test_cases_in_classes_and_in_sites_are_groups(
    tmp_path: Path, outer: tuple[str, str], classes: dict[str, int], groups: set[str]
) -> None:
    number = 0
    for folder in outer:
        for case in ("patient_101", "patient_102"):
            for _ in range(3):
                number += 1
                put_image(tmp_path / folder / case / f"{number}.png", seed=number)
                put_mask(tmp_path / folder / case / f"{number}-mask.png", on=5 if folder == "no_tumor" else 250)
    listing = list_pictures(tmp_path)
    assert {record.group for record in listing.records} == groups
    assert {label: n for label, n in Counter(r.label for r in listing.records).items() if label} == classes
    assert any("taken for cases" in note for note in listing.notes)


def test_folders_that_are_not_understood_are_said_to_be(tmp_path: Path) -> None:
    for number, folder in enumerate(("a/b/c", "a/b", "d")):
        put_image(tmp_path / folder / f"{number}.png", seed=number)
    assert any("was not understood" in note for note in list_pictures(tmp_path).notes)
