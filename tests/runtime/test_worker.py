from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from edgebrain.files import sha256_bytes
from edgebrain.runtime.engines import READERS
from edgebrain.runtime.session import open_session
from edgebrain.runtime.worker import pack_mask, serve, unpack_mask
from tests.runtime.pictures import bright_disc, encoded
from tests.runtime.tiny import tiny_bundle

PICTURE = encoded(bright_disc())


def talk(*requests: dict[str, Any] | bytes) -> list[dict[str, Any]]:
    """The answers to these lines."""
    lines = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in requests]
    answers = io.BytesIO()
    serve(lines, answers)
    return [json.loads(line) for line in answers.getvalue().splitlines()]


def entry(data: bytes | None = PICTURE, **more: Any) -> dict[str, Any]:
    sent = {} if data is None else {"data": base64.b64encode(data).decode()}
    return {"name": "a.png", "sha256": sha256_bytes(PICTURE), **sent, **more}


@given(arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=40)))
def test_a_mask_survives_the_line(mask: np.ndarray) -> None:
    sent = json.loads(json.dumps(pack_mask(mask)))
    assert np.array_equal(unpack_mask(sent), mask)


def test_a_conversation_gives_what_a_session_gives(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "b", precision="int8")
    hello, opened, scored, timed, closed = talk(
        {"do": "hello"},
        {"do": "open", "bundle": str(bundle.path), "threads": 1},
        {"do": "score", "slices": [entry()]},
        {"do": "time", "slices": [entry(keep=True)], "queries": 5, "warm_up": 1},
        {"do": "close"},
    )
    expected = open_session(bundle).predict(bright_disc())
    (answer,) = scored["slices"]
    assert hello["protocol"] == 1 and hello["environment"]["python"]
    assert opened["runs"]["engine"] in READERS["tflite"] and opened["manifest_sha256"] == bundle.manifest_sha256
    assert np.array_equal(unpack_mask(answer["mask"]), expected.mask)
    assert answer["class_probabilities"] == expected.class_probabilities.tolist()
    assert timed["outputs_sha256"] == [expected.outputs_sha256] * 5 == [answer["outputs_sha256"]] * 5
    assert {len(timed[key]) for key in ("predict_ns", "engine_ns", "decode_ns")} == {5}
    assert closed["peak_rss_mib"] > opened["rss_mib"] / 2


def test_an_error_is_a_line_and_the_worker_goes_on(tmp_path: Path) -> None:
    answers = talk(
        b"not json",
        b"[]",
        {"do": "fly"},
        {"do": "score", "slices": [entry()]},
        {"do": "open", "bundle": str(tmp_path)},
        {"do": "hello"},
    )
    assert ["error" in answer for answer in answers] == [True] * 5 + [False]
    assert [answer["kind"] for answer in answers[:5]] == ["WorkerFailed"] * 4 + ["BadBundle"]
    assert str(tmp_path) in answers[4]["error"] and answers[4]["hint"]


def test_a_slice_is_held_only_where_that_was_asked_for(tmp_path: Path) -> None:
    opening = {"do": "open", "bundle": str(tiny_bundle(tmp_path / "b").path)}
    again = {"do": "score", "slices": [entry(data=None)]}
    dropped = talk(opening, {"do": "score", "slices": [entry()]}, again)
    kept = talk(opening, {"do": "score", "slices": [entry(keep=True)]}, again)
    assert "does not hold" in dropped[-1]["error"]
    assert kept[-1]["slices"][0]["outputs_sha256"] == kept[1]["slices"][0]["outputs_sha256"]


def test_a_slice_that_was_damaged_on_its_way_is_refused(tmp_path: Path) -> None:
    opening = {"do": "open", "bundle": str(tiny_bundle(tmp_path / "b").path)}
    assert "damaged on its way" in talk(opening, {"do": "score", "slices": [entry(PICTURE + b"!")]})[-1]["error"]


def test_a_bad_picture_is_an_error_that_names_it(tmp_path: Path) -> None:
    bad = {"name": "b.png", "sha256": sha256_bytes(b"x"), "data": base64.b64encode(b"x").decode()}
    opening = {"do": "open", "bundle": str(tiny_bundle(tmp_path / "b").path)}
    answer = talk(opening, {"do": "score", "slices": [bad]})[-1]
    assert answer["kind"] == "BadImage" and answer["error"].startswith("b.png: ")


def test_nothing_is_answered_after_close() -> None:
    assert len(talk({"do": "close"}, {"do": "hello"})) == 1


@given(st.binary(max_size=60).filter(lambda line: b"\n" not in line))
def test_any_line_gets_one_answer(line: bytes) -> None:
    (answer,) = talk(line)
    assert "error" in answer
