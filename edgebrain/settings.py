"""Settings and results as typed data: TOML and JSON into frozen dataclasses and back, checked in one place.

Recipes, suites, target files, manifests and reports are dataclasses; a field's type is its check:

    epochs: Annotated[int, Meta(ge=1, le=10_000)] = 50
    schedule: Literal["cosine", "constant"] = "cosine"

Wrong values are named by their path, unknown keys with the nearest spellings. msgspec does the checking and the
conversion; here are our messages.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from edgebrain.errors import EdgebrainError

__all__ = ["Meta", "as_builtins", "as_toml", "from_builtins", "near_spellings", "read_toml"]

T = TypeVar("T")


def read_toml(path: Path, error: type[EdgebrainError], hint: str = "") -> dict[str, Any]:
    """Read a TOML file as a plain dictionary.

    Args:
        path: The file.
        error: The class of the error that is raised.
        hint: What to do about a file that cannot be used.

    Raises:
        EdgebrainError: Of the class `error`: the file cannot be read, or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise error(f"{path}: cannot be read ({problem.strerror})", hint) from problem
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise error(f"{path}: is not TOML ({problem})", hint) from problem


def from_builtins(
    values: Any, kind: type[T], source: str, error: type[EdgebrainError], hint: str = "", extra: bool = False
) -> T:
    """Turn a parsed TOML or JSON document into a dataclass, checking every value against its field's type.

    Args:
        values: Dictionaries, lists, texts and numbers.
        kind: The dataclass. A key that is missing takes the field's default.
        source: The file or option that the values came from, as the message names it.
        error: The class of the error that is raised.
        hint: What to do about a wrong value.
        extra: Whether unknown keys are let through and dropped, as a report of a newer minor version needs it.

    Raises:
        EdgebrainError: Of the class `error`, naming source and key: an unknown key, with the nearest spellings; a
            missing key; a value of another type or outside its range.
    """
    if not extra:
        _refuse_unknown_keys(values, kind, source, error)
    try:
        return msgspec.convert(values, kind, dec_hook=_from_text)
    except msgspec.ValidationError as problem:
        message, key = _reason(str(problem))
        raise error(*_explained(values, kind, source, key, message, hint)) from None


def as_builtins(value: Any) -> Any:
    """A dataclass as dictionaries, lists, texts and numbers, ready for JSON; paths become text."""
    # Not msgspec.to_builtins: it leaves out fields that msgspec.convert has filled with their defaults.
    if is_dataclass(value):
        return {field.name: as_builtins(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {key: as_builtins(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_builtins(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def as_toml(value: Any) -> str:
    """A dataclass as TOML with every value written out; TOML has no null, so what is None is left out."""
    import tomli_w

    return tomli_w.dumps(_without_none(as_builtins(value)))


def near_spellings(name: str, known: Iterable[str]) -> str:
    """The hint for a name that is not known: `did you mean epochs?`, or every known name where none is near."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names)}"


def _refuse_unknown_keys(values: Any, kind: Any, source: str, error: type[EdgebrainError], prefix: str = "") -> None:
    if not (isinstance(values, Mapping) and is_dataclass(kind)):
        return
    types = get_type_hints(kind)
    known = [field.name for field in fields(kind)]
    for key, value in values.items():
        if key not in known:
            raise error(f"{source}: unknown key {prefix + str(key)!r}", near_spellings(str(key), known))
        _refuse_unknown_keys(value, types[key], source, error, f"{prefix}{key}.")


def _reason(problem: str) -> tuple[str, str]:
    """msgspec's message and the path in it: ("expected int, got str", "train.epochs"); the path may be empty."""
    message, _, path = problem.partition(" - at `$")
    return message[:1].lower() + message[1:].replace("`", ""), path.rstrip("`").lstrip(".")


def _explained(values: Any, kind: Any, source: str, key: str, message: str, hint: str) -> tuple[str, str]:
    """Message and hint for a wrong value."""
    if missing := re.fullmatch(r"object missing required field (\w+)", message):
        return f"{source}: key {'.'.join(filter(None, [key, missing[1]]))!r} is missing", hint
    value, wanted = _value_at(values, key), _type_at(kind, key)
    allowed, limits = _literals(wanted), _limits(wanted)
    if allowed and isinstance(value, str):
        return f"{source}: {key} = {value!r} is not known", near_spellings(value, allowed)
    if message.startswith("expected object") and key:
        return f"{source}: {key} must be a table", hint or f"write [{key}] and its keys below"
    if limits is not None and not message.endswith(f"got {type(value).__name__}"):
        return f"{source}: {key} = {value} is not between {limits.ge} and {limits.le}", hint
    if isinstance(value, (Mapping, list)) or not key:
        return f"{source}: {key + ': ' if key else ''}{message}", hint
    return f"{source}: {key} = {value!r}: {message}", hint


def _value_at(values: Any, key: str) -> Any:
    """The value at a path such as `results[2].threads`; the last one met where a part of it is `[...]`."""
    for name, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", key):
        try:
            values = values[name] if name else values[int(index)]
        except (KeyError, IndexError, TypeError):
            return values
    return values


def _type_at(kind: Any, key: str) -> Any:
    """The annotation of the field at a path; None where the path leaves the dataclasses."""
    for name in re.findall(r"[^.\[\]]+", key):
        kind = get_type_hints(kind, include_extras=True).get(name) if is_dataclass(kind) else None
    return kind


def _literals(kind: Any) -> tuple[str, ...]:
    """The words that a Literal allows, also one within a tuple, an Optional or an Annotated."""
    if get_origin(kind) is Literal:
        return tuple(value for value in get_args(kind) if isinstance(value, str))
    return tuple(word for part in get_args(kind) for word in _literals(part))


def _limits(kind: Any) -> Meta | None:
    """The range of a number that has both ends."""
    found = get_args(kind) if get_origin(kind) is Annotated else ()
    return next((one for one in found if isinstance(one, Meta) and None not in (one.ge, one.le)), None)


def _from_text(kind: Any, value: Any) -> Any:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise msgspec.ValidationError(f"Expected `{getattr(kind, '__name__', kind)}`, got `{type(value).__name__}`")


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return value
