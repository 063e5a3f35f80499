from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from edgebrain.files import sha256_bytes
from edgebrain.runtime.image import decode
from edgebrain.runtime.transform import downsample, resize_exact, threshold_mask

REAL = Path(os.environ.get("EDGEBRAIN_REAL_DATA", "/nowhere")) / "brisc2025"


def test_the_transform_gives_the_bytes_that_it_gave_on_other_machines() -> None:
    image = np.random.default_rng(7).integers(0, 256, (517, 389), np.uint8)
    small = downsample(image, 128, 128)
    grown = resize_exact(small, 517, 389)
    assert [sha256_bytes(part.tobytes())[:16] for part in (small, grown, threshold_mask(grown, 0.5))] == [
        "c4acc41937877236",
        "6c587f150879b74d",
        "07af3f46e36862da",
    ]


@pytest.mark.skipif(not REAL.is_dir(), reason="EDGEBRAIN_REAL_DATA names no folder with brisc2025")
def test_real_slices_and_masks_decode_and_fit_each_other() -> None:
    pictures = sorted((REAL / "segmentation_task").rglob("*.jpg"))[::40]
    assert len(pictures) > 50
    for picture in pictures:
        image = decode(picture.read_bytes(), str(picture))
        mask_path = Path(str(picture).replace("/images/", "/masks/")).with_suffix(".png")
        mask = decode(mask_path.read_bytes(), str(mask_path))
        assert image.shape == mask.shape
        assert (mask > 127).any()
        # Nothing but the two ends: any cut between gives the same mask.
        assert not ((mask > 10) & (mask < 245)).any()
        assert np.percentile(image, 99) > 10
        assert downsample(image, 128, 128).shape == (128, 128)
