"""The built-in data set: slices of heads with and without lesions, drawn from a seed.

A slice follows from its number and the seed alone, so that any part of a set can be made anywhere. Some slices share a
head, as a neighbouring slice or as a mirrored one with other noise; they are one group.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from edgebrain.bundle import HEALTHY
from edgebrain.cache import cache_folder
from edgebrain.data.readers.phantom import LABELS, PHANTOM_FILE, PLANES
from edgebrain.files import whole_folder, write_json
from edgebrain.phantom.anatomy import draw_head
from edgebrain.phantom.canvas import Canvas, grown
from edgebrain.phantom.lesion import draw_lesion
from edgebrain.progress import Progress, no_progress
from edgebrain.runtime.opencv import cv2, opencv_alone

VERSION = 1
# Slices of each head in turn. 7 and the 12 pairs of class and plane have no common factor: each pair gets each number.
HEAD_SLICES = (1, 2, 1, 3, 1, 1, 3)
KINDS = (".png", ".jpg", ".tiff")
SIDES_PX = (192, 208, 224, 240, 256, 272, 288)
# Noise has no repeats to compress: this strategy is the fastest here, and no larger than the others.
IMAGE_PNG = (cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_HUFFMAN_ONLY)
MASK_PNG = (cv2.IMWRITE_PNG_BILEVEL, 1, cv2.IMWRITE_PNG_COMPRESSION, 1)
# Standard deviation of the difference of two even random bytes.
BYTE_DIFFERENCE_DEVIATION = 104.5


class Phantom(NamedTuple):
    """One slice.

    Attributes:
        image: (H, W) uint8 grey levels.
        mask: (H, W) bool, True is lesion; all False for a healthy slice.
        label: One of bundle.CLASSES.
        plane: axial, coronal or sagittal.
        group: Its head.
    """

    image: np.ndarray
    mask: np.ndarray
    label: str
    plane: str
    group: str


def generate(index: int, seed: int) -> Phantom:
    """Draw one slice of the endless set with a seed.

    Args:
        index: Number of the slice, from 0.
        seed: Of the set.

    Example:
        >>> slice = generate(0, seed=0)
        >>> slice.image.shape == slice.mask.shape, slice.image.dtype, slice.group
        (True, dtype('uint8'), 'head00000')
    """
    head, number = _head_of(index)
    label, plane = _kind_of(head, seed)
    rng = np.random.default_rng([seed, head])
    noise = np.random.default_rng([seed, head, number])
    drift = 0.0 if number == 0 else float(noise.uniform(0.15, 0.45)) * (-1.0) ** number
    canvas = _empty_canvas(rng)
    # Every kind is drawn at every level, except that a pituitary is only seen at the sella.
    at_sella = bool(rng.random() < 0.3) or label == "pituitary"
    anatomy = draw_head(canvas, rng, plane, at_sella, drift)
    mask = np.zeros(canvas.shape, dtype=bool)
    if label != HEALTHY:
        mask = draw_lesion(canvas, rng, anatomy, label, drift)
    pixels = canvas.pixels
    if number == 2 and plane != "sagittal":
        pixels, mask = np.ascontiguousarray(pixels[:, ::-1]), np.ascontiguousarray(mask[:, ::-1])
    return Phantom(_scan(pixels, rng, noise), mask, label, plane, f"head{head:05d}")


def write_phantoms(folder: Path, count: int, seed: int = 0, progress: Progress = no_progress) -> None:
    """Write the first slices of a set to a folder, completely or not at all.

    Args:
        folder: Must not exist.
        count: Number of slices.
        seed: Of the set.
        progress: Called with "drawing", the slices done and the slices in all.

    Raises:
        CannotWrite: The folder exists, or the disk refuses.
    """
    groups: dict[str, str] = {}
    with whole_folder(folder) as part, opencv_alone():
        for name in ("images", "masks"):
            (part / name).mkdir()
        for index in range(count):
            name, group = _write(part, index, seed)
            groups[name] = group
            progress("drawing", index + 1, count)
        write_json(part / PHANTOM_FILE, {"version": VERSION, "count": count, "seed": seed, "groups": groups})


def builtin_phantoms(count: int, seed: int, progress: Progress = no_progress) -> Path:
    """The folder of a set in the user's cache, written on first use.

    Args:
        count: Number of slices.
        seed: Of the set.
        progress: As in `write_phantoms`.

    Raises:
        CannotWrite: The cache folder refuses.
    """
    folder = cache_folder() / f"phantom-v{VERSION}-{count}-{seed}"
    if not (folder / PHANTOM_FILE).is_file():
        write_phantoms(folder, count, seed, progress)
    return folder


def phantom_files(count: int, seed: int) -> dict[str, bytes]:
    """The first slices of a set as picture files, PNG, JPEG and TIFF in turn, so that each decoder is used.

    Returns:
        File name -> content; the same bytes each time with one version of OpenCV.
    """
    files = {}
    with opencv_alone():
        for index in range(count):
            phantom = generate(index, seed)
            kind = KINDS[index % len(KINDS)]
            name = Path(_name(index, phantom)).with_suffix(kind).name
            files[name] = _encoded(phantom.image, kind)
    return files


def _head_of(index: int) -> tuple[int, int]:
    """Number of the head that a slice belongs to, and the slice's number within that head."""
    turns, rest = divmod(index, sum(HEAD_SLICES))
    head = turns * len(HEAD_SLICES)
    for slices in HEAD_SLICES:
        if rest < slices:
            break
        head, rest = head + 1, rest - slices
    return head, rest


