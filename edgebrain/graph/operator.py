"""What one operator of a written model file computes on, the same for every format."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

EIGHT_BIT = ("int8", "uint8")


@dataclass(frozen=True)
class Operator:
    """One operator of a file.

    Attributes:
        name: Of its output tensor or node.
        kind: The format's own word, such as CONV_2D.
        version: The operator's version in the file, 0 where the format gives none.
        inputs: NumPy type names of the activations it computes on; the 8-bit type where the file says that they are
            quantized.
        weight: Type of the stored weights, empty for an operator without.
        output: Type of its first output.
        macs: Multiply-adds of one slice, 0 for what does not multiply.
        layer_kind: The kind of layer of a network's spec that it can be (conv, up or dense); empty for others.
    """

    name: str
    kind: str
    version: int
    inputs: tuple[str, ...]
    weight: str
    output: str
    macs: int
    layer_kind: str = ""

    @property
    def int8(self) -> bool:
        """True where activations and weights are 8-bit integers: integer weights alone save space, not time."""
        stored = (self.weight,) if self.weight else ()
        return bool(self.inputs) and all(dtype in EIGHT_BIT for dtype in (*self.inputs, *stored))


def int8_mac_share(operators: Iterable[Operator]) -> float:
    """Multiply-adds on 8-bit integers over all multiply-adds, in [0, 1]; 0 where nothing multiplies."""
    known = list(operators)
    total = sum(operator.macs for operator in known)
    return sum(operator.macs for operator in known if operator.int8) / total if total else 0.0
