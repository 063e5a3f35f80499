"""Reading written model files: operators, versions, types and multiply-adds, from the bytes and nothing else.

One module a format, each with `operators(...) -> list[Operator]`; the format's library is imported there.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from edgebrain.formats import Format
from edgebrain.graph.operator import Operator, int8_mac_share

__all__ = ["Operator", "int8_mac_share", "read_operators"]


def read_operators(row: Format, contents: Mapping[str, bytes]) -> list[Operator]:
    """The operators of a written model, in the order of computation.

    Args:
        row: The format, which has a graph reader.
        contents: File name -> content; every file of the format.

    Raises:
        BadBundle: The files are no such model, or are damaged.
        MissingExtra: The library that reads this format is not installed.
    """
    operators: list[Operator] = import_module(row.graph).operators(*(contents[name] for name in row.files))
    return operators