@cache
def _order_of_kinds(seed: int, block: int) -> tuple[tuple[str, str], ...]:
    """The 12 pairs of class and plane, in random order."""
    pairs = [(label, plane) for label in LABELS.values() for plane in PLANES.values()]
    return tuple(pairs[index] for index in np.random.default_rng([seed, block, 12]).permutation(len(pairs)))


def _kind_of(head: int, seed: int) -> tuple[str, str]:
    block, index = divmod(head, len(LABELS) * len(PLANES))
    return _order_of_kinds(seed, block)[index]


def _empty_canvas(rng: np.random.Generator) -> Canvas:
    """An empty canvas with random size, position and rotation of the head; one in four is not square."""
    height = width = int(rng.choice(SIDES_PX))
    if rng.random() < 0.25:
        width = int(width * rng.uniform(0.8, 1.2))
    scale = 0.5 * min(height, width) * rng.uniform(0.84, 0.98)
    turn = rng.normal(0.0, 0.07)
    matrix = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    centre = np.array([width, height]) / 2 + rng.normal(0.0, 0.015, 2) * height
    return Canvas(np.zeros((height, width), dtype=np.float32), matrix, centre)


def _scan(pixels: np.ndarray, rng: np.random.Generator, noise: np.random.Generator) -> np.ndarray:
    """Simulate the scanner: blur, coil bias, gain, and Rician noise, which is never negative.

    Args:
        pixels: (H, W) float32 grey values.
        rng: Of the head, whose slices share the bias.
        noise: Of the slice.

    Returns:
        (H, W) uint8 grey levels.
    """
    height, width = pixels.shape
    scene = cv2.GaussianBlur(pixels, (0, 0), float(rng.uniform(0.6, 1.1)))
    bias = np.exp(0.13 * rng.standard_normal((4, 4), dtype=np.float32)) * np.float32(rng.uniform(0.55, 1.1))
    scene *= grown(cv2.resize(bias, (32, 32), interpolation=cv2.INTER_CUBIC), (height, width))
    deviation = float(rng.uniform(1.5, 6.0))
    # Random bytes are ten times faster than normal numbers, and the difference of two is bell-shaped enough.
    raw = np.frombuffer(noise.bytes(2 * height * width), dtype=np.uint8).reshape(2, height, width)
    real = cv2.subtract(raw[0], raw[1], dtype=cv2.CV_32F)
    real *= np.float32(deviation / BYTE_DIFFERENCE_DEVIATION)
    # The imaginary channel needs other noise at each pixel; the real one's, rotated by 180 degrees, saves drawing it.
    image: np.ndarray = cv2.convertScaleAbs(cv2.magnitude(scene + real, cv2.flip(real, -1)))
    return image


def _write(part: Path, index: int, seed: int) -> tuple[str, str]:
    """Write one slice, and its mask where it has a lesion; gives its name and group."""
    phantom = generate(index, seed)
    name = _name(index, phantom)
    # The folder gets its name only when all is written, so its files need no write-then-rename of their own.
    (part / "images" / name).write_bytes(_png(phantom.image))
    if phantom.label != HEALTHY:
        (part / "masks" / name).write_bytes(_png(phantom.mask.astype(np.uint8) * 255, MASK_PNG))
    return name, phantom.group


def _name(index: int, phantom: Phantom) -> str:
    label = next(code for code, name in LABELS.items() if name == phantom.label)
    plane = next(code for code, name in PLANES.items() if name == phantom.plane)
    return f"phantom_{index + 1:05d}_{label}_{plane}.png"


def _png(pixels: np.ndarray, options: tuple[int, ...] = IMAGE_PNG) -> bytes:
    return _encoded(pixels, ".png", options)


def _encoded(pixels: np.ndarray, kind: str, options: tuple[int, ...] = ()) -> bytes:
    done, content = cv2.imencode(kind, pixels, options)
    assert done
    return bytes(content)
