"""Reading written model files: operators, versions, types and multiply-adds, from the bytes and nothing else.

One module a format, each with `operators(...) -> list[Operator]`; the format's library is imported there.
"""

from edgebrain.graph.operator import Operator, int8_mac_share

__all__ = ["Operator", "int8_mac_share"]
