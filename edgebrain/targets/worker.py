"""Our end of the worker protocol: a process that answers, or an error with its last lines on stderr.

No process is left behind, whatever happens.
"""

from __future__ import annotations

import json
import queue
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from subprocess import Popen, TimeoutExpired
from types import TracebackType
from typing import IO, Any

from edgebrain import errors
from edgebrain.errors import EdgebrainError, WorkerFailed
from edgebrain.targets.local import start
from edgebrain.targets.slices import ranges

PROTOCOL = 3
# Importing a large framework on a cold disk can take minutes; a query never does.
PATIENCE_S = 600.0
STDERR_LINES = 5
# ssh's own exit code, and what a shell adds to the number of the signal that ended its command.
SSH_FAILED, SIGNALLED = 255, 128


class Worker:
    """A worker process; a context manager, which ends it whatever happens."""

    def __init__(self, process: Popen[bytes] | None = None, where: str = "", patience_s: float = PATIENCE_S) -> None:
        """Take over a worker.

        Args:
            process: A worker that was started, with pipes; else one is started on this machine.
            where: How errors name its host.
            patience_s: Seconds to wait for an answer.
        """
        self._where = where
        self._patience_s = patience_s
        self._stderr_lines: deque[str] = deque(maxlen=STDERR_LINES)
        self._answers: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._process: Popen[bytes] = process or start()
        assert self._process.stdin and self._process.stdout and self._process.stderr, "started with pipes"
        self._stdin: IO[bytes] = self._process.stdin
        self._readers = [
            threading.Thread(target=self._read_answers, args=(self._process.stdout,), daemon=True),
            threading.Thread(target=self._read_stderr, args=(self._process.stderr,), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def hello(self) -> dict[str, Any]:
        """The worker's environment, see `runtime.environment.environment`.

        Raises:
            WorkerFailed: It speaks another protocol.
        """
        answer = self._request({"do": "hello"})
        if answer.get("protocol") != PROTOCOL:
            raise WorkerFailed(
                f"the worker{self._where} speaks protocol {answer.get('protocol')}, not {PROTOCOL}",
                "install the same edgebrain there",
            )
        return dict(answer["environment"])

    def open(
        self,
        bundle: Path | str,
        engine: str | None = None,
        threads: int = 1,
        device: str | None = None,
        at_once: int = 1,
    ) -> dict[str, Any]:
        """Open a bundle.

        Args:
            bundle: Its folder; a path as text is one on the worker's own machine.
            engine: The engine; None for the first installed one that reads the bundle.
            threads: Threads of the interpreter.
            device: As in `open_engine`.
            at_once: Slices that one call answers.

        Returns:
            load_ms, runs (what really runs), manifest_sha256, rss_mib.
        """
        path = str(bundle.resolve()) if isinstance(bundle, Path) else bundle
        options = {"engine": engine, "threads": threads, "device": device, "at_once": at_once}
        return self._request({"do": "open", "bundle": path, **options})

    def hold(self, listing: Path | str) -> None:
        """Name the list of slices, a file on the worker's machine; later requests give indices into it."""
        self._request({"do": "hold", "list": str(listing)})

    def time(self, indices: Sequence[int], queries: int, warm_up: int = 0) -> dict[str, Any]:
        """Ask `warm_up` times uncounted, then time queries, slices in turn.

        Args:
            indices: Of the slices.
            queries: Timed queries.
            warm_up: Uncounted queries before them.

        Returns:
            predict_ns, engine_ns, decode_ns, outputs_sha256: lists, one entry a query; before, after: ticks and
            condition.
        """
        return self._request({"do": "time", "slices": ranges(indices), "queries": queries, "warm_up": warm_up})

    def time_batched(self, indices: Sequence[int], calls: int, warm_up: int = 0) -> dict[str, Any]:
        """Call `warm_up` times uncounted, then time calls, each for as many slices as `open` named.

        Args:
            indices: Of the slices, in turn.
            calls: Timed calls.
            warm_up: Uncounted calls before them.

        Returns:
            call_ns, one a call; outputs_sha256, one a slice; before, after: ticks and condition.
        """
        return self._request({"do": "time_batched", "slices": ranges(indices), "calls": calls, "warm_up": warm_up})

    def score(self, indices: Sequence[int]) -> list[dict[str, Any]]:
        """Predict slices.

        Args:
            indices: Of the slices.

        Returns:
            For each slice mask (see `runtime.worker.unpack_mask`), class_probabilities, outputs_sha256, stage_ns.
        """
        return list(self._request({"do": "score", "slices": ranges(indices)})["slices"])

    def close(self) -> dict[str, Any]:
        """End the worker; returns its peak memory in MiB (peak_rss_mib)."""
        answer = self._request({"do": "close"})
        self.stop(patience_s=10.0)
        return answer

    def stop(self, patience_s: float = 0.0) -> None:
        """End the process: at once, or after `patience_s` seconds in which it may end by itself."""
        try:
            self._process.wait(patience_s)
        except TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for reader in self._readers:
            reader.join(timeout=5.0)
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            assert pipe is not None, "started with pipes"
            # An unsent line may still be in the buffer of a process that is gone.
            with suppress(BrokenPipeError):
                pipe.close()

    def _request(self, request: dict[str, Any]) -> dict[str, Any]:
        """Send a line and wait for the answer; raises the worker's own error, or WorkerFailed: it is gone or silent."""
        try:
            self._stdin.write(json.dumps(request, separators=(",", ":")).encode() + b"\n")
            self._stdin.flush()
            line = self._answers.get(timeout=self._patience_s)
        except (BrokenPipeError, ValueError) as problem:
            raise self._failed(request, "has ended") from problem
        except queue.Empty as problem:
            raise self._failed(request, f"did not answer within {self._patience_s:.0f} s") from problem
        try:
            answer = dict(json.loads(line))
        except (ValueError, TypeError) as problem:
            raise self._failed(request, "gave a malformed answer" if line else "has ended") from problem
        if "error" in answer:
            raise self._reported(answer)
        return answer

    def _failed(self, request: dict[str, Any], what: str) -> WorkerFailed:
        code = self._process.poll()
        if code is None and what == "has ended":
            # Its pipes are closed, so it is on its way out.
            self.stop(patience_s=5.0)
            code = self._process.returncode
        for reader in self._readers:
            reader.join(timeout=1.0 if code is not None else 0.0)
        lines = " | ".join(self._stderr_lines) or "it wrote nothing on stderr"
        if code == SSH_FAILED and self._where:
            what = "was lost with the connection"
        return WorkerFailed(
            f"the worker{self._where} {what} at `{request['do']}`{_exit_reason(code)}", f"its last lines: {lines}"
        )

    def _reported(self, answer: dict[str, Any]) -> EdgebrainError:
        """The worker's own error, with its host."""
        problem = _error(answer)
        return type(problem)(f"{problem.message}{self._where}", problem.hint)

    def _read_answers(self, pipe: IO[bytes]) -> None:
        for line in pipe:
            self._answers.put(line)
        # The end: whoever waits for an answer gets an empty one.
        self._answers.put(b"")

    def _read_stderr(self, pipe: IO[bytes]) -> None:
        for line in pipe:
            if text := line.decode(errors="replace").strip():
                self._stderr_lines.append(text)


def _exit_reason(code: int | None) -> str:
    """How a process ended, in brackets with a space before; empty while it runs, and where a connection ended it."""
    if code is None or code == SSH_FAILED:
        return ""
    signal = -code if code < 0 else code - SIGNALLED
    return f" (killed by signal {signal})" if signal > 0 else f" (exit code {code})"


def _error(answer: dict[str, Any]) -> EdgebrainError:
    """The worker's error, in its own class where that takes message and hint."""
    kind = getattr(errors, str(answer.get("kind")), EdgebrainError)
    if not (isinstance(kind, type) and issubclass(kind, EdgebrainError)) or issubclass(kind, errors.MissingExtra):
        kind = EdgebrainError
    return kind(str(answer["error"]), str(answer.get("hint", "")))
