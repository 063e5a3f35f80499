"""What can be said of each file without understanding the picture, and the pictures at the size that is compared."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import islice

import numpy as np

from edgebrain.data.masks import MIDDLE, levels_of
from edgebrain.data.sample import Record, read
from edgebrain.duplicates.similarity import SIDE
from edgebrain.errors import BadImage
from edgebrain.files import sha256_bytes
from edgebrain.progress import Progress, no_progress
from edgebrain.runtime.header import read_header
from edgebrain.runtime.image import decode
from edgebrain.runtime.opencv import opencv_alone
from edgebrain.runtime.transform import shrink

THREADS, AHEAD = 2, 64
# Grey levels up to this are background.
DARK = 16
# The border is as wide as this share of the shorter side.
BORDER = 1 / 32


@dataclass(frozen=True)
class MaskFacts:
    """problem: why it cannot be read, or empty. width, height, lesion: pixels. misfit: why it is written in another way
    than the masks of its data set, or empty.

    darkest_lesion, brightest_rest: the grey levels next to the cut on both sides; 255 and 0 in a clean mask.
    two_valued: whether the set's masks are 0 and 255, so that other levels say something.
    """

    file: str
    sha256: str = ""
    problem: str = ""
    width: int = 0
    height: int = 0
    lesion: int = 0
    darkest_lesion: int = 255
    brightest_rest: int = 0
    misfit: str = ""
    two_valued: bool = True


@dataclass(frozen=True)
class PictureFacts:
    """One picture that can be read.

    pixels: hash of its size and grey levels. orientation: as in EXIF, 1 is upright. tables: hash of the JPEG
    quantisation tables, empty for other files. border, mean: grey levels, 0 to 255. dark: share of pixels up to DARK.
    """

    record: Record
    sha256: str
    pixels: str
    kind: str
    width: int
    height: int
    channels: int
    orientation: int
    tables: str
    size_bytes: int
    border: float
    mean: float
    dark: float
    mask: MaskFacts | None


@dataclass(frozen=True)
class Scan:
    """The pictures that can be read; row i of every field is the same one.

    images: (N, 128, 128) uint8. masks: (N, 128, 128) uint8, 255 where the whole pixel is lesion, 0 without a mask.
    unreadable: (record, reason) of the others.
    """

    facts: tuple[PictureFacts, ...]
    images: np.ndarray = field(repr=False)
    masks: np.ndarray = field(repr=False)
    unreadable: tuple[tuple[Record, str], ...]

    @property
    def names(self) -> list[str]:
        """The name of each picture."""
        return [fact.record.name for fact in self.facts]


def scan_pictures(records: Sequence[Record], progress: Progress = no_progress) -> Scan:
    """Read every file, by two threads. progress: pictures done and pictures in all."""
    images = np.empty((len(records), SIDE, SIDE), dtype=np.uint8)
    masks = np.zeros_like(images)
    facts: list[PictureFacts] = []
    unreadable: list[tuple[Record, str]] = []
    for done, (record, found) in enumerate(_read_all(records), start=1):
        if isinstance(found, str):
            unreadable.append((record, found))
        else:
            fact, image, mask = found
            images[len(facts)] = image
            if mask is not None:
                masks[len(facts)] = mask
            facts.append(fact)
        progress("reading", done, len(records))
    return Scan(tuple(facts), images[: len(facts)], masks[: len(facts)], tuple(unreadable))


def quantisation_tables(data: bytes) -> str:
    """A short hash of the quantisation tables of a JPEG file (ITU-T T.81, B.2.4.1); empty where there are none.

    Encoders, and their quality settings, have tables of their own: the hash tells files of another origin.
    """
    if not data.startswith(b"\xff\xd8"):
        return ""
    tables, at = [], 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        mark, (size,) = data[at + 1], struct.unpack_from(">H", data, at + 2)
        if mark == 0xDA:  # the scan begins: no table after it matters to what the picture was written with
            break
        if mark == 0xDB:
            tables.append(data[at + 4 : at + 2 + size])
        at += 1 if mark == 0xFF else 2 + size
    return sha256_bytes(b"".join(tables))[:8] if tables else ""


_Found = tuple[PictureFacts, np.ndarray, np.ndarray | None]


def _read_all(records: Sequence[Record]) -> Iterator[tuple[Record, _Found | str]]:
    """In the order of the records, a few read ahead, so that memory does not grow with the set."""
    source = iter(records)
    with opencv_alone(), ThreadPoolExecutor(THREADS) as pool:
        waiting = [(record, pool.submit(_look, record)) for record in islice(source, AHEAD)]
        while waiting:
            record, future = waiting.pop(0)
            yield record, future.result()
            waiting += [(following, pool.submit(_look, following)) for following in islice(source, 1)]


def _look(record: Record) -> _Found | str:
    try:
        data = read(record.image_path)
        image = decode(data, str(record.image_path))
        header = read_header(data, str(record.image_path))
    except BadImage as problem:
        return problem.message.removeprefix(f"{record.image_path}: ")
    mask_facts, mask = _look_at_mask(record, image.shape)
    facts = PictureFacts(
        record=record,
        sha256=sha256_bytes(data),
        pixels=blake2b(repr(image.shape).encode() + image.tobytes(), digest_size=16).hexdigest(),
        kind=header.kind,
        width=header.width,
        height=header.height,
        channels=header.channels,
        orientation=header.orientation,
        tables=quantisation_tables(data),
        size_bytes=len(data),
        border=_border(image),
        mean=float(image.mean()),
        dark=float((image <= DARK).mean()),
        mask=mask_facts,
    )
    return facts, shrink(image, SIDE, SIDE), mask


def _border(image: np.ndarray) -> float:
    """Mean grey level of the frame around a picture, (H, W) uint8."""
    wide = max(1, int(min(image.shape) * BORDER))
    inner = image[wide:-wide, wide:-wide]
    return float((int(image.sum()) - int(inner.sum())) / max(1, image.size - inner.size))


def _look_at_mask(record: Record, shape: tuple[int, ...]) -> tuple[MaskFacts | None, np.ndarray | None]:
    """Facts of the mask file, and the soft mask at SIDE; None where it cannot be laid on the picture."""
    if record.mask_path is None:
        return None, None
    file = str(record.mask_path)
    try:
        data = read(record.mask_path)
        mask = decode(data, file)
    except BadImage as problem:
        return MaskFacts(file, problem=problem.message.removeprefix(f"{file}: ")), None
    levels, encoding = np.array(levels_of(mask)), record.encoding
    lesion = encoding.lesion(mask)
    facts = MaskFacts(
        file=file,
        sha256=sha256_bytes(data),
        width=mask.shape[1],
        height=mask.shape[0],
        lesion=int(np.count_nonzero(lesion)),
        darkest_lesion=int(levels[levels > encoding.above].min(initial=255)),
        brightest_rest=int(levels[levels <= encoding.above].max(initial=0)),
        misfit=encoding.misfit(mask),
        two_valued=encoding.above == MIDDLE,
    )
    return facts, shrink(lesion.astype(np.uint8) * 255, SIDE, SIDE) if mask.shape == shape else None
