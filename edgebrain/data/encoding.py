"""The encoding of a data set's masks, from a sample of its files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from edgebrain.data.masks import MaskEncoding, detect, informative
from edgebrain.data.sample import Record, read
from edgebrain.errors import BadImage
from edgebrain.files import sha256_bytes
from edgebrain.runtime.image import decode
from edgebrain.runtime.opencv import opencv_alone

# So many masks that mark something tell how all are written.
SAMPLE = 64
THREADS = 2


def with_encoding(records: Iterable[Record]) -> tuple[tuple[Record, ...], MaskEncoding]:
    """The records, told how the masks of their data set are written; and that."""
    records = tuple(records)
    encoding = detect(_sample([record.mask_path for record in records if record.mask_path is not None]))
    return tuple(replace(record, encoding=encoding) for record in records), encoding


def _sample(paths: Sequence[Path]) -> list[np.ndarray]:
    """The first masks that mark anything, in an order that is spread over the set and the same on every machine."""
    spread = sorted(paths, key=lambda path: sha256_bytes(path.name.encode()))
    found: list[np.ndarray] = []
    with opencv_alone(), ThreadPoolExecutor(THREADS) as pool:
        for start in range(0, len(spread), SAMPLE):
            read_now = pool.map(_mask, spread[start : start + SAMPLE])
            found += [mask for mask in read_now if mask is not None and informative(mask)]
            if len(found) >= SAMPLE:
                break
    return found


def _mask(path: Path) -> np.ndarray | None:
    """A mask as decoded, None where it cannot be read: whoever needs it says so."""
    try:
        return decode(read(path), str(path))
    except BadImage:
        return None
