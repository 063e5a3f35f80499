"""A process that holds one session and answers JSON lines: hello, open, hold, time, time_batched, score, close.

One line in, one line out, in order; docs/reference/worker-protocol.md has the table of keys. An error is a line too:
{"error", "hint", "kind"}. Whatever libraries print goes to stderr. The end of the input ends the process, so that none
outlives the program that started it.

Slices are files on this machine. `hold` names their list, a JSON file of {"name", "file", "sha256"}; later lines give
indices into it, as half-open ranges [[start, stop], ...]. Each is read when it is requested, compared with its hash,
and dropped after use, so that slices do not count as the model's memory.
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
from edgebrain.runtime.latency import cpu_ticks, time_batched, time_queries
from edgebrain.runtime.session import Prediction, Session, open_session

PROTOCOL = 3


@dataclass(frozen=True)
class HeldSlice:
    """A picture on this machine.

    Attributes:
        name: How errors call it.
        file: Its path.
        sha256: SHA-256 of its bytes.
    """

    name: str
    file: Path
    sha256: str

    def read(self) -> bytes:
        """Its bytes.

        Raises:
            WorkerFailed: It is gone, or another file than the one that was listed.
        """
        try:
            data = self.file.read_bytes()
        except OSError as problem:
            raise WorkerFailed(f"{self.name}: {self.file}: {problem.strerror}", "measure again") from problem
        if sha256_bytes(data) != self.sha256:
            raise WorkerFailed(f"{self.name}: {self.file} was changed since the bench began", "measure again")
        return data


class WorkerState:
    """What the worker remembers between lines: the session and the list of slices."""

    def __init__(self) -> None:
        self._session: Session | None = None
        self._slices: list[HeldSlice] = []

    def answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Answer one request.

        Args:
            request: `do` names the command; docs/reference/worker-protocol.md lists the keys of each.

        Raises:
            EdgebrainError: The request cannot be met.
        """
        commands = {
            "hello": self.hello,
            "open": self.open,
            "hold": self.hold,
            "time": self.time,
            "time_batched": self.time_batched,
            "score": self.score,
            "close": self.close,
        }
        command = commands.get(str(request.get("do")))
        if command is None:
            raise WorkerFailed(f"the worker does not know {request.get('do')!r}", f"it knows {', '.join(commands)}")
        return command(request)

    def hello(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Protocol number, and the environment of this machine."""
        return {"protocol": PROTOCOL, "environment": environment()}

    def open(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Open a bundle: load time in ms, what really runs, memory after it in MiB."""
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
        """Take the slices of a list, by index from now on; how many there are."""
        listing = Path(request["list"])
        entries = read_json(listing, WorkerFailed, "measure again")
        self._slices = [HeldSlice(one["name"], listing.parent / one["file"], one["sha256"]) for one in entries]
        return {"slices": len(self._slices)}

    def time(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Answer `warm_up` queries uncounted, then time `queries`, both over the slices in turn."""
        session = self._opened()
        files = [(one.name, one.read()) for one in self._requested(request)]
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

    def time_batched(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Make `warm_up` calls uncounted, then time `calls`, each for as many slices as `open` named."""
        session = self._opened()
        files = [(one.name, one.read()) for one in self._requested(request)]
        time_batched(session, files, int(request.get("warm_up", 0)))
        before = {"ticks": cpu_ticks(), **condition()}
        timed = time_batched(session, files, int(request["calls"]))
        return {
            "call_ns": [call.call_ns for call in timed],
            "outputs_sha256": [sha256 for call in timed for sha256 in call.outputs_sha256],
            "before": before,
            "after": {"ticks": cpu_ticks(), **condition()},
        }

    def score(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Predict each slice: mask, class probabilities, hash of the raw outputs, stage times in ns."""
        session = self._opened()
        predictions = (session.predict_file(one.read(), one.name)[1] for one in self._requested(request))
        return {"classes": list(session.classes), "slices": [_as_json(prediction) for prediction in predictions]}

    def close(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The most memory that this process has held, in MiB."""
        return {"peak_rss_mib": peak_rss_mib()}

    def _opened(self) -> Session:
        if self._session is None:
            raise WorkerFailed("the worker has no bundle open", "send `open` first")
        return self._session

    def _requested(self, request: Mapping[str, Any]) -> Sequence[HeldSlice]:
        """The slices whose indices a request gives."""
        indices = list(chain.from_iterable(starmap(range, request["slices"])))
        if indices and not 0 <= min(indices) <= max(indices) < len(self._slices):
            raise WorkerFailed(f"the worker holds {len(self._slices)} slices, not all that were requested", "")
        return [self._slices[index] for index in indices]


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
    """Pack a mask for one line of JSON.

    Args:
        mask: (H, W) bool.

    Returns:
        height, width in px, and `bits`: the pixels row by row, a bit each, zlib, base64.
    """
    packed = zlib.compress(np.packbits(mask).tobytes(), 1)
    return {"height": mask.shape[0], "width": mask.shape[1], "bits": base64.b64encode(packed).decode()}


def unpack_mask(entry: Mapping[str, Any]) -> np.ndarray:
    """Unpack the mask of a line.

    Args:
        entry: As `pack_mask` gives it.

    Returns:
        The mask, (H, W) bool.
    """
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
