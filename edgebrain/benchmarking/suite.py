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

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from edgebrain.benchmarking.report import SuiteRecord
from edgebrain.errors import BadSuite
from edgebrain.evaluation.verdict import Margins, Sampling
from edgebrain.files import sha256_json
from edgebrain.settings import Meta, from_builtins, read_toml

BUILT_IN = "built in"
START_FROM = "start from benchmarks/default.toml"
# A margin of half of all is no margin.
Margin = Annotated[float, Meta(ge=0.0, le=0.5)]


@dataclass(frozen=True)
class Suite:
    """Margins and how they are tested.

    Attributes:
        name: Name in reports.
        margins: The largest accepted losses, fractions of 1.
        sampling: How the intervals are made.
        source: The file or option that declared them, or BUILT_IN.
    """

    name: str = "default"
    margins: Margins = field(default_factory=Margins)
    sampling: Sampling = field(default_factory=Sampling)
    source: str = BUILT_IN

    @property
    def declared(self) -> bool:
        """Whether a person declared it."""
        return self.source != BUILT_IN

    def record(self) -> SuiteRecord:
        """The suite as the report holds it, with the SHA-256 of its values."""
        return SuiteRecord(self.name, self.margins, self.sampling, self.source, suite_sha256(self))

    def with_dice_margin(self, drop: float) -> Suite:
        """The same suite with another margin for the mean Dice, a fraction of 1, as `--max-dice-drop` asks.

        Raises:
            BadSuite: The margin is not between 0 and 1.
        """
        if not 0.0 <= drop <= 1.0:
            raise BadSuite(f"--max-dice-drop: margins.dice = {drop} is not between 0.0 and 1.0")
        return replace(self, margins=replace(self.margins, dice=drop), source=f"{self.source}, --max-dice-drop {drop}")


@dataclass(frozen=True)
class _MarginsTable:
    """The table [margins] of a file, with the ranges of its keys; a test compares the keys with those of `Margins`."""

    dice: Margin = Margins.dice
    accuracy: Margin = Margins.accuracy
    missed_tumours: Margin = Margins.missed_tumours
    stratum: Margin = Margins.stratum
    class_accuracy: Margin = Margins.class_accuracy
    healthy_marked: Margin = Margins.healthy_marked


@dataclass(frozen=True)
class _SamplingTable:
    """The table [sampling] of a file. Fewer resamples would leave the ends of the strata's intervals to a handful."""

    confidence: Annotated[float, Meta(ge=0.5, le=0.999)] = Sampling.confidence
    resamples: Annotated[int, Meta(ge=1000, le=1_000_000)] = Sampling.resamples
    seed: Annotated[int, Meta(ge=0, le=2**32)] = Sampling.seed


@dataclass(frozen=True)
class _SuiteFile:
    margins: _MarginsTable
    sampling: _SamplingTable = _SamplingTable()
    name: str = ""


def load_suite(path: Path) -> Suite:
    """Read a suite from a file.

    Raises:
        BadSuite: The file cannot be read, declares no margin, or has an unknown key or an impossible value.
    """
    values = read_toml(path, BadSuite, "pass a TOML file to --suite; " + START_FROM)
    if not values.get("margins") and set(values) <= {"name", "margins", "sampling"}:
        raise BadSuite(
            f"{path}: declares no margin", "write [margins] and, for example, dice = 0.005 (half a point of Dice)"
        )
    found = from_builtins(values, _SuiteFile, str(path), BadSuite)
    margins, sampling = Margins(**asdict(found.margins)), Sampling(**asdict(found.sampling))
    return Suite(found.name or path.stem, margins, sampling, str(path))


def suite_sha256(suite: Suite | SuiteRecord) -> str:
    """SHA-256 of the JSON of name, margins and sampling."""
    values: dict[str, Any] = {"margins": asdict(suite.margins), "sampling": asdict(suite.sampling)}
    return sha256_json({"name": suite.name, **values})
