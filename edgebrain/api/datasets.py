"""Looking at a data set, and writing the phantom set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgebrain.api.arguments import AnyPath, as_path, check_count, optional_path
from edgebrain.progress import Progress, no_progress

if TYPE_CHECKING:
    from edgebrain.auditing.run import Audit
    from edgebrain.data.summary import Summary


def summarise(path: AnyPath, *, progress: Progress = no_progress) -> Summary:
    """Count slices by side, class, plane and size, and find missing masks and unreadable files.

    Args:
        path: Folder of a data set.
        progress: Called with "reading", the number of slices done and the number in all.

    Returns:
        The counts and the problems; `as_json()` gives them as a dictionary.

    Raises:
        BadData: The folder is laid out as no data set that edgebrain knows.

    Example:
        >>> edgebrain.summarise("pictures").slices
        160
    """
    from edgebrain.data.summary import summarise as summarise_folder

    return summarise_folder(as_path(path, "path"), progress)


def audit(
    path: AnyPath,
    *,
    groups: AnyPath | None = None,
    split: AnyPath | None = None,
    progress: Progress = no_progress,
) -> Audit:
    """Find what would flatter a model: copies, wrong labels and masks, shortcuts.

    Args:
        path: Folder of a data set, or of any pictures.
        groups: CSV file `name,group` with the patients; the folder's own when left out.
        split: A run's split.json instead of the folder's sides.
        progress: Called with what is being done, the number of slices done and the number in all.

    Returns:
        The findings, worst first; `as_json()` gives them as a dictionary, `groups_csv()` the groups for training.

    Raises:
        BadData: The folder holds no picture, or the groups or the split do not fit it.

    Example:
        >>> edgebrain.audit("pictures").findings[0].level
        'leak'
    """
    from edgebrain.auditing.run import audit as audit_folder

    return audit_folder(as_path(path, "path"), optional_path(groups, "groups"), optional_path(split, "split"), progress)


def write_phantoms(out: AnyPath, count: int = 1200, seed: int = 0, *, progress: Progress = no_progress) -> None:
    """Write seeded phantom slices with masks, to train and try on.

    Args:
        out: Folder to write; must not exist.
        count: Number of slices.
        seed: The same seed gives the same slices.
        progress: Called with "drawing", the number of slices done and the number in all.

    Raises:
        CannotWrite: The folder exists, or the disk refuses.

    Example:
        >>> edgebrain.write_phantoms("phantoms", 24)
        >>> edgebrain.summarise("phantoms").slices
        24
    """
    from edgebrain.phantom.generator import write_phantoms as write

    check_count(count, "count")
    write(as_path(out, "out"), count, seed, progress)
