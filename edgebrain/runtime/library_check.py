"""Check libraries in a child process: each is imported, and each engine computes one operator.

A library may be installed and still not load, print pages, hang, or end the process (an instruction that the processor
lacks). Only a process of its own can find that out and survive.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from importlib import import_module
from queue import Empty, SimpleQueue
from threading import Thread

import numpy as np

from edgebrain.formats import all_engines
from edgebrain.libraries import MODULES, cure, first_line
from edgebrain.progress import Progress, no_progress

# A cold import of a large framework takes a minute or two on a slow disk.
TIMEOUT_S = 180.0
SIGNALS = {4: "SIGILL: an illegal instruction", 6: "SIGABRT", 7: "SIGBUS", 9: "SIGKILL", 11: "SIGSEGV"}

# What each engine is asked to compute, float32 of shape (1, 4), and what it must answer.
RELU_INPUT, RELU_OUTPUT = [-2.0, -1.0, 1.0, 2.0], [0.0, 0.0, 1.0, 2.0]


def check_libraries(names: Sequence[str], progress: Progress = no_progress) -> dict[str, tuple[str, str] | None]:
    """Import modules and run engines in a child process; where it dies of one, another process goes on with the rest.

    Args:
        names: Modules to import, or `engine:NAME`.
        progress: Called with "trying what is installed", how many were tried and how many there are.

    Returns:
        Name -> None where it works; else the reason, in the loader's own words, and what usually helps.
    """
    found: dict[str, tuple[str, str] | None] = {}
    while waiting := [name for name in names if name not in found]:
        # Each process settles at least its first name, whatever happens to it, so that this ends.
        with _CheckProcess(waiting) as process:
            for name in waiting:
                answer = process.next_answer()
                if answer is None:
                    reason = process.why_it_ended()
                    found[name] = (reason, cure(reason, _package(name)))
                    break
                found[name] = tuple(answer) if answer else None  # type: ignore[assignment]
                progress("trying what is installed", len(found), len(names))
    return found


class _CheckProcess:
    """A process that checks one name after the other, and prints a JSON line for each."""

    def __init__(self, names: Sequence[str]) -> None:
        command = [sys.executable, "-m", "edgebrain.runtime.library_check", *names]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self._lines: SimpleQueue[bytes] = SimpleQueue()
        self._timed_out = False
        # A pipe has no timeout for reading a line; a queue has.
        self._reader = Thread(target=self._read_lines, daemon=True)
        self._reader.start()

    def __enter__(self) -> _CheckProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def next_answer(self) -> list[str] | None:
        """Empty where the next name works, reason and cure where it does not; None where the process ended or hangs."""
        try:
            line = self._lines.get(timeout=TIMEOUT_S)
        except Empty:
            self._timed_out = True
            return None
        return json.loads(line) if line else None

    def why_it_ended(self) -> str:
        """Why there was no answer: timeout, signal or exit code."""
        if self._timed_out:
            return f"it did not answer within {TIMEOUT_S:.0f} s"
        code = self._process.wait()
        return f"the process ended ({SIGNALS.get(-code, f'signal {-code}')})" if code < 0 else f"exit code {code}"

    def _read_lines(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(b"")


def _package(name: str) -> str:
    """What pip calls the library behind a name, as far as a hint needs it."""
    engines = all_engines()
    if name.startswith("engine:"):
        return engines[name.removeprefix("engine:")].package
    known = {engine.library: engine.package for engine in engines.values()}
    known |= {module: package for package, module in MODULES.items()}
    return known.get(name, name.split(".")[0].replace("_", "-"))


def _check(name: str) -> list[str]:
    """Reason and cure where a module does not load, or an engine computes something else; else empty."""
    try:
        if name.startswith("engine:"):
            module = import_module(all_engines()[name.removeprefix("engine:")].module)
            # An engine of another package need not have the function; that its module can be imported is something.
            if not hasattr(module, "relu"):
                return []
            answer = module.relu(np.array([RELU_INPUT], dtype=np.float32)).ravel().tolist()
            return [] if answer == RELU_OUTPUT else [f"relu({RELU_INPUT}) gave {answer}", "choose another engine"]
        import_module(name)
    except BaseException as problem:  # A library may even raise SystemExit.
        reason = first_line(str(problem)) or type(problem).__name__
        return [reason, cure(reason, _package(name))]
    return []


def main(names: Sequence[str]) -> None:
    """Check each name, and print an answer a line; what libraries print is discarded."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with os.fdopen(os.dup(1), "w") as answers:
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, 1)
        for name in names:
            print(json.dumps(_check(name)), file=answers, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
