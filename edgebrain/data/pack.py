"""A data set decoded once: slices and soft masks at the network's size, memory-mapped from the user's cache folder.

    CACHE/pack-v2-KEY/
      images.npy    (N, side, side) uint8
      masks.npy     (N, side, side) uint8, share of each pixel's area that is lesion, 255 is all of it
      pack.json     names, labels, planes, folders, hashes, and what was left out for which reason
      groups.json   only where groups were computed from the images

The key is a hash of names, sizes and times of all files, so that a changed data set makes another pack.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from edgebrain.cache import cache_folder
from edgebrain.data.sample import Dataset, Record
from edgebrain.duplicates.groups import groups_from_images
from edgebrain.duplicates.similarity import SIDE as GROUPS_SIDE
from edgebrain.errors import BadData, BadImage, CannotWrite
from edgebrain.files import read_json, sha256_json, whole_folder, write_json
from edgebrain.progress import Progress, no_progress
from edgebrain.runtime.opencv import opencv_alone
from edgebrain.runtime.transform import downsample

VERSION = 2
THREADS = 2
AHEAD = 64
PACK_FILE, GROUPS_FILE = "pack.json", "groups.json"


@dataclass(frozen=True)
class Pack:
    """Slices ready for batches; row i of every field is the same slice, sorted by name.

    Attributes:
        names: Of the N slices.
        images: (N, side, side) uint8 grey levels.
        masks: (N, side, side) uint8, share of each pixel's area that is lesion, 255 is all of it.
        labels: (N,) int64, positions in bundle.CLASSES.
        planes: axial, coronal or sagittal.
        groups: Slices of one group are never on two sides of a split.
        folders: The side that the data set's maker put each slice on, or empty.
        sha256s: Of the image files.
        sha256: Of all names, image files and mask files.
        rejected: Name and reason of each slice that cannot be used.
    """

    names: tuple[str, ...]
    images: np.ndarray = field(repr=False)
    masks: np.ndarray = field(repr=False)
    labels: np.ndarray = field(repr=False)
    planes: tuple[str, ...] = field(repr=False)
    groups: tuple[str, ...] = field(repr=False)
    folders: tuple[str, ...] = field(repr=False)
    sha256s: tuple[str, ...] = field(repr=False)
    sha256: str
    rejected: tuple[tuple[str, str], ...] = ()

    def index(self, names: Sequence[str]) -> np.ndarray:
        """Find slices by name.

        Args:
            names: n names.

        Returns:
            (n,) int64, the row of each.

        Raises:
            BadData: A name is not in the pack.
        """
        lost = [name for name in names if name not in self._rows]
        if lost:
            raise BadData(
                f"{lost[0]}: is not in the data set ({len(lost)} of {len(names)} names are not)",
                "use the data set that the split was made on",
            )
        return np.array([self._rows[name] for name in names], dtype=np.int64)

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(self.names)}


@dataclass(frozen=True)
class _Slice:
    """One slice read and shrunk, or the reason why it cannot be used."""

    record: Record
    image: np.ndarray | None = None
    mask: np.ndarray | None = None
    image_sha256: str = ""
    mask_sha256: str = ""
    reason: str = ""


def open_pack(dataset: Dataset, side: int = 128, progress: Progress = no_progress) -> Pack:
    """Open the pack of a data set; where there is none in the cache, decode the data set first.

    A slice that `Record.load` refuses is left out and named in `rejected`. Groups that the data set does not give are
    computed from the images.

    Args:
        dataset: The data set.
        side: Height and width of the pack's images in px.
        progress: Called with "reading slices", the slices done and the slices in all.

    Raises:
        BadData: No slice can be used.
        CannotWrite: The cache folder refuses.
    """
    folder = cache_folder() / f"pack-v{VERSION}-{_key(dataset, side)}"
    found = _open(folder, side)
    if found is None:
        _build(folder, dataset, side, progress)
        found = _open(folder, side)
    assert found is not None
    content, images, masks = found
    if not content["names"]:
        raise BadData(
            f"{dataset.root}: none of {len(dataset.records)} slices can be used ({content['rejected'][0][1]})",
            f"see `edgebrain data summary {dataset.root}`",
        )
    return Pack(
        names=tuple(content["names"]),
        images=images,
        masks=masks,
        labels=np.array(content["labels"], dtype=np.int64),
        planes=tuple(content["planes"]),
        groups=_groups(folder, dataset, content["names"], images),
        folders=tuple(content["folders"]),
        sha256s=tuple(content["image_sha256s"]),
        sha256=content["sha256"],
        rejected=tuple((name, reason) for name, reason in content["rejected"]),
    )


def _key(dataset: Dataset, side: int) -> str:
    files = [
        path
        for record in dataset.records
        for path in (record.image_path, record.mask_path, *record.other_masks)
        if path
    ]
    state = [[str(path.relative_to(dataset.root)), *_size_and_time(path)] for path in files]
    return sha256_json([VERSION, dataset.kind, side, dataset.encoding.as_json(), state])[:24]


def _size_and_time(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        # Decoding rejects such a file by name; here it only has to make another key than a readable one.
        return -1, -1
    return status.st_size, status.st_mtime_ns


def _open(folder: Path, side: int) -> tuple[dict[str, Any], np.ndarray, np.ndarray] | None:
    """The pack's content and arrays, or None where there is none that is whole."""
    if not (folder / PACK_FILE).is_file():
        return None
    try:
        content = read_json(folder / PACK_FILE, BadData)
        images, masks = (np.load(folder / name, mmap_mode="r") for name in ("images.npy", "masks.npy"))
        shape = (len(content["names"]), side, side)
    except (BadData, OSError, ValueError, KeyError, TypeError):
        return None
    return (content, images, masks) if images.shape == masks.shape == shape else None


