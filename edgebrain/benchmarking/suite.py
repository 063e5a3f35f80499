"""The suite: what a bundle may lose, declared in a TOML file before anything is measured.

    name = "default"
    [margins]                 # fractions of 1: 0.005 is half a point
    dice = 0.005
    accuracy = 0.005
    missed_tumours = 0.005
    stratum = 0.02
    class_accuracy = 0.02
    healthy_marked = 0.02
    [sampling]                # how the intervals are made
    confidence = 0.95
    resamples = 10000
    seed = 0

A key that is left out has the value above; an unknown one is an error that lists near spellings. The report holds the
suite and its hash.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from edgebrain.errors import BadSuite
from edgebrain.evaluation.verdict import Margins, Sampling
from edgebrain.files import sha256_json

# A margin of half of all is no margin; less resamples leave the ends of the strata's intervals to a handful.
LARGEST_MARGIN = 0.5
FEWEST_RESAMPLES, MOST_RESAMPLES = 1000, 1_000_000

BUILT_IN = "built in"

Part = TypeVar("Part", Margins, Sampling)


@dataclass(frozen=True)
class Suite:
    """Margins and how they are tested. source: where they were declared."""

    name: str = "default"
    margins: Margins = field(default_factory=Margins)
    sampling: Sampling = field(default_factory=Sampling)
    source: str = BUILT_IN

    @property
    def declared(self) -> bool:
        """Whether a person declared it."""
        return self.source != BUILT_IN

    def as_json(self) -> dict[str, Any]:
        """The suite as the report holds it, with the SHA-256 of its values."""
        values = {"name": self.name, "margins": asdict(self.margins), "sampling": asdict(self.sampling)}
        return {**values, "source": self.source, "sha256": sha256_json(values)}

    def with_dice_margin(self, drop: float) -> Suite:
        """The same with another margin for the mean Dice, as `--max-dice-drop` asks. Raises BadSuite."""
        _within("--max-dice-drop", "margins.dice", drop, 0.0, 1.0)
        return replace(self, margins=replace(self.margins, dice=drop), source=f"{self.source}, --max-dice-drop {drop}")


def load_suite(path: Path) -> Suite:
    """The suite in a file. Raises BadSuite: unreadable, no margin declared, an unknown key or an impossible value."""
    values = _parse(path)
    _known(str(path), values, ("name", "margins", "sampling"))
    if not values.get("margins"):
        raise BadSuite(
            f"{path}: declares no margin", "write [margins] and, for example, dice = 0.005 (half a point of Dice)"
        )
    name = values.get("name", path.stem)
    if not isinstance(name, str):
        raise BadSuite(f"{path}: name = {name!r} must be text")
    margins = _part(path, "margins", Margins(), values["margins"])
    sampling = _part(path, "sampling", Sampling(), values.get("sampling", {}))
    _check(str(path), margins, sampling)
    return Suite(name, margins, sampling, str(path))


def _parse(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise BadSuite(f"{path}: cannot be read ({problem.strerror})", "pass a TOML file to --suite") from problem
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise BadSuite(f"{path}: is not TOML ({problem})", "start from benchmarks/default.toml") from problem


def _part(path: Path, place: str, default: Part, values: Any) -> Part:
    """The part with the values of its table; each is of the type of its default."""
    if not isinstance(values, dict):
        raise BadSuite(f"{path}: {place} must be a table", f"write [{place}] and its keys below")
    _known(str(path), values, [f.name for f in fields(default)], f"{place}.")
    for key, value in values.items():
        wanted = type(getattr(default, key))
        # bool is an int in Python, and `dice = true` must not mean a margin of 1.
        if isinstance(value, bool) or not isinstance(value, (int, wanted)):
            raise BadSuite(f"{path}: {place}.{key} = {value!r} must be of type {wanted.__name__}")
    return replace(default, **values)


def _check(source: str, margins: Margins, sampling: Sampling) -> None:
    for key, value in asdict(margins).items():
        _within(source, f"margins.{key}", value, 0.0, LARGEST_MARGIN)
    _within(source, "sampling.confidence", sampling.confidence, 0.5, 0.999)
    _within(source, "sampling.resamples", sampling.resamples, FEWEST_RESAMPLES, MOST_RESAMPLES)
    _within(source, "sampling.seed", sampling.seed, 0, 2**32)


def _known(source: str, values: Mapping[str, Any], known: Any, place: str = "") -> None:
    for key in values:
        if key not in known:
            near = difflib.get_close_matches(key, list(known), n=3, cutoff=0.5)
            hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(sorted(known))}"
            raise BadSuite(f"{source}: unknown key {place + key!r}", hint)


def _within(source: str, key: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise BadSuite(f"{source}: {key} = {value} is not between {low} and {high}")
