"""Compiled Coral bundles on LiteRT with libedgetpu: nothing is measured unless the device really computes."""

from __future__ import annotations

import struct
from functools import partial
from typing import Any

from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, load_delegate

from edgebrain.bundle import Bundle
from edgebrain.errors import BadBundle, EdgebrainError
from edgebrain.formats import FORMATS
from edgebrain.runtime.engines.interpreter import TFLiteEngine, load_file
from edgebrain.runtime.engines.libedgetpu import Hold, library, loaded_from, try_out
from edgebrain.runtime.engines.ports import check_device, fell_back, no_model

(COMPILED,) = FORMATS["edgetpu"].files
# What the compiler puts in place of the operators that the device computes; no interpreter knows it by itself.
OPERATOR = "edgetpu-custom-op"


class EdgeTPUEngine(TFLiteEngine):
    """A compiled model in an interpreter, which holds the device as long as it lives."""

    def __init__(self, interpreter: Any, bundle: Bundle, facts: dict[str, Any], hold: Hold) -> None:
        super().__init__(interpreter, bundle, "ai-edge-litert", facts)
        self._hold = hold


def load(bundle: Bundle, threads: int, device: str) -> EdgeTPUEngine:
    """Load a bundle's compiled file. The driver is tried in a child process first, with this very file.

    Raises:
        BadBundle: The bytes are no model, or not the manifest's.
        EdgebrainError: A device other than coral, a file with nothing for the device, a driver that does not take what
            is there for it, and as `Hold` and `try_out`.
    """
    check_device("edgetpu", device)
    content = bundle.contents.get(COMPILED)
    if content is None:
        raise BadBundle(f"{bundle.path}: holds no {COMPILED}", "compile it again with `edgebrain deploy`")
    compiled, others = _operators(bundle, content)
    if not compiled:
        raise _not_there(bundle, f"its file has no operator {OPERATOR}: all {others} would run on the CPU")
    hold = Hold()
    try:
        loaded, version = _tried_and_loaded(bundle, content, threads)
        facts = {
            "engine": "edgetpu",
            "device": device,
            "delegate": "libedgetpu",
            "library": loaded_from(library()),
            "library_version": version or None,
            "operators_on_device": compiled,
            "operators_on_cpu": others,
            "threads": threads,
        }
        return EdgeTPUEngine(loaded, bundle, facts, hold)
    except EdgebrainError:
        # An error keeps this function's names alive, and with them the hold.
        hold.release()
        raise


def _tried_and_loaded(bundle: Bundle, content: bytes, threads: int) -> tuple[Any, str]:
    """The interpreter with the driver in it, and the driver's version, after a trial in a child process."""
    try:
        version = try_out(content)
    except EdgebrainError as problem:
        # So LiteRT calls an operator that is left over when the driver has taken its own.
        if f"custom op: {OPERATOR}" in problem.message:
            raise _not_there(bundle, f"{library()} did not take the operator {OPERATOR}") from problem
        raise EdgebrainError(f"{bundle.path}: {problem.message}", problem.hint) from problem
    try:
        delegate = load_delegate(library())
    except (OSError, ValueError) as problem:
        raise EdgebrainError(
            f"{bundle.path}: {library()} opened the Edge TPU in a trial and then no more",
            "another process has taken it",
        ) from problem
    interpreter = partial(Interpreter, experimental_delegates=[delegate])
    return load_file(interpreter, bundle, COMPILED, "edgetpu", threads), version


def _operators(bundle: Bundle, content: bytes) -> tuple[int, int]:
    """How many operators of a file are the compiler's, and how many are others.

    Raises:
        BadBundle: No model.
    """
    try:
        model = schema.ModelT.InitFromPackedBuf(content, 0)
        names = [model.operatorCodes[one.opcodeIndex].customCode for one in model.subgraphs[0].operators]
    except (struct.error, IndexError, TypeError, ValueError, AttributeError) as problem:
        raise no_model(bundle, "edgetpu", problem) from problem
    compiled = names.count(OPERATOR.encode())
    return compiled, len(names) - compiled


def _not_there(bundle: Bundle, what: str) -> EdgebrainError:
    return fell_back(bundle, "edgetpu", "coral", what, "compile it again with `edgebrain deploy --target coral`")
