"""Facts of each file that need no understanding of the picture, and the pictures at the size that is compared."""

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
from edgebrain.runtime.transform import downsample

THREADS, AHEAD = 2, 64
# Grey levels up to this are background: noise leaves few pixels at exactly 0.
DARK = 16
# Width of the border as a share of the shorter side.
BORDER = 1 / 32


@dataclass(frozen=True)
class MaskFacts:
    """One mask file.

    Attributes:
        file: Its path.
        sha256: Of the file.
        problem: Why it cannot be read; empty where it can.
        width: In px.
        height: In px.
        lesion: Number of lesion pixels.
        darkest_lesion: The lowest grey level that is read as lesion; 255 in a clean mask.
        brightest_rest: The highest grey level that is not; 0 in a clean mask.
        misfit: Why it is written in another way than the masks of its data set; empty where it fits.
        two_valued: Whether the set's masks are 0 and 255, so that levels between them are a mistake.
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

    Attributes:
        record: The slice.
        sha256: Of the file.
        pixels: Hash of its size and grey levels.
        kind: File type: PNG, JPEG or TIFF.
        width: In px, as stored.
        height: In px, as stored.
        channels: As stored.
        orientation: As in EXIF, 1 is upright.
        tables: Hash of the JPEG quantisation tables; empty for other files.
        size_bytes: Of the file.
        border: Mean grey level of the border, 0 to 255.
        mean: Mean grey level, 0 to 255.
        dark: Share of pixels with grey levels up to DARK, in [0, 1].
        mask: Its mask; None where there is no file.
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

    Attributes:
        facts: Of N pictures.
        images: (N, 128, 128) uint8 grey levels.
        masks: (N, 128, 128) uint8, share of each pixel that is lesion, 255 is all of it; all 0 without a mask.
        unreadable: Record and reason of each picture that cannot be read.
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
    """Read every file once, with two threads.

    Args:
        records: The slices.
        progress: Called with "reading", the pictures done and the pictures in all.
    """
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
    """Hash the quantisation tables of a JPEG file (ITU-T T.81, B.2.4.1).

    Encoders and their quality settings have tables of their own, so the hash differs between files of different origin.

    Args:
        data: The file's bytes.

    Returns:
        8 hexadecimal digits; empty where there are no tables.

    Example:
        >>> quantisation_tables(b"no JPEG")
        ''
    """
    if not data.startswith(b"\xff\xd8"):
        return ""
    tables, at = [], 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        mark, (size,) = data[at + 1], struct.unpack_from(">H", data, at + 2)
        if mark == 0xDA:  # The scan begins: tables after it belong to later scans and differ within one encoder.
            break
        if mark == 0xDB:
            tables.append(data[at + 4 : at + 2 + size])
        at += 1 if mark == 0xFF else 2 + size
    return sha256_bytes(b"".join(tables))[:8] if tables else ""


_Found = tuple[PictureFacts, np.ndarray, np.ndarray | None]


def _read_all(records: Sequence[Record]) -> Iterator[tuple[Record, _Found | str]]:
    """The slices in the order of the records; only a few are read ahead, so that memory does not grow with the set."""
    source = iter(records)
    with opencv_alone(), ThreadPoolExecutor(THREADS) as pool:
        waiting = [(record, pool.submit(_read_picture, record)) for record in islice(source, AHEAD)]
        while waiting:
            record, future = waiting.pop(0)
            yield record, future.result()
            waiting += [(following, pool.submit(_read_picture, following)) for following in islice(source, 1)]


def _read_picture(record: Record) -> _Found | str:
    try:
        data = read(record.image_path)
        image = decode(data, str(record.image_path))
        header = read_header(data, str(record.image_path))
    except BadImage as problem:
        return problem.message.removeprefix(f"{record.image_path}: ")
    mask_facts, mask = _read_mask(record, image.shape)
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
    return facts, downsample(image, SIDE, SIDE), mask


def _border(image: np.ndarray) -> float:
    """Mean grey level of the border of a picture, (H, W) uint8."""
    wide = max(1, int(min(image.shape) * BORDER))
    inner = image[wide:-wide, wide:-wide]
    return float((int(image.sum()) - int(inner.sum())) / max(1, image.size - inner.size))


def _read_mask(record: Record, shape: tuple[int, ...]) -> tuple[MaskFacts | None, np.ndarray | None]:
    """Facts of the mask file, and the soft mask at SIDE; None for a mask of another size than its picture, or none."""
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
    return facts, downsample(lesion.astype(np.uint8) * 255, SIDE, SIDE) if mask.shape == shape else None
