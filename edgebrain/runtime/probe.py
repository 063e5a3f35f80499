"""Try libraries out in a child process: each is imported, and each engine computes one operator.

A library may be installed and still not load, print pages, hang, or end the process (an instruction that the processor
lacks). So this is the only way to say that it works.
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
PATIENCE_S = 180.0
SIGNALS = {4: "SIGILL: an illegal instruction", 6: "SIGABRT", 7: "SIGBUS", 9: "SIGKILL", 11: "SIGSEGV"}

GIVEN, WANTED = [-2.0, -1.0, 1.0, 2.0], [0.0, 0.0, 1.0, 2.0]


def try_out(names: Sequence[str], progress: Progress = no_progress) -> dict[str, tuple[str, str] | None]:
    """Import modules and run engines, each in a child process that may die of it.

    Args:
        names: Modules to import, or `engine:NAME`.
        progress: Called with things tried and things in all.

    Returns:
        Name -> None where it works; else the loader's own words and what usually helps.
    """
    found: dict[str, tuple[str, str] | None] = {}
    while waiting := [name for name in names if name not in found]:
        # The first is tried whatever happens to the child, so that this ends.
        with _Child(waiting) as child:
            for name in waiting:
                answer = child.answer()
                if answer is None:
                    reason = child.reason()
                    found[name] = (reason, cure(reason, _package(name)))
                    break
                found[name] = tuple(answer) if answer else None  # type: ignore[assignment]
                progress("trying what is installed", len(found), len(names))
    return found


class _Child:
    """A process that tries things out, one after the other, and prints a JSON line for each."""

    def __init__(self, names: Sequence[str]) -> None:
        command = [sys.executable, "-m", "edgebrain.runtime.probe", *names]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self._lines: SimpleQueue[bytes] = SimpleQueue()
        self._late = False
        self._reader = Thread(target=self._listen, daemon=True)
        self._reader.start()

    def __enter__(self) -> _Child:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def answer(self) -> list[str] | None:
        """The next answer: empty where it worked, reason and cure where it did not; None where the child ended."""
        try:
            line = self._lines.get(timeout=PATIENCE_S)
        except Empty:
            self._late = True
            return None
        return json.loads(line) if line else None

    def reason(self) -> str:
        """Why there was no answer."""
        if self._late:
            return f"it did not answer within {PATIENCE_S:.0f} s"
        code = self._process.wait()
        return f"the process ended ({SIGNALS.get(-code, f'signal {-code}')})" if code < 0 else f"exit code {code}"

    def _listen(self) -> None:
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


def _try(name: str) -> list[str]:
    """Reason and cure where a module does not load, or an engine computes something else; else nothing."""
    try:
        if name.startswith("engine:"):
            module = import_module(all_engines()[name.removeprefix("engine:")].module)
            # An engine of another package need not have the function; that its module can be imported is something.
            if not hasattr(module, "relu"):
                return []
            answer = module.relu(np.array([GIVEN], dtype=np.float32)).ravel().tolist()
            return [] if answer == WANTED else [f"relu({GIVEN}) gave {answer}", "choose another engine"]
        import_module(name)
    except BaseException as problem:  # a library may even raise SystemExit
        reason = first_line(str(problem)) or type(problem).__name__
        return [reason, cure(reason, _package(name))]
    return []


def main(names: Sequence[str]) -> None:
    """Try out what is named, and print an answer a line; what libraries print goes nowhere."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with os.fdopen(os.dup(1), "w") as answers:
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, 1)
        for name in names:
            print(json.dumps(_try(name)), file=answers, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
