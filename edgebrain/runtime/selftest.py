"""The self-test of a kit: does this machine give the same bytes, step by step, as the one that made the kit?

FOLDER/
  bundle/                  what answers
  reference/expected.json  who answered when the kit was made; of each slice and step the SHA-256
  reference/slices/NAME    the slices
  reference/steps/NAME.z   the arrays of all steps, one behind the other, compressed
"""

from __future__ import annotations

import platform
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from edgebrain.errors import BadBundle, BadImage, BadKit
from edgebrain.files import canonical_json, read_json, sha256_bytes
from edgebrain.runtime.opencv import cv2
from edgebrain.runtime.session import STEPS, Session, open_session

SCHEMA = 1
AGAIN = "install the kit again"


@dataclass(frozen=True)
class Difference:
    """A step of a slice that gave other bytes. what: how they differ, in words."""

    step: str
    slice: str
    what: str


@dataclass(frozen=True)
class SelfTestResult:
    """What a self-test found. differences: of each slice the first step that differs. made, here: who answered."""

    bundle: str
    slices: int
    differences: tuple[Difference, ...]
    made: Mapping[str, Any]
    here: Mapping[str, Any]

    @property
    def passed(self) -> bool:
        """Whether every step of every slice gave the bytes expected."""
        return not self.differences

    @property
    def first(self) -> Difference:
        """The earliest step that differs in any slice, in the first such slice."""
        return min(self.differences, key=lambda difference: STEPS.index(difference.step))

    def lines(self) -> list[str]:
        """The verdict in words, PASS or FAIL in the last line but for what differs between the machines."""
        told = f"{self.bundle} on {_who(self.here)}; the kit was made on {_who(self.made)}"
        if self.passed:
            return [told, f"PASS: {self.slices} slices, the same bytes in every step: {', '.join(STEPS)}"]
        first = self.first
        same = ", ".join(STEPS[: STEPS.index(first.step)]) or "none"
        return [
            told,
            f"the same bytes in every slice: {same}",
            f"FAIL at {first.step}: {first.slice}: {first.what}; "
            f"{len(self.differences)} of {self.slices} slices differ, here or later",
            *(f"  {key}: {self.made.get(key)} there, {self.here[key]} here" for key in self.here if self._other(key)),
        ]

    def _other(self, key: str) -> bool:
        return bool(self.made.get(key) != self.here[key])


