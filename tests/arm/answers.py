"""Slices answered step by step, here and on a board, and in how many of them a step gave other bytes."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from shlex import join
from typing import IO, Any

from edgebrain.bundle import Bundle
from edgebrain.data.sample import Record
from edgebrain.runtime.session import STEPS
from edgebrain.targets import find_target
from edgebrain.targets.ssh import SshTarget
from tests.targets.sshd import Server

STAGES = Path(__file__).with_name("stages.py").read_text()
COLUMNS = ("network", "processor", "slices", "marked", "classes", *STEPS)


@dataclass(frozen=True)
class Compared:
    """What slices gave here and on a board.

    delegates: here and there. marked: slices whose mask there is not empty. classes: how many were given there.
    other_class: slices with another class there. differing: step -> slices with other bytes.
    """

    name: str
    cpu: str
    slices: int
    marked: int
    classes: int
    delegates: tuple[str, str]
    other_class: int
    differing: Mapping[str, int]

    @property
    def as_promised(self) -> bool:
        """Whether each step gave the same bytes, and every slice the same class."""
        return self.differing == dict.fromkeys(STEPS, 0) and not self.other_class

    @property
    def row(self) -> str:
        """A row of a Markdown table with COLUMNS."""
        counts = [self.differing[step] for step in STEPS]
        cells = (self.name, self.cpu, self.slices, self.marked, self.classes, *counts)
        return f"| {' | '.join(map(str, cells))} |"


def header() -> str:
    """The head of a Markdown table of `Compared.row`."""
    return f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|"


def compared(name: str, bundle: Bundle, slices: Mapping[str, bytes], board: Server, cpu: str, folder: Path) -> Compared:
    """Answer slices here and on a board with this processor. folder: for the target's file."""
    here, there = answers_here(bundle, slices), answers_there(board, folder, bundle, slices)
    pairs = [(one, there["slices"][name]) for name, one in here["slices"].items()]
    return Compared(
        name,
        cpu,
        len(pairs),
        marked=sum(two["marked"] > 0 for _, two in pairs),
        classes=len({two["label"] for _, two in pairs}),
        delegates=(here["delegate"], there["delegate"]),
        other_class=sum(one["label"] != two["label"] for one, two in pairs),
        differing=differing(here, there),
    )


def answers_here(bundle: Bundle, slices: Mapping[str, bytes]) -> dict[str, Any]:
    """What `stages.py` prints here."""
    command = [sys.executable, "-c", STAGES, bundle.path]
    return dict(json.loads(subprocess.run(command, input=_packed(slices), stdout=subprocess.PIPE, check=True).stdout))


def answers_there(board: Server, folder: Path, bundle: Bundle, slices: Mapping[str, bytes]) -> dict[str, Any]:
    """The same program, with the libraries and the bundle that a bench sends."""

    def write(stream: IO[bytes]) -> None:
        stream.write(_packed(slices))

    target = find_target(str(board.target(folder / "deploy", "arm")))
    assert isinstance(target, SshTarget)
    try:
        target.prepare([bundle], [])
        command = join([*target.python(bundle), "-c", STAGES, target.path(bundle)])
        return dict(json.loads(target.connection.run(command, "answering", write)))
    finally:
        target.close()


def differing(here: Mapping[str, Any], there: Mapping[str, Any]) -> dict[str, int]:
    """Step -> slices in which it gave other bytes."""
    assert here["slices"].keys() == there["slices"].keys()
    pairs = [(one["steps"], there["slices"][name]["steps"]) for name, one in here["slices"].items()]
    assert all(one.keys() == two.keys() for one, two in pairs)
    return {step: sum(one[step] != two[step] for one, two in pairs) for step in pairs[0][0]}


def pictures(records: Iterable[Record]) -> dict[str, bytes]:
    """Name -> picture file."""
    return {record.name: record.image_path.read_bytes() for record in records}


def _packed(slices: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in slices.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return stream.getvalue()
