"""One ssh connection to a host, shared by all commands: the system's `ssh` with the person's keys, config and hosts.

ssh asks no questions (BatchMode): what would need an answer is an error with the command that settles it by hand.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from edgebrain.errors import TargetFailed
from edgebrain.targets.file import TargetFile

CONNECT_S, ALIVE_S, ALIVE_COUNT = 15, 10, 3
# ssh's own exit code where it, not the command, failed.
SSH_FAILED = 255


class SshConnection:
    """A connection; `sent` counts the bytes given to commands and as their input. Close it in the end."""

    def __init__(self, file: TargetFile) -> None:
        self._file = file
        self.sent = 0
        # Socket paths are limited to about 100 characters, so that a long TMPDIR would break them.
        self._folder = Path(tempfile.mkdtemp(prefix="edgebrain-", dir="/tmp"))
        self._socket = self._folder / "s"
        self._master: subprocess.Popen[bytes] | None = None

    def connect(self) -> None:
        """Open the connection.

        Raises:
            TargetFailed: A step failed; the message names it, the hint what to do about it.
        """
        options = ["-N", "-o", "ControlMaster=yes", "-o", "ControlPersist=no", "-o", f"ConnectTimeout={CONNECT_S}"]
        options += ["-o", f"ServerAliveInterval={ALIVE_S}", "-o", f"ServerAliveCountMax={ALIVE_COUNT}"]
        with tempfile.TemporaryFile() as output:
            try:
                self._master = subprocess.Popen(
                    self._ssh(options), stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
                )
            except FileNotFoundError as problem:
                raise TargetFailed(
                    f"{self._file.title}: there is no ssh on this machine", "apt-get install openssh-client"
                ) from problem
            # The server may think about a login for longer than it took to reach it.
            end = time.monotonic() + 4 * CONNECT_S
            while not self._socket.exists():
                if self._master.poll() is not None or time.monotonic() > end:
                    output.seek(0)
                    raise refusal(self._file, output.read().decode(errors="replace"))
                time.sleep(0.02)

    def run(self, command: str, step: str, write: Callable[[IO[bytes]], None] = lambda stream: None) -> str:
        """Run a command there and give its output.

        Args:
            command: For the login shell there.
            step: What the command is for, as errors name it.
            write: Called with the command's input stream.

        Raises:
            TargetFailed: The connection was lost, or the command failed; the message names the step.
        """
        process = self.start(command)
        assert process.stdin is not None, "started with pipes"
        # A command that has ended with an error no longer reads; that error is reported below.
        with suppress(BrokenPipeError):
            counting = _Counting(process.stdin)
            write(counting)  # type: ignore[arg-type]
            process.stdin.flush()
            self.sent += counting.bytes
        output, stderr = process.communicate()
        if process.returncode == SSH_FAILED:
            raise self._lost(step, stderr.decode(errors="replace"))
        if process.returncode != 0:
            reason = _last_line(stderr.decode(errors="replace"))
            raise TargetFailed(
                f"{self._file.title}: {step}: exit code {process.returncode} ({reason})",
                f"try by hand: {self._file.by_hand}",
            )
        return output.decode(errors="replace")

    def start(self, command: str) -> subprocess.Popen[bytes]:
        """A command there as a process here, with pipes. It has no other way than the open connection."""
        self.sent += len(command.encode())
        pipe = subprocess.PIPE
        # Where the shared connection is gone, ssh would open a new one by itself: let that fail.
        arguments = self._ssh(["-o", "ControlMaster=no", "-o", "ProxyCommand=false"], command)
        return subprocess.Popen(arguments, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True)

    def close(self) -> None:
        """End the connection and whatever runs over it."""
        if self._master is not None and self._master.poll() is None:
            self._master.terminate()
            self._master.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _ssh(self, options: Sequence[str], *command: str) -> list[str]:
        file = self._file
        config = ["-F", os.fspath(file.config)] if file.config else []
        port = ["-p", str(file.port)] if file.port else []
        shared = ["-T", "-S", os.fspath(self._socket)]
        # Compressed, because most of what a later bench sends is repetitive text.
        for option in ("BatchMode=yes", "ClearAllForwardings=yes", "Compression=yes"):
            shared += ["-o", option]
        return ["ssh", *config, *port, *shared, *options, "--", file.login, *command]

    def _lost(self, step: str, stderr: str) -> TargetFailed:
        return TargetFailed(
            f"{self._file.title}: the connection was lost at: {step} ({_last_line(stderr)})",
            f"see that the machine is up ({self._file.by_hand}), then measure again",
        )


class _Counting:
    """A stream that counts what is written to it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.bytes = 0

    def write(self, data: bytes) -> int:
        self.bytes += len(data)
        return self._stream.write(data)


def refusal(file: TargetFile, stderr: str) -> TargetFailed:
    """Why ssh did not connect, and the way out, from what it wrote on stderr.

    Its exit code is the same for every reason, so its English sentences are all that there is to go by.
    """
    by_hand = file.by_hand
    known = (
        ("REMOTE HOST IDENTIFICATION HAS CHANGED", "its host key is not the one on record",
         f"if the system there was set up anew: ssh-keygen -R {file.known_as}, then {by_hand}"),
        ("Host key verification failed", "its host key is not known here",
         f"log in once, compare the fingerprint and answer yes: {by_hand}"),
        ("Permission denied (publickey)", "it does not take your key", f"ssh-copy-id {file.copy_id}"),
        ("Permission denied", "it asks for a password, and none can be typed here", f"ssh-copy-id {file.copy_id}"),
        ("Too many authentication failures", "it was offered too many keys",
         "name one in ~/.ssh/config: IdentityFile and IdentitiesOnly yes"),
        ("Could not resolve hostname", "no machine of that name is known", "check the name, or use its address"),
        ("No route to host", "there is no route to it", "check cable, Wi-Fi and address"),
        ("Network is unreachable", "there is no route to it", "check cable, Wi-Fi and address"),
        ("Connection refused", "no ssh server answers there", "on a Raspberry Pi: sudo systemctl enable --now ssh"),
        ("timed out", "it does not answer", "check that it is on, and its address"),
    )  # fmt: skip
    for sentence, what, way_out in known:
        if sentence.lower() in stderr.lower():
            return TargetFailed(f"{file.title}: connecting: {what}", way_out)
    return TargetFailed(f"{file.title}: connecting failed ({_last_line(stderr)})", f"try by hand: {by_hand}")


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:200] if lines else "it gave no reason"
