from __future__ import annotations

import cv2
import numpy as np
import pytest

from edgebrain.data.masks import TWO_VALUED, UNKNOWN, MaskEncoding, detect


def drawn(*levels: int, shape: tuple[int, int] = (60, 60)) -> np.ndarray:
    """A mask of 0 with a square of each level."""
    mask = np.zeros(shape, dtype=np.uint8)
    for place, level in enumerate(levels):
        mask[5 : 5 + 10, 5 + 12 * place : 15 + 12 * place] = level
    return mask


def as_jpeg(mask: np.ndarray, quality: int = 75) -> np.ndarray:
    return cv2.imdecode(cv2.imencode(".jpg", mask, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_GRAYSCALE)


@pytest.mark.parametrize(
    ("masks", "name", "above"),
    [
        ([drawn(255)] * 3, "0/255", 127),
        ([drawn(1)] * 3, "0/1", 0),
        ([drawn(1), drawn(2), drawn(4)], "0..4", 0),
        ([drawn(1, 2, 4)] * 2, "0..4", 0),
        ([drawn(85), drawn(170), drawn(255)], "0..255", 0),
        ([drawn(100)] * 3, "0/100", 0),
        ([as_jpeg(drawn(255))] * 3, "0/255", 127),
        ([(drawn(255) * 0.96 + 5).astype(np.uint8)] * 3, "0/255", 127),
        ([drawn(255), drawn(255), drawn(1)], "0/255", 127),
        ([drawn(255), drawn(1)], "0/255", 127),
        ([drawn(255), drawn(1), drawn(1), drawn()], "0/1", 0),
    ],
)
def test_the_encoding_of_most_masks_is_detected(masks: list[np.ndarray], name: str, above: int) -> None:
    found = detect(masks)
    assert (found.name, found.above) == (name, above)


def test_soft_edges_are_no_labels() -> None:
    soft = [cv2.GaussianBlur(drawn(255), (5, 5), 0) for _ in range(3)]
    halved = [cv2.resize(drawn(255), (31, 31), interpolation=cv2.INTER_AREA) for _ in range(3)]
    assert detect(soft) == detect(halved) == TWO_VALUED


def test_empty_masks_tell_nothing_and_are_taken_for_0_and_255() -> None:
    assert detect([drawn(), drawn()]) == detect([]) == UNKNOWN
    assert UNKNOWN.as_json() is None and "none that marks anything" in UNKNOWN.describe()
    assert MaskEncoding.from_json(None) == UNKNOWN


@pytest.mark.parametrize(
    ("masks", "words"),
    [
        ([drawn(1)], "masks: 0/1 (not 0/255): 1 is read as lesion"),
        ([drawn(255)], "masks: 0/255: above 127 is read as lesion"),
        ([drawn(1, 2, 4)], "masks: 0..4 (labels 1, 2 and 4): every label above 0 is read as lesion"),
    ],
)
def test_how_masks_are_read_is_said_in_a_line(masks: list[np.ndarray], words: str) -> None:
    found = detect(masks)
    assert found.describe() == words
    assert MaskEncoding.from_json(found.as_json()) == found


@pytest.mark.parametrize("levels", [(1,), (85, 170, 255), (1, 2, 4), (255,)])
def test_every_label_is_lesion(levels: tuple[int, ...]) -> None:
    mask = drawn(*levels)
    assert detect([mask]).lesion(mask).sum() == 100 * len(levels)


@pytest.mark.parametrize(
    ("encoding", "mask", "words"),
    [
        (TWO_VALUED, drawn(1), "the mask holds 0 and 1, the set's masks 0 and 255"),
        (TWO_VALUED, drawn(1, 2), "the mask holds 0, 1 and 2, the set's masks 0 and 255"),
        (TWO_VALUED, drawn(100), "the mask holds 0 and 100, the set's masks 0 and 255"),
        (MaskEncoding(0, (0, 1)), drawn(255), "the mask holds 0 and 255, the set's masks 0 and 1"),
        (MaskEncoding(0, (0, 1)), as_jpeg(drawn(255)), ", the set's masks 0 and 1"),
        (MaskEncoding(0, (0, 85, 255)), drawn(1), "the mask holds 0 and 1, the set's masks 0, 85 and 255"),
    ],
)
def test_a_mask_of_another_encoding_is_named_with_both(encoding: MaskEncoding, mask: np.ndarray, words: str) -> None:
    assert words in encoding.misfit(mask)


@pytest.mark.parametrize(
    ("encoding", "mask"),
    [
        (TWO_VALUED, drawn()),
        (TWO_VALUED, drawn(200)),
        (TWO_VALUED, np.full((40, 40), 5, np.uint8)),
        (TWO_VALUED, np.random.default_rng(0).integers(0, 9, (40, 40), dtype=np.uint8)),
        (MaskEncoding(0, (0, 1)), drawn()),
        (MaskEncoding(0, (0, 1, 2)), drawn(4)),
        (MaskEncoding(0, (0, 85, 255)), drawn(255)),
    ],
)
def test_noise_rare_labels_and_empty_masks_fit(encoding: MaskEncoding, mask: np.ndarray) -> None:
    assert encoding.misfit(mask) == ""
