"""What is wrong with a model that the gate refuses: it is run again with one thing changed at a time.

Each repair undoes one mistake that people make when they export. The repair that brings the parent's answers back names
the mistake; a model that is merely poor is brought back by none. A repair is one line in the table.
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
from edgebrain.runtime.transform import dequantize, quantize

# Rows or columns by which masks are found shifted: paddings and strides that were cropped at the wrong end.
SHIFTS = (1, 2, 4, 8)


def _shifted(rows: int, columns: int) -> Callable[[np.ndarray, Port], np.ndarray]:
    return lambda raw, port: np.roll(dequantize(raw, port), (rows, columns), axis=(1, 2))


@dataclass(frozen=True)
class Repair:
    """One change of a model's input or outputs.

    Attributes:
        mistake: What was done wrong where this repair brings the parent's answers back.
        advice: The way out.
        input: Grey values in [0, 1], (1, side, side, 1) float64 -> the same shape as the model would want them.
        mask: Raw mask and that output's port -> real probabilities of the same shape.
        classes: Indices into the class output, in the parent's order of classes; empty to leave it.
    """

    mistake: str
    advice: str
    input: Callable[[np.ndarray], np.ndarray] = lambda real: real
    mask: Callable[[np.ndarray, Port], np.ndarray] = dequantize
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
        mask=lambda raw, port: 1.0 - dequantize(raw, port),
    ),
    Repair(
        "the mask is transposed: rows and columns are exchanged",
        "keep (1, height, width, 1) from slice to mask",
        mask=lambda raw, port: dequantize(raw, port).swapaxes(1, 2),
    ),
    Repair(
        "the mask is flipped left-right",
        "turn augmentation off in what is exported",
        mask=lambda raw, port: dequantize(raw, port)[:, :, ::-1],
    ),
    Repair(
        "the mask is flipped upside down",
        "export rows from top to bottom",
        mask=lambda raw, port: dequantize(raw, port)[:, ::-1],
    ),
    *(
        Repair(
            f"the mask is shifted by {step} {axis} of its own resolution",
            "compare paddings and strides of the export with the network's",
            mask=_shifted(*(sign * step if axis == name else 0 for name in ("rows", "columns"))),
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
            # Class i of the parent is output order[i] of the child.
            exported = [classes[order.index(index)] for index in range(len(classes))]
            yield Repair(
                f"the classes are in another order: {', '.join(exported)}",
                f"train and export them as {', '.join(classes)}",
                classes=order,
            )


def repaired(session: Session, repair: Repair) -> Session:
    """The same model with a repair applied to its input and outputs."""
    bundle = session.bundle
    outputs = dict(bundle.manifest["outputs"])
    outputs["mask"] = _as_float(bundle.output("mask"))
    manifest = {**bundle.manifest, "input": _as_float(bundle.input), "outputs": outputs}
    return Session(replace(bundle, manifest=manifest), _Repaired(session.engine, bundle, repair), session.load_ns)


class _Repaired:
    """An engine that takes grey values and gives mask probabilities as float32, and applies a repair in between."""

    def __init__(self, engine: Engine, bundle: Bundle, repair: Repair) -> None:
        self._engine, self._repair = engine, repair
        self._input, self._mask = bundle.input, bundle.output("mask")

    def run(self, tensor: np.ndarray) -> dict[str, np.ndarray]:
        """As `Engine.run`, on (1, side, side, 1) float32 in [0, 1]."""
        raw = self._engine.run(quantize(self._repair.input(tensor.astype(np.float64)), self._input))
        label = raw["class"][:, list(self._repair.classes)] if self._repair.classes else raw["class"]
        return {"mask": self._repair.mask(raw["mask"], self._mask).astype(np.float32), "class": label}

    def describe(self) -> dict[str, Any]:
        """As `Engine.describe`."""
        return {**self._engine.describe(), "repair": self._repair.mistake}


def _as_float(port: Port) -> dict[str, Any]:
    return replace(port, dtype="float32", scale=1.0, zero_point=0).as_json()
