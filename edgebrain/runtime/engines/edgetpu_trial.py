"""Run by its path, in a process of its own that may die: an Edge TPU's driver used as the engine would use it.

Arguments: the library. Standard input: a compiled model, or nothing. A line is printed for each step before it begins,
so that who started this knows at which one it died; the last line is what went wrong, or what the library is.
Imports nothing of ours: what is tried is the driver and LiteRT.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable

STEPS = ("importing LiteRT", "loading the library", "opening the device", "loading the model", "the first answer")


def try_out(library: str, model: bytes, tell: Callable[[str], None]) -> str:
    """Load a library, open its device, and answer once. Returns the version that the library gives, or nothing.

    Raises:
        EdgebrainError: What ctypes and LiteRT raise: OSError, AttributeError: no such library, or none of a delegate.
            ValueError: it gives no delegate. RuntimeError: the model is not run.
    """
    tell(STEPS[0])
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter, load_delegate

    tell(STEPS[1])
    version = _version(ctypes.CDLL(library))
    tell(STEPS[2])
    delegate = load_delegate(library)
    if model:
        tell(STEPS[3])
        interpreter = Interpreter(model_content=model, experimental_delegates=[delegate], num_threads=1)
        interpreter.allocate_tensors()
        tell(STEPS[4])
        given = interpreter.get_input_details()[0]
        interpreter.set_tensor(given["index"], np.zeros(given["shape"], given["dtype"]))
        interpreter.invoke()
    return version


def _version(loaded: ctypes.CDLL) -> str:
    """What libedgetpu tells of itself; nothing where the library has no such function."""
    if not hasattr(loaded, "edgetpu_version"):
        return ""
    loaded.edgetpu_version.restype = ctypes.c_char_p
    return (loaded.edgetpu_version() or b"").decode(errors="replace")


def main() -> None:
    """Exit code 0: it works. 1: an error, in the last line as its class and its words."""
    try:
        _tell(try_out(sys.argv[1], sys.stdin.buffer.read(), _tell))
    except (OSError, ImportError, AttributeError, ValueError, RuntimeError) as problem:
        _tell(f"{type(problem).__name__} {problem}")
        sys.exit(1)


def _tell(text: str) -> None:
    # Libraries may print to descriptor 1 too; what counts begins with a mark.
    print(f"\n> {' '.join(text.split())}", flush=True)


if __name__ == "__main__":
    main()
