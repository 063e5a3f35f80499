"""Which pictures an audit looks at: a data set that edgebrain knows, or any folder of pictures.

A plain folder tells what its names tell: a first folder `train`, `val` or `test` (or Training, Testing, validation) is
a side; where every picture lies in exactly one more folder, that is its class. Folders called `masks` hold the masks of
the pictures beside them, folders called `images` say nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from edgebrain.data.audit.finding import Finding, of_slices
from edgebrain.data.readers import GROUPS_CSV, READERS, read_groups, scan, strays
from edgebrain.data.sample import Record
from edgebrain.data.split import Split
from edgebrain.errors import BadData

PLAIN = "plain"
SIDES = {
    "train": "train", "training": "train", "test": "test", "testing": "test",
    "val": "val", "valid": "val", "validation": "val",
}  # fmt: skip
ENDINGS = {".jpg", ".jpeg", ".png", ".tif", ".tiff"}
MASKS, IMAGES = "masks", "images"


@dataclass(frozen=True)
class Listing:
    """records: sorted by name; `folder` is the side, empty where there is none, and `label` and `plane` may be empty.

    groups_file: where the groups come from, None where nothing gives them. findings: what the lists themselves told.
    """

    root: Path
    kind: str
    records: tuple[Record, ...]
    groups_file: Path | None
    findings: tuple[Finding, ...]

    @property
    def has_groups(self) -> bool:
        """Whether anybody gave groups: a file, or the layout."""
        return any(record.group for record in self.records)


def list_pictures(path: Path, groups_csv: Path | None = None, split: Path | None = None) -> Listing:
    """The pictures of a folder. split: a split.json, instead of the sides that the folder tells.

    Raises BadData: the folder is missing or holds no picture; a groups file or split cannot be read, or names none
    of the pictures.
    """
    kind, records, findings = _records(path)
    if split is not None:
        records = _on_sides(records, Split.read(split), split)
    source = groups_csv or (path / GROUPS_CSV if (path / GROUPS_CSV).is_file() else None)
    if source is not None:
        records, more = _in_groups(records, source)
        findings += more
    return Listing(path, kind, records, source, tuple(findings))


def _records(path: Path) -> tuple[str, tuple[Record, ...], list[Finding]]:
    if _is_known(path):
        dataset = scan(path)
        unnamed = [(str(stray.relative_to(path)), "") for stray in strays(dataset)]
        advice = "rename these files, or move them away: they are not used"
        return (
            dataset.kind,
            dataset.records,
            of_slices("strays", "note", "files that are no slice", advice, unnamed, "files"),
        )
    if not path.is_dir():
        scan(path)  # says what is wrong with it
    pictures = [found for found in path.rglob("*") if _is_picture(found.relative_to(path))]
    if not pictures:
        raise BadData(f"{path}: holds no picture", f"pass a folder with {', '.join(sorted(ENDINGS))} files")
    return PLAIN, _plain_records(path, pictures), []


def _is_known(path: Path) -> bool:
    from importlib import import_module

    return path.is_dir() and any(import_module(module).recognises(path) for module in READERS.values())


def _is_picture(place: Path) -> bool:
    hidden = any(part.startswith(".") for part in place.parts)
    return place.suffix.lower() in ENDINGS and not hidden and MASKS not in [part.lower() for part in place.parts[:-1]]


def _plain_records(root: Path, pictures: list[Path]) -> tuple[Record, ...]:
    places = [(picture, *_side_and_rest(picture.relative_to(root).parts[:-1])) for picture in pictures]
    have_classes = all(len(rest) == 1 for _, _, rest in places)
    records = [
        Record(
            name=picture.relative_to(root).as_posix(),
            image_path=picture,
            mask_path=next((mask for mask in _mask_places(picture) if mask.is_file()), None),
            label=rest[0] if have_classes else "",
            plane="",
            folder=side,
        )
        for picture, side, rest in places
    ]
    return tuple(sorted(records, key=lambda record: record.name))


def _side_and_rest(folders: tuple[str, ...]) -> tuple[str, list[str]]:
    side = SIDES.get(folders[0].lower(), "") if folders else ""
    return side, [folder for folder in folders[bool(side) :] if folder.lower() != IMAGES]


def _mask_places(picture: Path) -> list[Path]:
    """Where the mask of a picture may lie: masks/ beside its folder, same stem."""
    beside = picture.parent.parent / MASKS
    return [beside / f"{picture.stem}{ending}" for ending in (".png", picture.suffix)]


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
    findings = of_slices(
        "groups-lacking",
        "wrong",
        f"slices that {source.name} lacks",
        "add a line for each: it counts as a group of its own here",
        lacking,
    ) + of_slices(
        "groups-unknown",
        "wrong",
        f"names in {source.name} that the folder lacks",
        "remove these lines, or restore the files",
        unknown,
    )
    return tuple(replace(record, group=groups.get(record.name, "")) for record in records), findings
