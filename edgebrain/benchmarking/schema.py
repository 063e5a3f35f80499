"""Documentation and JSON schema of a report, both made from the types and descriptions of its dataclasses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from edgebrain.settings import Meta

Sections = Mapping[str, type]
TYPE_NAMES = {int: "integer", float: "number", str: "string", bool: "boolean", NoneType: "null"}


def as_markdown(sections: Sections, inherited: Iterable[type] = ()) -> str:
    """A table for each dataclass: name, type and meaning of every field.

    Args:
        sections: Title -> dataclass.
        inherited: Dataclasses that are documented elsewhere; their fields are left out.
    """
    known = {field.name for kind in inherited for field in fields(kind)}
    parts = []
    for title, kind in sections.items():
        rows = [f"| `{name}` | {text} | {meaning} |" for name, text, meaning in _fields(kind) if name not in known]
        parts.append("\n".join([f"## {title}", "", "| field | type | meaning |", "|---|---|---|", *rows, ""]))
    return "\n".join(parts)


def json_schema(kind: type) -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of a dataclass, with the descriptions of its fields."""
    return msgspec.json.schema(kind)


def _fields(kind: type) -> Iterable[tuple[str, str, str]]:
    types = get_type_hints(kind, include_extras=True)
    for field in fields(kind):
        yield field.name, type_name(types[field.name]), _meaning(types[field.name])


def _meaning(kind: Any) -> str:
    found = [one.description for one in get_args(kind) if isinstance(one, Meta)]
    # A field without a description would leave a hole in the document.
    assert found and found[0], f"{kind} has no description"
    return str(found[0])


def type_name(kind: Any) -> str:
    """What JSON calls a type: `number or null`."""
    origin = get_origin(kind)
    if origin is Annotated:
        return type_name(get_args(kind)[0])
    if origin in (Union, UnionType):
        return " or ".join(type_name(one) for one in get_args(kind))
    if origin is Literal:
        return "string"
    if origin in (tuple, list):
        return "list"
    if origin is dict or is_dataclass(kind):
        return "object"
    return TYPE_NAMES[kind]
