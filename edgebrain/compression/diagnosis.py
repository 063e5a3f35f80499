"""What is wrong with a child that the gate refuses: it is asked again with one thing changed at a time.

Each repair undoes one mistake that people make when they export. The one that brings the parent's answers back names
the mistake; a child that is merely poor is brought back by none. A repair is one line in the table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any

import numpy as np

from edgebrain.bundle import Bundle, Port
from edgebrain.runtime.engines import Engine
from edgebrain.runtime.session import Session
from edgebrain.runtime.transform import to_real, to_stored

# Rows or columns by which masks are found shifted: paddings and strides that were cut at the wrong end.
SHIFTS = (1, 2, 4, 8)


def _moved(rows: int, columns: int) -> Callable[[np.ndarray, Port], np.ndarray]:
    return lambda raw, port: np.roll(to_real(raw, port), (rows, columns), axis=(1, 2))


@dataclass(frozen=True)
class Repair:
    """One change of what a child is given or of what it says.

    mistake: what was done wrong where this brings the parent's answers back. advice: the way out. given: grey values
    in [0, 1], (1, side, side, 1) float64, as the child would want them. said: its raw mask and that output's port ->
    real probabilities of the same shape. classes: places of the classes in its class output.
    """

    mistake: str
    advice: str
    given: Callable[[np.ndarray], np.ndarray] = lambda real: real
    said: Callable[[np.ndarray, Port], np.ndarray] = to_real
    classes: tuple[int, ...] = ()


SCALE = "feed the converter grey values divided by 255, once: the network has no scaling of its own"
REPAIRS = (
    Repair("the input is inverted: black and white are exchanged", "export without 255 - x", lambda x: 1.0 - x),
    Repair("the input scale is wrong: it wants 0 to 255, slices come as 0 to 1", SCALE, lambda x: x * 255.0),
    Repair("the input scale is wrong: grey values are divided by 255 twice", SCALE, lambda x: x / 255.0),
    Repair("the input scale is wrong: it wants -1 to 1, slices come as 0 to 1", SCALE, lambda x: 2.0 * x - 1.0),
    Repair(
        "the mask is inverted: lesion and background are exchanged",
        "export the probability of lesion, not of background",
        said=lambda raw, port: 1.0 - to_real(raw, port),
    ),
    Repair(
        "the mask is transposed: rows and columns are exchanged",
        "keep (1, height, width, 1) from slice to mask",
        said=lambda raw, port: to_real(raw, port).swapaxes(1, 2),
    ),
    Repair(
        "the mask is flipped left-right",
        "turn augmentation off in what is exported",
        said=lambda raw, port: to_real(raw, port)[:, :, ::-1],
    ),
    Repair(
        "the mask is flipped upside down",
        "export rows from top to bottom",
        said=lambda raw, port: to_real(raw, port)[:, ::-1],
    ),
    *(
        Repair(
            f"the mask is shifted by {step} {axis} of its own resolution",
            "compare paddings and strides of the export with the network's",
            said=_moved(*(sign * step if axis == name else 0 for name in ("rows", "columns"))),
        )
        for step in SHIFTS
        for axis in ("rows", "columns")
        for sign in (1, -1)
    ),
)


def repairs(classes: Sequence[str]) -> Iterator[Repair]:
    """Every repair of the table, then every other order of the classes."""
    yield from REPAIRS
    for order in permutations(range(len(classes))):
        if list(order) != sorted(order):
            # Place i of the parent's order is place order[i] of the child's.
            there = [classes[order.index(place)] for place in range(len(classes))]
            yield Repair(
                f"the classes are in another order: {', '.join(there)}",
                f"train and export them as {', '.join(classes)}",
                classes=order,
            )


def repaired(session: Session, repair: Repair) -> Session:
    """The same child, asked and understood as the repair says."""
    bundle = session.bundle
    outputs = dict(bundle.manifest["outputs"])
    outputs["mask"] = _plain(bundle.output("mask"))
    manifest = {**bundle.manifest, "input": _plain(bundle.input), "outputs": outputs}
    return Session(replace(bundle, manifest=manifest), _Repaired(session.engine, bundle, repair), session.load_ns)


class _Repaired:
    """An engine that takes grey values and gives mask probabilities as float32, with a repair on the way."""

    def __init__(self, engine: Engine, bundle: Bundle, repair: Repair) -> None:
        self._engine, self._repair = engine, repair
        self._input, self._mask = bundle.input, bundle.output("mask")

    def run(self, tensor: np.ndarray) -> dict[str, np.ndarray]:
        """As `Engine.run`."""
        raw = self._engine.run(to_stored(self._repair.given(tensor.astype(np.float64)), self._input))
        label = raw["class"][:, list(self._repair.classes)] if self._repair.classes else raw["class"]
        return {"mask": self._repair.said(raw["mask"], self._mask).astype(np.float32), "class": label}

    def describe(self) -> dict[str, Any]:
        """As `Engine.describe`."""
        return {**self._engine.describe(), "repair": self._repair.mistake}


def _plain(port: Port) -> dict[str, Any]:
    return replace(port, dtype="float32", scale=1.0, zero_point=0).as_json()
