"""Pictures whose channels are in doubt: BGR or RGB cannot be told apart, so colour is refused and grey is exact."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edgebrain.cli import main
from edgebrain.runtime.image import decode
from tests.runtime.pictures import bright_disc, encoded, save
from tests.runtime.tiny import tiny_bundle


def test_a_coloured_slice_is_refused_by_predict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    coloured = cv2.applyColorMap(bright_disc(), cv2.COLORMAP_JET)
    picture = save(tmp_path / "jet.png", coloured)
    bundle = tiny_bundle(tmp_path / "bundle")
    with pytest.raises(SystemExit) as ended:
        main(["predict", str(picture), "--bundle", str(bundle.path), "--out", str(tmp_path / "out")])
    assert ended.value.code == 1
    said = capsys.readouterr()
    assert "jet.png: is coloured (channels differ by" in said.err + said.out


def test_grey_in_three_channels_is_the_same_in_either_order() -> None:
    grey = bright_disc()
    three = np.dstack([grey, grey, grey])
    np.testing.assert_array_equal(decode(encoded(three), "bgr"), grey)
    np.testing.assert_array_equal(decode(encoded(three[..., ::-1]), "rgb"), grey)
