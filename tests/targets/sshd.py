"""A real OpenSSH server on a loopback port, with its own keys, and a target file that reaches it."""

from __future__ import annotations

import getpass
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.system_programs import found, needs

# In the environment of each command, so that what is left of one can be found.
MARK = "SSHD_PORT"
SSHD = found("sshd") or "/usr/sbin/sshd"


def skip_without_sshd() -> None:
    needs("sshd", "ssh")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def make_key(path: Path) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path


@dataclass
class Server:
    """A running server. folder: keys, configs, log. port: where it listens. home: HOME of its commands."""

    folder: Path
    port: int
    home: Path
    process: subprocess.Popen[bytes]

    def target(self, beside: Path, name: str = "board", port: int | None = None, **values: object) -> Path:
        """Write a target file that reaches the server, and a config for ssh beside it."""
        facts = {"host": "127.0.0.1", "user": getpass.getuser(), "port": port or self.port, "config": "ssh_config"}
        beside.mkdir(parents=True, exist_ok=True)
        (beside / "ssh_config").write_text(
            f"IdentityFile {self.folder}/key\nIdentitiesOnly yes\nUserKnownHostsFile {self.folder}/known_hosts\n"
            "GlobalKnownHostsFile /dev/null\nHostKeyAlias loopback\nStrictHostKeyChecking yes\n"
        )
        lines = [f"{key} = {_toml(value)}\n" for key, value in {**facts, **values}.items()]
        (beside / f"{name}.toml").write_text("".join(lines))
        return beside / f"{name}.toml"

    def children(self) -> list[int]:
        """Processes of the server's commands that still run, by what stands in their environment."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if f"\0{MARK}={self.port}\0".encode() in b"\0" + (process / "environ").read_bytes():
                    found.append(int(process.name))
        return found


@contextmanager
def server(folder: Path, home: Path, command: str = "", environment: Mapping[str, str] | None = None, **config: str
           ) -> Iterator[Server]:  # fmt: skip
    """Start sshd. command: a script that is run in place of each command, which is in $SSH_ORIGINAL_COMMAND.

    environment: of its commands. config: further lines of sshd_config.
    """
    skip_without_sshd()
    folder.mkdir(parents=True, exist_ok=True)
    home.mkdir(parents=True, exist_ok=True)
    make_key(folder / "key")
    host_key = make_key(folder / "host_key")
    (folder / "authorized_keys").write_bytes((folder / "key.pub").read_bytes())
    (folder / "known_hosts").write_text("loopback " + (folder / "host_key.pub").read_text())
    port = free_port()
    values = {**(environment or {}), "HOME": str(home), MARK: str(port)}
    lines = {
        "ListenAddress": "127.0.0.1",
        "Port": str(port),
        "HostKey": str(host_key),
        "PidFile": "none",
        "UsePAM": "no",
        "StrictModes": "no",
        "PasswordAuthentication": "no",
        "KbdInteractiveAuthentication": "no",
        "AuthorizedKeysFile": str(folder / "authorized_keys"),
        "SetEnv": " ".join(f'"{key}={value}"' for key, value in values.items()),
        **({"ForceCommand": command} if command else {}),
        **config,
    }
    (folder / "sshd_config").write_text("".join(f"{key} {value}\n" for key, value in lines.items()))
    Path("/run/sshd").mkdir(exist_ok=True)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([SSHD, "-D", "-e", "-f", folder / "sshd_config"], stderr=log)
    try:
        _wait_for(port, process)
        yield Server(folder, port, home, process)
    finally:
        process.terminate()
        process.wait()


@dataclass
class Proxy:
    """A way to a port that counts the bytes it carries, and can be cut."""

    port: int
    sent: int = 0
    _pairs: list[tuple[socket.socket, socket.socket]] = field(default_factory=list)

    def cut(self) -> None:
        """Drop every connection, as a pulled cable whose other end notices."""
        for pair in self._pairs:
            for one in pair:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
                one.close()
        self._pairs.clear()

    def carry(self, source: socket.socket, sink: socket.socket, counted: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self.sent += len(data) if counted else 0
                sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def accept(self, listener: socket.socket, port: int) -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(("127.0.0.1", port))
                self._pairs.append((near, far))
                for pair in ((near, far, True), (far, near, False)):
                    threading.Thread(target=self.carry, args=pair, daemon=True).start()


@contextmanager
def proxy(port: int) -> Iterator[Proxy]:
    """A loopback port in front of another."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        found = Proxy(int(listener.getsockname()[1]))
        threading.Thread(target=found.accept, args=(listener, port), daemon=True).start()
        yield found
        found.cut()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise AssertionError("sshd did not start")


def _toml(value: object) -> str:
    return (
        str(value).lower() if isinstance(value, bool) else str(value) if isinstance(value, int | list) else f'"{value}"'
    )
