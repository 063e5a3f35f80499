"""Targets, that is where workers can be started: this machine's devices, hosts by a target file, hosts as `user@host`.

A target is one module with a `TargetKind`, and one line in TARGETS; installed packages add theirs through the entry
point `edgebrain.targets`, see docs/how-to/extending.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from subprocess import Popen
from typing import Protocol

from edgebrain.bundle import Bundle
from edgebrain.errors import BadTarget
from edgebrain.plugins import find_plugins, load_plugin
from edgebrain.targets.file import find_file, from_login, known_files, load_file
from edgebrain.targets.slices import Slice

# Name -> module with `KIND`, a TargetKind.
TARGETS: dict[str, str] = dict.fromkeys(("cpu", "gpu", "coral"), "edgebrain.targets.local")
GROUP = "edgebrain.targets"


class Target(Protocol):
    """Somewhere workers can be started."""

    @property
    def name(self) -> str:
        """How reports call it."""

    @property
    def here(self) -> bool:
        """Whether it is this machine's processor, with whose scores those of other targets are compared."""

    @property
    def threads(self) -> tuple[int, ...]:
        """Thread counts to measure at; empty where it names none."""

    @property
    def device(self) -> str:
        """What the engine runs on: cpu, gpu or coral."""

    @property
    def emulated(self) -> bool:
        """Whether it is known not to be a real processor; a worker may find out by itself."""

    @property
    def where(self) -> str:
        """How errors of a worker there end, with a space before; empty for this machine."""

    def engine(self, bundle: Bundle) -> str | None:
        """The engine that runs a bundle there; None where there is none."""

    def prepare(self, bundles: Sequence[Bundle], slices: Sequence[Slice]) -> None:
        """Bring everything there that these bundles need, and the slices.

        Raises:
            EdgebrainError: It failed; the message names host and step.
        """

    def start(self, bundle: Bundle) -> Popen[bytes]:
        """Start a worker that can open a bundle which was prepared, with pipes for stdin, stdout and stderr."""

    def path(self, bundle: Bundle) -> str:
        """The path of a bundle there."""

    @property
    def listing(self) -> str:
        """The path of the list of slices there, once prepared; see `Worker.hold`."""

    def close(self) -> None:
        """Clean up; nothing that was started is left."""


@dataclass(frozen=True)
class TargetKind:
    """A row of the table of targets.

    Attributes:
        open: Called with the name that was asked for; gives the target, or raises TargetFailed with what is missing.
    """

    open: Callable[[str], Target]


def find_target(name: str) -> Target:
    """The target of a name: built in, of an installed package, `deploy/NAME.toml`, a path to such a file, `user@host`.

    Raises:
        BadTarget: There is none of that name, or two.
        TargetFailed: It is not there; the message names what is missing.
        BrokenPlugin: It is an installed package's, which cannot be loaded.
    """
    refuse_unknown([name])
    kinds = known_targets()
    if name in kinds:
        return kinds[name]().open(name)
    from edgebrain.targets.ssh import SshTarget

    file = find_file(name)
    return SshTarget(from_login(name) if file is None else load_file(file))


def refuse_unknown(names: Sequence[str]) -> None:
    """Check names before any work is done; nothing is connected or loaded.

    Raises:
        BadTarget: There is no target of a name, or there are two.
    """
    kinds = known_targets()
    for name in names:
        file = find_file(name)
        if name in kinds and file is not None:
            owner = "the built-in one" if name in TARGETS else "that of an installed package"
            raise BadTarget(f"two targets are called {name}: {owner} and {file}", f"rename {file}")
        if name not in kinds and file is None and "@" not in name:
            known = [*kinds, *known_files(), "user@host"]
            raise BadTarget(f"target {name!r} is not known", f"use --target {' or '.join(known)}")


def known_targets() -> Mapping[str, Callable[[], TargetKind]]:
    """Name -> function that loads its row: the built-in targets, then those of installed packages."""
    built_in = {name: _built_in(module) for name, module in TARGETS.items()}
    added = {name: partial(load_plugin, entry, TargetKind) for name, entry in find_plugins(GROUP).items()}
    return {**built_in, **{name: load for name, load in added.items() if name not in built_in}}


def shown_name(name: str) -> str:
    """How a report calls the target of this name, whether or not it can be found."""
    return Path(name).stem if name.endswith(".toml") else name


def refuse_doubles(names: Sequence[str]) -> None:
    """Check that each name occurs once in a report.

    Raises:
        BadTarget: Two of these names are one and the same there.
    """
    shown = [shown_name(name) for name in names]
    for name in shown:
        if shown.count(name) > 1:
            raise BadTarget(f"two targets are called {name}", "name each once, or rename a target file")


def _built_in(module: str) -> Callable[[], TargetKind]:
    def load() -> TargetKind:
        kind: TargetKind = import_module(module).KIND
        return kind

    return load
