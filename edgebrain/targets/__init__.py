"""Places where a worker can be started: this machine's devices by name, hosts by a target file or as `user@host`.

Another kind of place is one module with `open_target()` that returns a `Target`, and one line in `find_target`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from subprocess import Popen
from typing import Protocol, cast

from edgebrain.bundle import Bundle
from edgebrain.errors import BadTarget
from edgebrain.targets.file import find_file, from_login, known_files, load_file
from edgebrain.targets.slices import Slice

TARGETS: dict[str, str] = dict.fromkeys(("cpu", "gpu", "coral"), "edgebrain.targets.local")


class Target(Protocol):
    """A place where workers can be started."""

    @property
    def name(self) -> str:
        """How reports call it."""

    @property
    def here(self) -> bool:
        """Whether it is this very machine."""

    @property
    def threads(self) -> tuple[int, ...]:
        """Thread counts to measure at; empty where it names none."""

    @property
    def device(self) -> str:
        """What the engine runs on."""

    @property
    def emulated(self) -> bool:
        """Whether it is known not to be a real processor; a worker may find out by itself."""

    @property
    def where(self) -> str:
        """How errors of a worker there name it, with a space before; empty for this machine."""

    def engine(self, bundle: Bundle) -> str | None:
        """The engine that runs a bundle there; None where there is none."""

    def prepare(self, bundles: Sequence[Bundle], slices: Sequence[Slice]) -> None:
        """Have everything there that these bundles need, and the slices. Raises EdgebrainError: host and step."""

    def start(self, bundle: Bundle) -> Popen[bytes]:
        """A worker that can open a bundle which was prepared; its pipes."""

    def path(self, bundle: Bundle) -> str:
        """Where a bundle lies there."""

    @property
    def listing(self) -> str:
        """Where the list of the slices lies there, once prepared; see `Worker.hold`."""

    def close(self) -> None:
        """Clean up; nothing that was started is left."""


def find_target(name: str) -> Target:
    """The target of a name: built in, `deploy/NAME.toml`, a path to such a file, or `user@host`.

    Raises BadTarget: there is none, or two. TargetFailed: it is not there, and what is missing.
    """
    file = find_file(name)
    if name in TARGETS and file is not None:
        raise BadTarget(f"two targets are called {name}: the built-in one and {file}", f"rename {file}")
    if file is not None:
        return _opener("edgebrain.targets.ssh")(load_file(file))
    if "@" in name:
        return _opener("edgebrain.targets.ssh")(from_login(name))
    if name not in TARGETS:
        known = [*TARGETS, *known_files(), "user@host"]
        raise BadTarget(f"target {name!r} is not known", f"use --target {' or '.join(known)}")
    return _opener(TARGETS[name])(name)


def shown_name(name: str) -> str:
    """How a report calls the target of this name, whether or not it can be found."""
    return Path(name).stem if name.endswith(".toml") else name


def refuse_doubles(names: Sequence[str]) -> None:
    """Raises BadTarget: two of these names are one and the same in a report."""
    shown = [shown_name(name) for name in names]
    for name in shown:
        if shown.count(name) > 1:
            raise BadTarget(f"two targets are called {name}", "name each once, or rename a target file")


def _opener(module: str) -> Callable[[object], Target]:
    return cast(Callable[[object], Target], import_module(module).open_target)
