"""The worst slices of a bundle, and their pictures: the slice with the outlines of truth, float parent and bundle.

The report's own scores say which slices are the worst. The masks are predicted again by the same worker that was
measured, and a picture is shown only where the raw outputs have the hash that the bench kept.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import numpy as np

from edgebrain.benchmarking.report_row import RowFigures
from edgebrain.data.readers import open_dataset
from edgebrain.data.sample import Record, read
from edgebrain.errors import BadData, EdgebrainError
from edgebrain.evaluation.scores import ImageScore
from edgebrain.progress import Progress
from edgebrain.reporting.inputs import Source
from edgebrain.reporting.page import Picture
from edgebrain.runtime.engines import runs_here
from edgebrain.runtime.image import decode
from edgebrain.runtime.opencv import cv2
from edgebrain.runtime.worker import unpack_mask
from edgebrain.targets.slices import Slice, write_listing
from edgebrain.targets.worker import Worker

WORST = 20
RULE = (
    "lowest Dice first; a healthy slice on which anything was marked counts as 0; of equals the larger area in error, "
    "as share of the slice"
)
# At 20 pictures of some 15 kB a report stays far below 3 MB.
LONGEST_SIDE, JPEG_QUALITY = 384, 80
Row = TypeVar("Row", bound=RowFigures)


def worst_scores(scores: Sequence[ImageScore], most: int = WORST) -> list[ImageScore]:
    """The worst slices by RULE; tumours without a drawn mask and healthy slices without a mark are not among them."""
    judged = [score for score in scores if score.is_drawn_tumour or (not score.is_tumour and score.is_marked)]
    return sorted(judged, key=_badness)[:most]


def draw(
    source: Source,
    row: RowFigures,
    parent: RowFigures | None,
    data: Path | None,
    progress: Progress,
    names: Sequence[str],
) -> tuple[dict[str, Picture], dict[str, str]]:
    """Draw slices with the outlines of truth, float parent and bundle.

    Args:
        source: The bench report.
        row: The bundle's row.
        parent: The float parent's; None without one.
        data: Folder of the data set; else the one that the bench used.
        progress: Called with what is being done, slices done and slices in all.
        names: The slices.

    Returns:
        The pictures by name, and the reason for each that cannot be shown.

    Raises:
        EdgebrainError: The data or a bundle is not here, or its interpreter is not installed.
    """
    folder = data or source.data
    if folder is None:
        raise BadData("the bench report does not name the folder of its slices")
    known = {record.name: record for record in open_dataset(folder).records}
    here = [known[name] for name in names if name in known]
    reasons = dict.fromkeys(set(names) - set(known), "is not in the data folder")
    rows = [row] if parent is None else [row, parent]
    answers = [_predicted(source, one, here, progress) for one in rows]
    shown = {}
    for record in here:
        reason = next(filter(None, (answer[record.name][1] for answer in answers)), None)
        if reason is not None:
            reasons[record.name] = reason
            continue
        image = decode(read(record.image_path), record.name)
        masks = [answer[record.name][0] for answer in answers]
        shown[record.name] = _picture(image, record.load_mask(image.shape), *masks)
    return shown, reasons


def drawn_parent(parent: Row, row: RowFigures, rows: Sequence[Row]) -> Row:
    """The row whose outline is drawn for the float root.

    That is the root, or where its library is not installed the float32 bundle of the row's own format, if there is.
    """
    if runs_here(parent.format):
        return parent
    wanted = (row.format, "float32", row.float_parent)
    return next((one for one in rows if (one.format, one.precision, one.float_parent) == wanted), parent)


def outline(mask: np.ndarray) -> str:
    """The borders of a mask as an SVG path.

    Args:
        mask: (H, W) bool.

    Returns:
        The path in px of the mask; empty for an empty mask.
    """
    # Twice as large, so that a lesion of one pixel has a border with an area in it.
    large = np.repeat(np.repeat(mask.astype(np.uint8), 2, axis=0), 2, axis=1)
    borders, _ = cv2.findContours(large, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    lines = (cv2.approxPolyDP(border, 0.9, True).reshape(-1, 2) / 2.0 + 0.25 for border in borders)
    return "".join("M" + "L".join(f"{x:g} {y:g}" for x, y in line) + "Z" for line in lines)


def _badness(score: ImageScore) -> tuple[float, float, str]:
    """The worst sorts first."""
    error = score.predicted_area + (score.true_area or 0)
    return score.dice if score.is_drawn_tumour else 0.0, -error / score.pixels, score.name


def _predicted(
    source: Source, row: RowFigures, records: Sequence[Record], progress: Progress
) -> dict[str, tuple[np.ndarray, str | None]]:
    """Slice name -> mask, (H, W) bool, and, where it must not be shown, the reason."""
    folder = source.bundle_folder(row)
    if folder is None:
        raise EdgebrainError(f"{row.bundle}: the bundle that was measured is not here", "copy its run here")
    entry = source.bench.images[row.images]
    kept = {score.name: score.outputs_sha256 for score in entry.scores}
    found = {}
    with TemporaryDirectory(prefix="edgebrain-") as listed, Worker() as worker:
        worker.open(folder, threads=entry.threads)
        worker.hold(write_listing(Path(listed), [Slice.of(record.image_path, record.name) for record in records]))
        for done, record in enumerate(records, start=1):
            (answer,) = worker.score([done - 1])
            same = answer["outputs_sha256"] == kept[record.name]
            reason = None if same else f"{row.bundle} answers other than when it was measured"
            found[record.name] = (unpack_mask(answer["mask"]), reason)
            progress(f"drawing {row.bundle}", done, len(records))
        worker.close()
    return found


def _picture(
    image: np.ndarray, truth: np.ndarray | None, bundle: np.ndarray, parent: np.ndarray | None = None
) -> Picture:
    """A picture of a slice, (H, W) uint8, with the outlines of masks, (H, W) bool."""
    height, width = image.shape
    scale = min(1.0, LONGEST_SIDE / max(height, width))
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    done, encoded = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    assert done, "OpenCV always encodes uint8 as JPEG"
    return Picture(
        jpeg=base64.b64encode(encoded.tobytes()).decode(),
        width=width,
        height=height,
        truth=None if truth is None else outline(truth),
        parent=None if parent is None else outline(parent),
        bundle=outline(bundle),
    )
