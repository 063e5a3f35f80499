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

# Files that are never masks, whatever their name.
TEXTS = {".txt", ".csv", ".tsv", ".json", ".md", ".xml", ".yaml", ".yml", ".toml", ".db", ".ini", ".log"}


@dataclass(frozen=True)
class Pairing:
    """The pictures and masks of a folder.

    Attributes:
        pictures: Sorted.
        masks: Picture -> its masks, sorted; more than one is a mistake.
        lone: Files that are named like masks or lie where masks lie but belong to no picture, each with the reason.
        in_picture_folders: Whether any mask lies in the folder of its picture.
    """

    pictures: tuple[Path, ...]
    masks: Mapping[Path, tuple[Path, ...]] = field(repr=False)
    lone: tuple[tuple[Path, str], ...] = ()
    in_picture_folders: bool = False


def picture_files(root: Path) -> list[Path]:
    """The picture files below a folder; none where there is no such folder.

    A link that leads nowhere is among them, so that its slice is reported as unreadable and does not vanish.
    """
    if not root.is_dir():
        return []
    found = list_files(root)
    return [*found.pictures, *(path for path, _ in found.unreadable if path.is_symlink() and is_picture(path.name))]


def closed_folders(root: Path) -> list[tuple[Path, str]]:
    """Folders, and links other than to pictures, that cannot be opened below a folder, each with the reason."""
    return [(path, reason) for path, reason in list_files(root).unreadable if not is_picture(path.name)]


def pair_files(root: Path, files: Iterable[Path]) -> Pairing:
    """Match masks to pictures by their names.

    A file in a mask folder is a mask. So is a file whose name is that of another file in its folder with `_mask` (or
    `-seg`, ` label`, ...) after it. Where no file has such a partner, the ending is part of the pictures' names.

    Args:
        root: The folder; names of folders above it mean nothing.
        files: Picture files below it.
    """
    folders = {path: path.relative_to(root).parts[:-1] for path in sorted(files)}
    in_mask_folder = [path for path, parts in folders.items() if any(map(is_mask_folder, parts))]
    others = [path for path, parts in folders.items() if not any(map(is_mask_folder, parts))]
    stems = {(path.parent, path.stem.lower()) for path in others}
    named = {path: base for path in others if (base := mask_base(path.stem)) is not None}
    in_picture_folders = any((path.parent, base.lower()) in stems for path, base in named.items())
    if not in_picture_folders:
        named = {}
    pictures = [path for path in others if path not in named]
    by_stem: dict[str, list[Path]] = defaultdict(list)
    for path in pictures:
        by_stem[path.stem.lower()].append(path)
    trees = {path: _tree(folders[path]) for path in pictures}
    masks: dict[Path, list[Path]] = defaultdict(list)
    lone: list[tuple[Path, str]] = []
    for path in [*in_mask_folder, *named]:
        found = _owners(path, by_stem, trees, _tree(folders[path]), path in named)
        if len(found) == 1:
            masks[found[0]].append(path)
        else:
            lone.append((path, f"could be of {len(found)} pictures" if found else "no picture of that name"))
    whole = {picture: tuple(sorted(mine)) for picture, mine in masks.items()}
    return Pairing(tuple(pictures), whole, tuple(sorted(lone)), in_picture_folders)


def looks_like_mask(root: Path, path: Path) -> bool:
    """Whether a file is named like a mask or lies where masks lie, and is not a text or table."""
    if path.suffix.lower() in TEXTS:
        return False
    parts = path.relative_to(root).parts[:-1]
    return any(map(is_mask_folder, parts)) or mask_base(path.stem) is not None


def _owners(
    mask: Path,
    by_stem: Mapping[str, list[Path]],
    trees: Mapping[Path, tuple[str, ...]],
    tree: tuple[str, ...],
    same_folder: bool,
) -> list[Path]:
    """The pictures that a mask may belong to: those with its stem, in the nearest folder.

    same_folder: the mask is named after a picture in its own folder.
    """
    base = mask_base(mask.stem)
    for stem in [base] if same_folder else [mask.stem, base]:
        found = by_stem.get(stem.lower(), []) if stem else []
        if same_folder:
            found = [picture for picture in found if picture.parent == mask.parent]
        fitting = [picture for picture in found if _is_prefix(trees[picture], tree)]
        if fitting:
            nearest = min(abs(len(trees[picture]) - len(tree)) for picture in fitting)
            return [picture for picture in fitting if abs(len(trees[picture]) - len(tree)) == nearest]
    return []


def _tree(parts: Iterable[str]) -> tuple[str, ...]:
    """Names of folders in lower case, without those that only say that pictures or masks lie in them."""
    return tuple(name.lower() for part in parts if (name := without_kind(part)))


def _is_prefix(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether one of two paths is the start of the other."""
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]
