"""Wrong arguments of the public functions are named."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgebrain
from edgebrain.errors import BadBundle, BadTarget, EdgebrainError
from tests.runtime.tiny import SIDE, tiny_bundle

WRONG: list[tuple[str, Callable[[], Any]]] = [
    ("path", lambda: edgebrain.load(3)),  # type: ignore[arg-type]
    ("path", lambda: edgebrain.load(b"bundle")),  # type: ignore[arg-type]
    ("threads", lambda: edgebrain.load("x", threads="2")),  # type: ignore[arg-type]
    ("threads", lambda: edgebrain.load("x", threads=0)),
    ("threads", lambda: edgebrain.load("x", threads=True)),
    ("data", lambda: edgebrain.train(data=3)),  # type: ignore[arg-type]
    ("epochs", lambda: edgebrain.train(epochs=1.5)),  # type: ignore[arg-type]
    ("run", lambda: edgebrain.quantize(3)),  # type: ignore[arg-type]
    ("bundle", lambda: edgebrain.explain(3)),  # type: ignore[arg-type]
    ("bundle", lambda: edgebrain.evaluate(3)),  # type: ignore[arg-type]
    ("out", lambda: edgebrain.evaluate("x", out=3)),  # type: ignore[arg-type]
    ("bundles", lambda: edgebrain.bench(3)),  # type: ignore[arg-type]
    ("bundles", lambda: edgebrain.bench(["x", 3])),  # type: ignore[list-item]
    ("target", lambda: edgebrain.bench("x", target=[3])),  # type: ignore[list-item]
    ("threads", lambda: edgebrain.bench("x", threads=[1, "2"])),  # type: ignore[list-item]
    ("queries", lambda: edgebrain.bench("x", queries=0)),
    ("first", lambda: edgebrain.compare(3, "x")),  # type: ignore[arg-type]
    ("named", lambda: edgebrain.report(3)),  # type: ignore[arg-type]
    ("bundle", lambda: edgebrain.deploy(3)),  # type: ignore[arg-type]
    ("path", lambda: edgebrain.audit(3)),  # type: ignore[arg-type]
    ("path", lambda: edgebrain.summarise(None)),  # type: ignore[arg-type]
    ("count", lambda: edgebrain.write_phantoms("x", 0)),
    ("folder", lambda: edgebrain.watch(3, "out", "x")),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("argument", "call"), WRONG)
def test_a_wrong_type_or_number_names_the_argument(
    argument: str, call: Callable[[], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tiny_bundle(Path("x"))
    with pytest.raises((TypeError, ValueError), match=f"^{argument}: "):
        call()


def test_what_is_no_bundle_is_said_to_be_none(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "bundle")
    archive = tmp_path / "bundle.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.write(bundle.path / "manifest.json", "manifest.json")
    what = {
        archive: "is a zip file, and a bundle is a folder",
        bundle.path / "manifest.json": "is a file, and a bundle is a folder",
        tmp_path / "nowhere": "does not exist",
        tmp_path: "is not a bundle (no manifest.json)",
    }
    for path, message in what.items():
        with pytest.raises(BadBundle) as refused:
            edgebrain.load(path)
        assert refused.value.message == f"{path}: {message}"
        assert refused.value.hint


def test_an_unknown_target_is_refused_before_anything_is_opened() -> None:
    with pytest.raises(BadTarget, match="'moon' is not known"):
        edgebrain.deploy("nowhere", "moon")


def test_resume_and_force_exclude_each_other() -> None:
    with pytest.raises(EdgebrainError, match="resume"):
        edgebrain.predict("x", "y", out="z", resume=True, force=True)


def test_a_session_answers_an_array_a_path_and_bytes_alike(tmp_path: Path) -> None:
    import cv2

    image = np.random.default_rng(0).integers(0, 256, (SIDE * 2, SIDE * 3), np.uint8)
    path = tmp_path / "slice.png"
    cv2.imwrite(str(path), image)
    session = edgebrain.load(tiny_bundle(tmp_path / "bundle").path)
    answers = [
        session.predict(image),
        session.predict(str(path)),
        session.predict(path),
        session.predict(path.read_bytes()),
    ]
    assert len({one.outputs_sha256 for one in answers}) == 1
    for one in answers:
        np.testing.assert_array_equal(one.mask, answers[0].mask)
        assert one.mask.shape == image.shape
    with pytest.raises(TypeError, match="image: expected an array, a path or bytes, got list"):
        session.predict([[1]])  # type: ignore[arg-type]
