"""A process that holds one session and answers JSON lines: hello, open, hold, time, together, score, close.

One line in, one line out, in order. An error is a line too: {"error", "hint"}. Whatever libraries print goes to
stderr. The end of the input ends the process, so that none outlives the program that started it.

Slices are files on this machine. `hold` names their list, a JSON file of {"name", "file", "sha256"}; later lines name
them by their places in it, as half-open ranges [[start, stop], ...]. Each is read when it is asked for, against its
hash, and dropped after use, so that slices do not count as the model's memory.
"""

from __future__ import annotations

import base64
import json
import os
import sys
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, starmap
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from edgebrain.errors import EdgebrainError, WorkerFailed
from edgebrain.files import read_json, sha256_bytes
from edgebrain.runtime.environment import condition, environment, peak_rss_mib, rss_mib
from edgebrain.runtime.latency import cpu_ticks, time_queries, time_together
from edgebrain.runtime.session import Prediction, Session, open_session

PROTOCOL = 2


@dataclass(frozen=True)
class HeldSlice:
    """A picture on this machine. name: how errors call it. file: where it lies. sha256: of its bytes."""

    name: str
    file: Path
    sha256: str

    def read(self) -> bytes:
        """Its bytes. Raises WorkerFailed: it is gone, or another file than the one that was listed."""
        try:
            data = self.file.read_bytes()
        except OSError as problem:
            raise WorkerFailed(f"{self.name}: {self.file}: {problem.strerror}", "measure again") from problem
        if sha256_bytes(data) != self.sha256:
            raise WorkerFailed(f"{self.name}: {self.file} was changed since the bench began", "measure again")
        return data


class WorkerState:
    """What the worker remembers between lines: the session, and where its slices lie."""

    def __init__(self) -> None:
        self._session: Session | None = None
        self._slices: list[HeldSlice] = []

    def answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to one request. Raises EdgebrainError: what is asked cannot be done."""
        commands = {
            "hello": self.hello,
            "open": self.open,
            "hold": self.hold,
            "time": self.time,
            "together": self.together,
            "score": self.score,
            "close": self.close,
        }
        command = commands.get(str(request.get("do")))
        if command is None:
            raise WorkerFailed(f"the worker does not know {request.get('do')!r}", f"it knows {', '.join(commands)}")
        return command(request)

    def hello(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Who is here: protocol number and environment."""
        return {"protocol": PROTOCOL, "environment": environment()}

    def open(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Open bundle, engine, threads, device, slices a call; load time in ms, what really runs, memory after it in
        MiB."""
        self._session = open_session(
            Path(request["bundle"]),
            request.get("engine"),
            int(request.get("threads", 1)),
            request.get("device"),
            int(request.get("at_once", 1)),
        )
        return {
            "load_ms": self._session.load_ns / 1e6,
            "runs": self._session.describe(),
            "manifest_sha256": self._session.bundle.manifest_sha256,
            "rss_mib": rss_mib(),
        }

    def hold(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The slices of a list, by place from now on; how many there are."""
        listing = Path(request["list"])
        entries = read_json(listing, WorkerFailed, "measure again")
        self._slices = [HeldSlice(one["name"], listing.parent / one["file"], one["sha256"]) for one in entries]
        return {"slices": len(self._slices)}

    def time(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Ask `warm_up` times without counting, then time `queries`, both over the slices in turn."""
        session = self._opened()
        files = [(one.name, one.read()) for one in self._asked(request)]
        time_queries(session, files, int(request.get("warm_up", 0)))
        before = {"ticks": cpu_ticks(), **condition()}
        timed = time_queries(session, files, int(request["queries"]))
        return {
            "predict_ns": [query.predict_ns for query in timed],
            "engine_ns": [query.engine_ns for query in timed],
            "decode_ns": [query.decode_ns for query in timed],
            "outputs_sha256": [query.outputs_sha256 for query in timed],
            "before": before,
            "after": {"ticks": cpu_ticks(), **condition()},
        }

    def together(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Call `warm_up` times without counting, then time `calls`, each for as many slices as were opened for."""
        session = self._opened()
        files = [(one.name, one.read()) for one in self._asked(request)]
        time_together(session, files, int(request.get("warm_up", 0)))
        before = {"ticks": cpu_ticks(), **condition()}
        timed = time_together(session, files, int(request["calls"]))
        return {
            "call_ns": [call.call_ns for call in timed],
            "outputs_sha256": [sha256 for call in timed for sha256 in call.outputs_sha256],
            "before": before,
            "after": {"ticks": cpu_ticks(), **condition()},
        }

    def score(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Predict each slice: mask, class probabilities, hash of the raw outputs, stage times in ns."""
        session = self._opened()
        predictions = (session.predict_file(one.read(), one.name)[1] for one in self._asked(request))
        return {"classes": list(session.classes), "slices": [_as_json(prediction) for prediction in predictions]}

    def close(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The most memory that this process has held, in MiB."""
        return {"peak_rss_mib": peak_rss_mib()}

    def _opened(self) -> Session:
        if self._session is None:
            raise WorkerFailed("the worker has no bundle open", "send `open` first")
        return self._session

    def _asked(self, request: Mapping[str, Any]) -> Sequence[HeldSlice]:
        """The slices that a line names by their places."""
        places = list(chain.from_iterable(starmap(range, request["slices"])))
        if places and not 0 <= min(places) <= max(places) < len(self._slices):
            raise WorkerFailed(f"the worker holds {len(self._slices)} slices, not all that were asked for", "")
        return [self._slices[place] for place in places]


def serve(requests: Iterable[bytes], answers: BinaryIO) -> None:
    """Answer line by line until `close` or the end of the input."""
    state = WorkerState()
    for line in requests:
        request: Mapping[str, Any] = {}
        try:
            request = _parse(line)
            answer = state.answer(request)
        except EdgebrainError as problem:
            answer = {"error": problem.message, "hint": problem.hint, "kind": type(problem).__name__}
        answers.write(json.dumps(answer, separators=(",", ":")).encode() + b"\n")
        answers.flush()
        if request.get("do") == "close":
            return


def main() -> None:
    """Serve this process's own stdin and stdout."""
    # Interpreters print to file descriptor 1 from C++; it must not mix with the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    serve(sys.stdin.buffer, answers)


def pack_mask(mask: np.ndarray) -> dict[str, Any]:
    """A mask for one line of JSON. mask: (H, W) bool."""
    packed = zlib.compress(np.packbits(mask).tobytes(), 1)
    return {"height": mask.shape[0], "width": mask.shape[1], "bits": base64.b64encode(packed).decode()}


def unpack_mask(entry: Mapping[str, Any]) -> np.ndarray:
    """The mask of a line, (H, W) bool."""
    height, width = int(entry["height"]), int(entry["width"])
    bits = np.frombuffer(zlib.decompress(base64.b64decode(entry["bits"])), dtype=np.uint8)
    return np.unpackbits(bits, count=height * width).astype(bool).reshape(height, width)


def _as_json(prediction: Prediction) -> dict[str, Any]:
    return {
        "mask": pack_mask(prediction.mask),
        "class_probabilities": prediction.class_probabilities.tolist(),
        "outputs_sha256": prediction.outputs_sha256,
        "stage_ns": dict(prediction.stage_ns),
    }


def _parse(line: bytes) -> Mapping[str, Any]:
    try:
        request = json.loads(line)
    except ValueError as problem:
        raise WorkerFailed(f"the worker was sent a line that is not JSON ({problem})", "") from problem
    if not isinstance(request, dict):
        raise WorkerFailed("the worker was sent a line that is no JSON object", "")
    return request
