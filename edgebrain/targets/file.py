"""A target as a file: `deploy/NAME.toml` in the working folder, or any path; and what `user@host` stands for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from edgebrain.errors import BadTarget
from edgebrain.settings import Meta, from_builtins, read_toml

FOLDER = Path("deploy")
EXAMPLE = "see deploy/pi.toml"
WORDS = ("host", "user", "engine", "device", "folder")
Port = Annotated[int, Meta(ge=1, le=65535)]
Threads = Annotated[int, Meta(ge=1, le=1024)]


@dataclass(frozen=True)
class TargetFile:
    """A host that is reached by ssh.

    Attributes:
        name: Its name in reports.
        host: Name or address.
        user: None where ssh's own config knows it.
        port: None where ssh's own config knows it.
        threads: Thread counts to measure at; empty for 1.
        engine: None for the first that reads a bundle.
        device: What the engine runs on.
        keep: Whether what was sent stays there for the next bench.
        folder: Where it is kept, on the host.
        config: Another config file for ssh, as `ssh -F`.
        emulated: The processor is emulated, so that no duration counts.
    """

    name: str
    host: str
    user: str | None = None
    port: Port | None = None
    threads: tuple[Threads, ...] = ()
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
    def title(self) -> str:
        """How errors call it: its name, and its host where that adds something."""
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
    """Read a target file.

    Raises:
        BadTarget: It is not TOML, does not name a host, or has an unknown key or a value of another type.
    """
    values = read_toml(path, BadTarget, EXAMPLE)
    if "name" in values:
        raise BadTarget(f"{path}: unknown key 'name'", "a target is called as its file: rename that")
    if isinstance(values.get("threads"), int):
        values["threads"] = [values["threads"]]
    if not values.get("host"):
        raise BadTarget(f"{path}: key 'host' is missing or empty", 'write host = "raspberrypi.local"')
    found = from_builtins({**values, "name": path.stem}, TargetFile, str(path), BadTarget, EXAMPLE)
    for key in WORDS:
        _check_word(path, key, getattr(found, key))
    if not found.threads and "threads" in values:
        raise BadTarget(f"{path}: threads = [] names no thread count", "write threads = 1, or [1, 4], or leave it out")
    # A config beside the file travels with it.
    return found if found.config is None else replace(found, config=path.parent / found.config.expanduser())


def from_login(login: str) -> TargetFile:
    """The target that `user@host` stands for.

    Raises:
        BadTarget: It is no login.
    """
    user, _, host = login.rpartition("@")
    if not user or not host or host.startswith("-") or any(letter.isspace() for letter in login):
        raise BadTarget(f"{login!r} is no user@host", "write --target pi@raspberrypi.local")
    return TargetFile(login, host, user)


def _check_word(path: Path, key: str, value: str | None) -> None:
    # ssh would take a host that begins with a hyphen for an option.
    if value is not None and (value.strip() != value or value[:1] in ("", "-")):
        raise BadTarget(f"{path}: {key} = {value!r} is not a word that begins with a letter or digit", EXAMPLE)
