"""Which files of a folder are pictures, and which are the masks of which: by the names of files and folders alone.

DIR/17.png  DIR/masks/17.jpg  |  images/17.png  masks/17_mask.png  |  train/glioma/17.png  train/masks/17.png
CASE/CASE_1.tif  CASE/CASE_1_mask.tif  |  train_images/17.png  train_masks/17.png
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edgebrain.data.spellings import is_mask_folder, mask_base, without_kind
from edgebrain.runtime.listing import is_picture, list_files

# What lies beside masks and is none.
TEXTS = {".txt", ".csv", ".tsv", ".json", ".md", ".xml", ".yaml", ".yml", ".toml", ".db", ".ini", ".log"}


@dataclass(frozen=True)
class Pairing:
    """pictures: sorted. masks: of a picture, sorted; more than one is a mistake. lone: files named like masks, or that
    lie where masks lie, which belong to no picture, and why. beside: whether any mask lies in its picture's folder."""

    pictures: tuple[Path, ...]
    masks: Mapping[Path, tuple[Path, ...]] = field(repr=False)
    lone: tuple[tuple[Path, str], ...] = ()
    beside: bool = False


def picture_files(root: Path) -> list[Path]:
    """The picture files below a folder; none where there is no such folder. A link that leads nowhere is among them, so
    that its slice is named and does not vanish."""
    if not root.is_dir():
        return []
    found = list_files(root)
    return [*found.pictures, *(path for path, _ in found.unreadable if path.is_symlink() and is_picture(path.name))]


def closed_folders(root: Path) -> list[tuple[Path, str]]:
    """Folders and links below a folder that cannot be opened, but links to pictures, each with the reason."""
    return [(path, reason) for path, reason in list_files(root).unreadable if not is_picture(path.name)]


def pair_files(root: Path, files: Iterable[Path]) -> Pairing:
    """Pictures and masks among picture files below a folder.

    A file in a mask folder is a mask. A file whose name is another's with `_mask` (or `-seg`, ` label`, ...) behind it,
    in the same folder, is a mask too; where no file has such a neighbour, the ending is part of the pictures' names.
    """
    placed = {path: path.relative_to(root).parts[:-1] for path in sorted(files)}
    in_mask_folder = [path for path, parts in placed.items() if any(map(is_mask_folder, parts))]
    others = [path for path, parts in placed.items() if not any(map(is_mask_folder, parts))]
    stems = {(path.parent, path.stem.lower()) for path in others}
    named = {path: base for path in others if (base := mask_base(path.stem)) is not None}
    beside = any((path.parent, base.lower()) in stems for path, base in named.items())
    if not beside:
        named = {}
    pictures = [path for path in others if path not in named]
    by_stem: dict[str, list[Path]] = defaultdict(list)
    for path in pictures:
        by_stem[path.stem.lower()].append(path)
    trees = {path: _tree(placed[path]) for path in pictures}
    masks: dict[Path, list[Path]] = defaultdict(list)
    lone: list[tuple[Path, str]] = []
    for path in [*in_mask_folder, *named]:
        found = _owners(path, by_stem, trees, _tree(placed[path]), path in named)
        if len(found) == 1:
            masks[found[0]].append(path)
        else:
            lone.append((path, f"could be of {len(found)} pictures" if found else "no picture of that name"))
    whole = {picture: tuple(sorted(mine)) for picture, mine in masks.items()}
    return Pairing(tuple(pictures), whole, tuple(sorted(lone)), beside)


def looks_like_mask(root: Path, path: Path) -> bool:
    """Whether a file is named like a mask or lies where masks lie, and is no text."""
    if path.suffix.lower() in TEXTS:
        return False
    parts = path.relative_to(root).parts[:-1]
    return any(map(is_mask_folder, parts)) or mask_base(path.stem) is not None


def _owners(
    mask: Path,
    by_stem: Mapping[str, list[Path]],
    trees: Mapping[Path, tuple[str, ...]],
    tree: tuple[str, ...],
    beside: bool,
) -> list[Path]:
    """The pictures that a mask may belong to: of its stem, in the nearest folder of those that fit."""
    base = mask_base(mask.stem)
    for stem in [base] if beside else [mask.stem, base]:
        found = by_stem.get(stem.lower(), []) if stem else []
        if beside:
            found = [picture for picture in found if picture.parent == mask.parent]
        fitting = [picture for picture in found if _is_prefix(trees[picture], tree)]
        if fitting:
            nearest = min(abs(len(trees[picture]) - len(tree)) for picture in fitting)
            return [picture for picture in fitting if abs(len(trees[picture]) - len(tree)) == nearest]
    return []


def _tree(parts: Iterable[str]) -> tuple[str, ...]:
    """Folders without those that say only that pictures or masks lie in them, in small letters."""
    return tuple(name.lower() for part in parts if (name := without_kind(part)))


def _is_prefix(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether one of two paths leads to the other."""
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]
