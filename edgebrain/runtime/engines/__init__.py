"""The protocol that each engine follows, and the way from a bundle to a loaded one.

An engine is one interpreter with one model loaded. `edgebrain.formats` holds the table of engines; a new one is one
module with `load(bundle, threads, device)` and one row there.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np

from edgebrain.bundle import Bundle
from edgebrain.errors import EdgebrainError, MissingExtra
from edgebrain.formats import EngineInfo, engines_for, find_engine, find_format
from edgebrain.libraries import importing
from edgebrain.runtime.engines.ports import for_slices, one_at_a_time
from edgebrain.runtime.stderr import suppressed_stderr


class Engine(Protocol):
    """One model file, loaded and ready to answer."""

    def run(self, tensor: np.ndarray) -> dict[str, np.ndarray]:
        """Compute one input tensor.

        Args:
            tensor: Shape and dtype as the manifest's input says.

        Returns:
            Output role (`mask`, `class`) -> raw array, shape and dtype as the manifest's output of that role says. The
            arrays stay as they are when the next tensor is computed.
        """

    def describe(self) -> dict[str, Any]:
        """What really runs: engine, version, device, precision, delegate or provider, threads."""


def installed(name: str) -> bool:
    """Whether an engine's library can be imported; looks for it without importing it."""
    engine = find_engine(name)
    return engine is not None and find_spec(engine.library) is not None


def runs_here(format_name: str, device: str | None = None) -> bool:
    """Whether an installed engine reads a format, on a device where one is named."""
    return any(installed(engine.name) for engine in engines_for(format_name, device))


def choose_engine(bundle: Bundle, name: str | None = None) -> str:
    """The engine for a bundle: the one asked for, else the first installed one that reads its format.

    Raises:
        EdgebrainError: There is no such engine, or it does not read this format.
        MissingExtra: Its library is not installed.
    """
    if name is not None:
        return _named_engine(bundle, name)
    first: EngineInfo | None = None
    for engine in engines_for(bundle.format):
        if installed(engine.name):
            return engine.name
        first = first or engine
    if first is None:
        raise EdgebrainError(
            f"{bundle.path}: no engine reads {bundle.format}", "install the package that brings its engine"
        )
    raise _not_installed(bundle, first)


def open_engine(
    bundle: Bundle, name: str | None = None, threads: int = 1, device: str | None = None, slices: int = 1
) -> Engine:
    """Import only the interpreter that this bundle needs, and load the verified bytes in it.

    Args:
        bundle: What to load.
        name: The engine; else as `choose_engine` says.
        threads: CPU threads of the interpreter.
        device: Where to compute; else the device that the format is compiled for, or the CPU.
        slices: How many slices one call answers.

    Raises:
        EdgebrainError: As `choose_engine`; the engine does not know the device, or cannot answer so many slices.
        MissingExtra: As `choose_engine`.
        BrokenLibrary: The interpreter is installed and cannot be loaded.
        BadBundle: The file is no model, or is not as its manifest says.
    """
    chosen = choose_engine(bundle, name)
    engine, row = find_engine(chosen), find_format(bundle.format)
    assert engine is not None and row is not None, "both were looked up to choose the engine"
    batch = bundle if slices == 1 else for_slices(bundle, slices)
    if slices > 1 and not engine.batched:
        raise one_at_a_time(batch, chosen, "it is asked for one slice a call")
    # Libraries built for another NumPy print a page of traceback before they raise.
    with importing(engine.package, engine.extra, f"{bundle.path} ({bundle.format})"), suppressed_stderr():
        module = import_module(engine.module)
    loaded: Engine = module.load(batch, threads, device or row.device)
    return loaded


def _named_engine(bundle: Bundle, name: str) -> str:
    engine = find_engine(name)
    if engine is None or bundle.format not in engine.formats:
        readers = " or ".join(one.name for one in engines_for(bundle.format))
        raise EdgebrainError(f"{bundle.path}: engine {name!r} does not read {bundle.format}", f"use --engine {readers}")
    if not installed(name):
        raise _not_installed(bundle, engine)
    return name


def _not_installed(bundle: Bundle, engine: EngineInfo) -> EdgebrainError:
    needed_for = f"{bundle.path} ({bundle.format})"
    if engine.extra:
        return MissingExtra(engine.package, engine.extra, needed_for)
    return EdgebrainError(f"{engine.package} is not installed; {needed_for} needs it", f"pip install {engine.package}")