def record(session: Session, slices: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files of `reference/`, for these pictures (name -> file) answered by this session.

    Returns:
        Path below `reference/` -> content.

    Raises:
        EdgebrainError: As `Session.predict_file`.
    """
    contents, expected = {}, []
    for name, data in slices.items():
        arrays, problem = _answer(session, data, name)
        if problem is not None:
            raise problem
        contents[f"slices/{name}"] = data
        contents[f"steps/{name}.z"] = zlib.compress(b"".join(array.tobytes() for array in arrays.values()), 9)
        entries = {step: _entry(array) for step, array in arrays.items()}
        expected.append({"name": name, "sha256": sha256_bytes(data), "steps": entries})
    table = {
        "schema": SCHEMA,
        "manifest_sha256": session.bundle.manifest_sha256,
        "made": facts(session),
        "slices": expected,
    }
    return {**contents, "expected.json": canonical_json(table).encode()}


def self_test(folder: Path) -> SelfTestResult:
    """Answer the slices of an unpacked or installed kit again, and hold each step against what is expected.

    Raises:
        BadKit: A part is missing, changed, or does not belong to the rest.
        BadBundle, MissingExtra: As `open_session`.
    """
    expected = read_json(folder / "reference" / "expected.json", BadKit, AGAIN)
    if not isinstance(expected, dict) or expected.get("schema") != SCHEMA:
        raise BadKit(f"{folder}: its reference is not of schema {SCHEMA}", AGAIN)
    session = open_session(folder / "bundle")
    if session.bundle.manifest_sha256 != expected["manifest_sha256"]:
        raise BadKit(f"{folder / 'bundle'}: is another bundle than the one the reference was made with", AGAIN)
    found = (_first_difference(session, folder / "reference", entry) for entry in expected["slices"])
    differences = tuple(difference for difference in found if difference is not None)
    return SelfTestResult(session.bundle.name, len(expected["slices"]), differences, expected["made"], facts(session))


def facts(session: Session) -> dict[str, Any]:
    """Who answers: what the engine says of itself, and the machine and libraries around it."""
    around = {"machine": platform.machine(), "numpy": np.__version__, "opencv": cv2.__version__}
    return {**session.describe(), **around}


def _who(known: Mapping[str, Any]) -> str:
    return f"{known['engine']} {known['version']} ({known['delegate'] or 'no delegate'}), {known['machine']}"


def _answer(session: Session, data: bytes, name: str) -> tuple[dict[str, np.ndarray], BadImage | BadBundle | None]:
    """The array of each step that was reached, and what stopped it, if anything did. Both sides of the test use it."""
    arrays: dict[str, np.ndarray] = {}

    def keep(step: str, array: np.ndarray) -> None:
        # A copy: an engine may use its memory again.
        arrays[step] = array.copy()

    try:
        session.predict_file(data, name, keep)
    except (BadImage, BadBundle) as problem:
        return arrays, problem
    return arrays, None


def _entry(array: np.ndarray) -> dict[str, Any]:
    return {"shape": list(array.shape), "dtype": array.dtype.name, "sha256": sha256_bytes(array.tobytes())}


def _first_difference(session: Session, reference: Path, entry: Mapping[str, Any]) -> Difference | None:
    """The first step of a slice whose bytes are not the expected ones; None where all are."""
    name = entry["name"]
    data = _read(reference / "slices" / name)
    if sha256_bytes(data) != entry["sha256"]:
        raise BadKit(f"{reference / 'slices' / name}: was changed", AGAIN)
    arrays, problem = _answer(session, data, name)
    for step in STEPS:
        if step not in arrays:
            return Difference(step, name, problem.message if problem else "did not happen")
        if _entry(arrays[step]) != entry["steps"][step]:
            return Difference(step, name, _how(_expected(reference, entry)[step], arrays[step]))
    return None


def _expected(reference: Path, entry: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The arrays of all steps as they were when the kit was made.

    Raises:
        BadKit: They were changed.
    """
    path = reference / "steps" / f"{entry['name']}.z"
    try:
        content = zlib.decompress(_read(path))
    except zlib.error as problem:
        raise BadKit(f"{path}: was changed", AGAIN) from problem
    arrays, start = {}, 0
    for step in STEPS:
        stated = entry["steps"][step]
        dtype = np.dtype(stated["dtype"])
        end = start + prod(stated["shape"]) * dtype.itemsize
        if sha256_bytes(content[start:end]) != stated["sha256"]:
            raise BadKit(f"{path}: was changed", AGAIN)
        arrays[step] = np.frombuffer(content[start:end], dtype).reshape(stated["shape"])
        start = end
    return arrays


def _how(expected: np.ndarray, got: np.ndarray) -> str:
    """How two arrays differ that do not hold the same bytes."""
    if expected.shape != got.shape or expected.dtype != got.dtype:
        return f"{got.shape} {got.dtype}, not {expected.shape} {expected.dtype}"
    # Bit by bit, so that identical NaNs are equal, and 0.0 and -0.0 differ.
    bits = np.dtype(f"u{expected.itemsize}")
    other = expected.view(bits) != got.view(bits)
    largest = np.abs(expected[other].astype(np.float64) - got[other].astype(np.float64)).max()
    return f"{np.count_nonzero(other)} of {other.size} values differ, the largest difference is {largest:g}"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as problem:
        raise BadKit(f"{path}: cannot be read ({problem.strerror})", AGAIN) from problem