def _build(folder: Path, dataset: Dataset, side: int, progress: Progress) -> None:
    try:
        with whole_folder(folder, force=True) as part:
            _write(part, dataset, side, progress)
    except CannotWrite as problem:
        raise CannotWrite(problem.message, "free some space, or set XDG_CACHE_HOME to a folder with room") from problem


def _write(part: Path, dataset: Dataset, side: int, progress: Progress) -> None:
    kept: list[_Slice] = []
    rejected: list[tuple[str, str]] = []
    total = len(dataset.records)
    with (part / "images.npy").open("wb") as images, (part / "masks.npy").open("wb") as masks:
        for stream in (images, masks):
            _write_header(stream, total, side)
        for done, one in enumerate(_slices(dataset.records, side), start=1):
            if one.image is None or one.mask is None:
                rejected.append((one.record.name, one.reason))
            else:
                # Not through a memory map: there a full disk is a bus fault that ends the process, here an error.
                images.write(one.image.tobytes())
                masks.write(one.mask.tobytes())
                kept.append(_Slice(one.record, None, None, one.image_sha256, one.mask_sha256))
            progress("reading slices", done, total)
        for stream in (images, masks):
            stream.seek(0)
            _write_header(stream, len(kept), side)
    write_json(part / PACK_FILE, _content(kept, rejected))


def _write_header(stream: BinaryIO, count: int, side: int) -> None:
    """Write a .npy header. NumPy pads it so that a smaller final count fits in the place of the first one."""
    shape = {"descr": "|u1", "fortran_order": False, "shape": (count, side, side)}
    np.lib.format.write_array_header_1_0(stream, shape)


def _content(kept: Sequence[_Slice], rejected: Sequence[tuple[str, str]]) -> dict[str, Any]:
    hashes = [[one.record.name, one.image_sha256, one.mask_sha256] for one in kept]
    return {
        "names": [one.record.name for one in kept],
        "labels": [one.record.label_index for one in kept],
        "planes": [one.record.plane for one in kept],
        "folders": [one.record.folder for one in kept],
        "image_sha256s": [one.image_sha256 for one in kept],
        "sha256": sha256_json(sorted(hashes)),
        "rejected": [list(pair) for pair in rejected],
    }


def _slices(records: Sequence[Record], side: int) -> Iterator[_Slice]:
    """The slices in the order of the records, read by two threads, because OpenCV decodes outside Python's lock.

    Only a few are read ahead, so that memory does not grow with the set.
    """
    source = iter(records)
    with opencv_alone(), ThreadPoolExecutor(THREADS) as pool:
        waiting = [pool.submit(_read, record, side) for record in islice(source, AHEAD)]
        while waiting:
            yield waiting.pop(0).result()
            waiting += [pool.submit(_read, record, side) for record in islice(source, 1)]


def _read(record: Record, side: int) -> _Slice:
    try:
        sample = record.load()
    except BadImage as problem:
        return _Slice(record, reason=problem.message)
    soft = downsample(sample.mask.astype(np.uint8) * 255, side, side)
    return _Slice(record, downsample(sample.image, side, side), soft, sample.image_sha256, sample.mask_sha256)


def _groups(folder: Path, dataset: Dataset, names: Sequence[str], images: np.ndarray) -> tuple[str, ...]:
    given = {record.name: record.group for record in dataset.records}
    if all(given.values()):
        return tuple(given[name] for name in names)
    stored = folder / GROUPS_FILE
    if not stored.is_file():
        write_json(stored, groups_from_images(_at_groups_side(images)))
    return tuple(read_json(stored, BadData, f"remove the folder {folder} and start again"))


def _at_groups_side(images: np.ndarray) -> np.ndarray:
    if images.shape[1:] == (GROUPS_SIDE, GROUPS_SIDE):
        return images
    return np.stack([downsample(np.asarray(image), GROUPS_SIDE, GROUPS_SIDE) for image in images])
