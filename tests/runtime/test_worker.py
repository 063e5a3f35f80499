from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from edgebrain.files import sha256_bytes
from edgebrain.formats import engines_for
from edgebrain.runtime.session import open_session
from edgebrain.runtime.worker import PROTOCOL, WorkerState, pack_mask, serve, unpack_mask
from tests.runtime.pictures import bright_disc, encoded
from tests.runtime.tiny import tiny_bundle

PROTOCOL_PAGE = Path(__file__).parents[2] / "docs" / "reference" / "worker-protocol.md"
PICTURE = encoded(bright_disc())


def talk(*requests: dict[str, Any] | bytes) -> list[dict[str, Any]]:
    """The answers to these lines."""
    lines = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in requests]
    answers = io.BytesIO()
    serve(lines, answers)
    return [json.loads(line) for line in answers.getvalue().splitlines()]


def holding(folder: Path, data: bytes = PICTURE, sha256: str = "") -> dict[str, Any]:
    """The line that has one picture held, from a list that is written for it."""
    folder.mkdir(exist_ok=True)
    (folder / "0").write_bytes(data)
    entries = [{"name": "a.png", "file": "0", "sha256": sha256 or sha256_bytes(data)}]
    (folder / "slices.json").write_text(json.dumps(entries))
    return {"do": "hold", "list": str(folder / "slices.json")}


@given(arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=40)))
def test_a_mask_survives_the_line(mask: np.ndarray) -> None:
    sent = json.loads(json.dumps(pack_mask(mask)))
    assert np.array_equal(unpack_mask(sent), mask)


def test_a_conversation_gives_what_a_session_gives(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "b", precision="int8")
    hello, opened, held, scored, timed, closed = talk(
        {"do": "hello"},
        {"do": "open", "bundle": str(bundle.path), "threads": 1},
        holding(tmp_path / "slices"),
        {"do": "score", "slices": [[0, 1]]},
        {"do": "time", "slices": [[0, 1]], "queries": 5, "warm_up": 1},
        {"do": "close"},
    )
    expected = open_session(bundle).predict(bright_disc())
    (answer,) = scored["slices"]
    assert held == {"slices": 1}
    assert hello["protocol"] == 3 and hello["environment"]["python"]
    assert (
        opened["runs"]["engine"] in [engine.name for engine in engines_for("tflite")]
        and opened["manifest_sha256"] == bundle.manifest_sha256
    )
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
        {"do": "score", "slices": [[0, 1]]},
        {"do": "hold", "list": str(tmp_path / "no.json")},
        {"do": "open", "bundle": str(tmp_path)},
        {"do": "hello"},
    )
    assert ["error" in answer for answer in answers] == [True] * 6 + [False]
    assert [answer["kind"] for answer in answers[:6]] == ["WorkerFailed"] * 5 + ["BadBundle"]
    assert str(tmp_path) in answers[5]["error"] and answers[5]["hint"]


@pytest.mark.parametrize("places", [[[0, 2]], [[1, 2]], [[-1, 1]]])
def test_a_slice_that_is_not_held_is_an_error(tmp_path: Path, places: list[list[int]]) -> None:
    opening = {"do": "open", "bundle": str(tiny_bundle(tmp_path / "b").path)}
    answer = talk(opening, holding(tmp_path / "slices"), {"do": "score", "slices": places})[-1]
    assert "holds 1 slices, not all that were requested" in answer["error"]


def test_a_slice_that_was_changed_or_is_gone_is_refused_by_name(tmp_path: Path) -> None:
    opening = {"do": "open", "bundle": str(tiny_bundle(tmp_path / "b").path)}
    score = {"do": "score", "slices": [[0, 1]]}
    changed = talk(opening, holding(tmp_path / "slices", PICTURE + b"!", sha256_bytes(PICTURE)), score)[-1]
    assert changed["error"] == f"a.png: {tmp_path / 'slices' / '0'} was changed since the bench began"
    held = holding(tmp_path / "slices")
    (tmp_path / "slices" / "0").unlink()
    assert talk(opening, held, score)[-1]["error"].endswith("No such file or directory")


def test_a_bad_picture_is_an_error_that_names_it(tmp_path: Path) -> None:
    opening = {"do": "open", "bundle": str(tiny_bundle(tmp_path / "b").path)}
    answer = talk(opening, holding(tmp_path / "slices", b"x"), {"do": "score", "slices": [[0, 1]]})[-1]
    assert answer["kind"] == "BadImage" and answer["error"].startswith("a.png: ")


def test_nothing_is_answered_after_close() -> None:
    assert len(talk({"do": "close"}, {"do": "hello"})) == 1


@given(st.binary(max_size=60).filter(lambda line: b"\n" not in line))
def test_any_line_gets_one_answer(line: bytes) -> None:
    (answer,) = talk(line)
    assert "error" in answer


class Recorded(dict[str, Any]):
    """A request that knows which of its keys were read."""

    def __init__(self, values: dict[str, Any]) -> None:
        super().__init__(values)
        self.read: set[str] = set()

    def __getitem__(self, key: str) -> Any:
        self.read.add(key)
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        self.read.add(key)
        return super().get(key, default)


def documented() -> dict[str, tuple[set[str], set[str]]]:
    """Command -> keys of the request and of the answer, from the table in docs/reference/worker-protocol.md."""
    rows = [line.strip("|").split("|") for line in PROTOCOL_PAGE.read_text().splitlines() if line.startswith("| `")]
    keys = [[re.findall(r"`(\w+)`", cell) for cell in row] for row in rows]
    return {command[0]: (set(request), set(answer)) for command, request, answer in keys[1:]}


def test_the_page_has_the_keys_that_the_worker_reads_and_answers(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "b")
    values: dict[str, dict[str, Any]] = {
        "hello": {},
        "open": {"bundle": str(bundle.path)},
        "hold": {"list": holding(tmp_path / "slices")["list"]},
        "time": {"slices": [[0, 1]], "queries": 1},
        "time_batched": {"slices": [[0, 1]], "calls": 1},
        "score": {"slices": [[0, 1]]},
        "close": {},
    }
    state, found = WorkerState(), {}
    for command, wanted in values.items():
        request = Recorded({"do": command, **wanted})
        answer = state.answer(request)
        found[command] = (request.read - {"do"}, set(answer))
    assert found == documented()
    assert f"protocol {PROTOCOL}" in PROTOCOL_PAGE.read_text()
