"""A target as a file: `deploy/NAME.toml` in the working folder, or any path; and what `user@host` stands for."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from edgebrain.errors import BadTarget

FOLDER = Path("deploy")


@dataclass(frozen=True)
class TargetFile:
    """A host that is reached by ssh.

    user, port: None where ssh's own config knows them. threads: thread counts to measure at. engine: None for the first
    that reads a bundle. keep: whether what was sent stays there for the next bench. folder: where it lies, on the host.
    config: another config file for ssh, as `ssh -F`. emulated: the processor is emulated, so that no duration counts.
    """

    name: str
    host: str
    user: str | None = None
    port: int | None = None
    threads: tuple[int, ...] = ()
    engine: str | None = None
    device: str = "cpu"
    keep: bool = True
    folder: str = "~/.cache/edgebrain"
    config: Path | None = None
    emulated: bool = False

    @property
    def login(self) -> str:
        """`user@host`, or the host alone."""
        return f"{self.user}@{self.host}" if self.user else self.host

    @property
    def who(self) -> str:
        """How errors call it: its name, and its host where that says more."""
        return self.name if self.name == self.login else f"{self.name} ({self.login})"

    @property
    def by_hand(self) -> str:
        """The line that logs in by hand."""
        return " ".join(["ssh", *self._options("-p"), self.login])

    @property
    def copy_id(self) -> str:
        """What follows `ssh-copy-id`."""
        return " ".join([*self._options("-p"), self.login])

    @property
    def known_as(self) -> str:
        """Its name in known_hosts."""
        return f"'[{self.host}]:{self.port}'" if self.port not in (None, 22) else self.host

    def _options(self, port: str) -> list[str]:
        return [*(["-F", str(self.config)] if self.config else []), *([port, str(self.port)] if self.port else [])]


def find_file(name: str) -> Path | None:
    """The file of a target: a path that ends in .toml, or `deploy/NAME.toml`; None where there is none."""
    if name.endswith(".toml"):
        if not Path(name).is_file():
            raise BadTarget(f"{name}: no such target file", "copy deploy/pi.toml and edit it")
        return Path(name)
    path = FOLDER / f"{name}.toml"
    return path if path.is_file() else None


def known_files() -> list[str]:
    """Names of the targets in `deploy/`."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load_file(path: Path) -> TargetFile:
    """Read a target file. Raises BadTarget: not TOML, an unknown key, or a value of another type."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise BadTarget(f"{path}: cannot be read as TOML ({problem})", "see deploy/pi.toml") from problem
    wanted = {field.name for field in fields(TargetFile)} - {"name"}
    for key in values:
        if key not in wanted:
            raise BadTarget(f"{path}: {key!r} is no key of a target", f"use {', '.join(sorted(wanted))}")
    if not values.get("host"):
        raise BadTarget(f"{path}: does not say which host", 'write host = "raspberrypi.local"')
    checked = {key: _checked(path, key, value) for key, value in values.items()}
    return TargetFile(name=path.stem, **checked)


def from_login(login: str) -> TargetFile:
    """The target that `user@host` stands for."""
    user, _, host = login.rpartition("@")
    if not user or not host or host.startswith("-") or any(letter.isspace() for letter in login):
        raise BadTarget(f"{login!r} is no user@host", "write --target pi@raspberrypi.local")
    return TargetFile(login, host, user)


def _checked(path: Path, key: str, value: Any) -> Any:
    result = value
    if key == "threads":
        counts = [value] if isinstance(value, int) else value
        good = isinstance(counts, list) and bool(counts) and all(map(_is_count, counts))
        wanted, result = "a number of threads, or a list of them", tuple(counts) if good else ()
    elif key in ("keep", "emulated"):
        good, wanted = isinstance(value, bool), "true or false"
    elif key == "port":
        good, wanted = _is_count(value) and value < 65536, "a port number"
    else:
        # ssh would take a host that begins with a hyphen for an option.
        good, wanted = isinstance(value, str) and value.strip() == value != "" and value[0] != "-", "a word"
    if not good:
        raise BadTarget(f"{path}: {key} is {value!r}, not {wanted}", "see deploy/pi.toml")
    # A config beside the file travels with it.
    return path.parent / Path(value).expanduser() if key == "config" else result


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
