"""Which pictures an audit looks at: a data set that edgebrain knows, or any folder of pictures.

In a plain folder only names are known: a first folder `train`, `val` or `test` (or Training, Testing, validation) is a
side; where every picture lies in exactly one more folder, that is its class, in any usual spelling, or its case (a
patient). Masks are found as the readers find them. The notes say what names were taken for.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgebrain.auditing.finding import Finding, finding_about
from edgebrain.data.groups import GROUPS_CSV, read_groups
from edgebrain.data.masks import UNKNOWN, MaskEncoding
from edgebrain.data.pairing import Pairing, closed_folders, looks_like_mask, pair_files, picture_files
from edgebrain.data.readers import lone_masks, scan, strays
from edgebrain.data.readers.registry import recognised
from edgebrain.data.sample import Record, with_encoding
from edgebrain.data.spellings import class_of, is_class, without_kind
from edgebrain.data.split import Split
from edgebrain.errors import BadData
from edgebrain.runtime.listing import PICTURES, is_picture, list_files

PLAIN = "plain"
SIDES = {
    "train": "train", "training": "train", "test": "test", "testing": "test",
    "val": "val", "valid": "val", "validation": "val",
}  # fmt: skip
# More folders than this are hardly classes, unless they have names of classes.
MOST_CLASSES = 4
# Usual names of cases: patient_7, TCGA_CS_4941_19960909, 100206.
CASE = re.compile(r"^(case|patient|pat|subject|subj|sub|id)[ _-]?\w*\d|\d{3}", re.IGNORECASE)


@dataclass(frozen=True)
class Listing:
    """The pictures of a folder.

    Attributes:
        root: The folder.
        kind: Name of the layout.
        records: Sorted by name. `folder` is the side; side, label, plane and group are empty where they are unknown.
        groups_file: Where the groups come from; None where no file gives them.
        findings: What is wrong with names and lists.
        encoding: How masks are written.
        notes: What names of folders were taken for.
    """

    root: Path
    kind: str
    records: tuple[Record, ...]
    groups_file: Path | None
    findings: tuple[Finding, ...]
    encoding: MaskEncoding = UNKNOWN
    notes: tuple[str, ...] = ()

    @property
    def has_groups(self) -> bool:
        """Whether a file or the layout gives groups."""
        return any(record.group for record in self.records)


def list_pictures(path: Path, groups_csv: Path | None = None, split: Path | None = None) -> Listing:
    """List the pictures of a folder.

    Args:
        path: A data set's folder, or any folder with pictures.
        groups_csv: A CSV file `name,group`; the folder's own groups.csv where left out.
        split: A split.json instead of the sides of the layout.

    Raises:
        BadData: The folder is missing or holds no picture; groups file or split cannot be read, or name none of the
            pictures.
    """
    found = _known(path) if path.is_dir() and recognised(path) else _plain(path)
    records, findings = found.records, found.findings
    if split is not None:
        records = _on_sides(records, Split.read(split), split)
    source = groups_csv or (path / GROUPS_CSV if (path / GROUPS_CSV).is_file() else None)
    if source is not None:
        records, more = _in_groups(records, source)
        findings += tuple(more)
    return replace(found, records=records, groups_file=source, findings=findings)


def _known(path: Path) -> Listing:
    dataset = scan(path)
    unnamed = [(str(stray.relative_to(path)), "") for stray in strays(dataset)]
    advice = "rename these files, or move them away: they are not used"
    findings = [
        *finding_about("strays", "note", "files that are no slice", advice, unnamed, "files"),
        *_lone(path, ((mask, _why_lone(mask)) for mask in lone_masks(dataset))),
        *_doubled(dataset.records),
        *_closed(path),
    ]
    return Listing(path, dataset.kind, dataset.records, None, tuple(findings), dataset.encoding)


def _plain(path: Path) -> Listing:
    if not path.is_dir():
        scan(path)  # Raises, with the reason.
    files = pair_files(path, picture_files(path))
    if not files.pictures:
        raise BadData(f"{path}: holds no picture", f"pass a folder with {', '.join(PICTURES)} files")
    bare, notes = _plain_records(path, files)
    records, encoding = with_encoding(bare)
    others = [file for file in list_files(path).others if looks_like_mask(path, file)]
    lone = [*files.lone, *((file, _why_lone(file)) for file in others)]
    findings = (*_lone(path, lone), *_doubled(records), *_closed(path))
    return Listing(path, PLAIN, records, None, findings, encoding, notes)


def _plain_records(root: Path, files: Pairing) -> tuple[list[Record], tuple[str, ...]]:
    """The pictures, sorted by name, with class or group where a folder gives it; and what folders were taken for."""
    folders_of = {picture: _side_and_rest(picture.relative_to(root).parts[:-1]) for picture in files.pictures}
    meaning = _meaning([tuple(rest) for _, rest in folders_of.values()], files.in_picture_folders)
    records = []
    for picture, (side, rest) in folders_of.items():
        mask, *others = files.masks.get(picture, (None,))
        label, group = meaning.of(rest)
        records.append(
            Record(
                name=picture.relative_to(root).as_posix(),
                image_path=picture,
                mask_path=mask,
                label=label,
                plane="",
                folder=side,
                group=group,
                other_masks=tuple(filter(None, others)),
            )
        )
    return sorted(records, key=lambda record: record.name), meaning.notes


@dataclass(frozen=True)
class _Meaning:
    """What the folders between side and picture mean.

    Attributes:
        classes: Whether the outermost is a class.
        cases: How many of the innermost name a case.
        notes: What they were taken for.
    """

    classes: bool = False
    cases: int = 0
    notes: tuple[str, ...] = ()

    def of(self, folders: Sequence[str]) -> tuple[str, str]:
        """Class and group of a picture in these folders; empty where they are unknown."""
        return class_of(folders[0]) if self.classes else "", "/".join(folders[len(folders) - self.cases :])


def _meaning(folders: Sequence[tuple[str, ...]], masks_beside: bool) -> _Meaning:
    """A class (`glioma/17.png`), a case (`CASE/17.png`), a case in a class or in a site; or nothing."""
    depths = {len(one) for one in folders}
    inner = Counter(one[-1] for one in folders if one)
    if depths == {1}:
        cases = _are_cases(inner, masks_beside)
        return _Meaning(not cases, int(cases), tuple(_taken_for(inner, cases)))
    if depths == {2} and _are_cases(inner, masks_beside):
        outer = Counter(one[0] for one in folders)
        if all(map(is_class, outer)):
            return _Meaning(True, 1, (*_taken_for(outer, False), *_taken_for(inner, True)))
        return _Meaning(False, 2, tuple(_taken_for(Counter("/".join(one) for one in folders), True)))
    if depths == {2} and all(is_class(one[0]) for one in folders):
        outer = Counter(one[0] for one in folders)
        return _Meaning(True, 0, (*_taken_for(outer, False), f"{len(inner)} folders below classes were not understood"))
    ignored = "what folders stand for was not understood: no classes and no cases come from them (see --groups)"
    return _Meaning(notes=(ignored,) if depths - {0} else ())


def _side_and_rest(folders: tuple[str, ...]) -> tuple[str, list[str]]:
    side = SIDES.get(folders[0].lower(), "") if folders else ""
    named = [(folder, without_kind(folder)) for folder in folders[bool(side) :]]
    # `train_images` is a side, like `train`.
    if not side and named and named[0][0] != named[0][1] and named[0][1] in SIDES:
        return SIDES[named[0][1]], [folder for folder, rest in named[1:] if rest]
    return side, [folder for folder, rest in named if rest]


def _are_cases(folders: Mapping[str, int], masks_beside: bool) -> bool:
    """Whether folders are patients: none has the name of a class, and their names, their number or masks in the same
    folder as their pictures suggest it."""
    if any(map(is_class, folders)):
        return False
    numbered = sum(any(letter.isdigit() for letter in folder) for folder in folders) > len(folders) / 2
    called = sum(bool(CASE.search(folder)) for folder in folders) > len(folders) / 2
    many = len(folders) > MOST_CLASSES
    return (masks_beside and (numbered or many)) or (called and many)


def _taken_for(folders: Mapping[str, int], cases: bool) -> Iterator[str]:
    if cases:
        yield f"{len(folders)} folders were taken for cases (patients), one group each, and not for classes"
        return
    read_as = {folder: class_of(folder) for folder in sorted(folders)}
    joined = [f"{folder} as {label}" for folder, label in read_as.items() if folder != label]
    if joined:
        yield f"classes by folder, read as: {', '.join(joined)}"
    elif len(folders) > 1 and not any(map(is_class, folders)):
        yield f"{len(folders)} folders were taken for classes; give patients with --groups if they are cases"


def _why_lone(path: Path) -> str:
    return "no picture of that name" if is_picture(path.name) else "no PNG, JPEG or TIFF"


def _lone(root: Path, lone: Iterable[tuple[Path, str]]) -> list[Finding]:
    advice = "name each like its picture, with or without _mask, in its folder or in masks/: they are not used now"
    found = [(str(path.relative_to(root)), reason) for path, reason in lone]
    title = "files look like masks and belong to no picture"
    return finding_about("mask-lone", "wrong", title, advice, found, "files")


def _closed(root: Path) -> list[Finding]:
    found = [(str(path.relative_to(root)), reason) for path, reason in closed_folders(root)]
    title = "folders and links that cannot be opened"
    return finding_about("closed", "wrong", title, "check permissions: what lies there was not seen", found, "files")


def _doubled(records: tuple[Record, ...]) -> list[Finding]:
    found = [
        (record.name, " and ".join(path.name for path in (record.mask_path, *record.other_masks) if path))
        for record in records
        if record.other_masks
    ]
    return finding_about("mask-doubled", "wrong", "slices with two masks", "keep one of them", found)


def _on_sides(records: tuple[Record, ...], split: Split, source: Path) -> tuple[Record, ...]:
    sides = {name: side for side in ("train", "val", "test") for name in split.names_of(side)}
    if not any(record.name in sides for record in records):
        raise BadData(f"{source}: names none of the {len(records)} pictures", "pass the split of this data set")
    return tuple(replace(record, folder=sides.get(record.name, "")) for record in records)


def _in_groups(records: tuple[Record, ...], source: Path) -> tuple[tuple[Record, ...], list[Finding]]:
    groups, names = read_groups(source), {record.name for record in records}
    if not names & set(groups):
        raise BadData(
            f"{source}: names none of the {len(names)} pictures",
            f"the names must be like {min(names)}, with their ending",
        )
    lacking = [(name, "") for name in names - set(groups)]
    unknown = [(name, "") for name in set(groups) - names]
    findings = finding_about(
        "groups-lacking",
        "wrong",
        f"slices that {source.name} lacks",
        "add a line for each: it counts as a group of its own here",
        lacking,
    ) + finding_about(
        "groups-unknown",
        "wrong",
        f"names in {source.name} that the folder lacks",
        "remove these lines, or restore the files",
        unknown,
    )
    return tuple(replace(record, group=groups.get(record.name, "")) for record in records), findings
