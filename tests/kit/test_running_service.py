"""The watched folder as a service, under a running systemd: a Debian 12 booted in a container.

Slow; skipped by name where podman, runc or debootstrap are missing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.kit.podman import BASE, LIMITS, Engine

pytestmark = pytest.mark.slow
UNIT = "edgebrain-watch"
INBOX, OUT = "/var/lib/edgebrain/in", "/var/lib/edgebrain/out"


@dataclass(frozen=True)
class Debian:
    """A booted system; the kit lies in /kit."""

    engine: Engine
    name: str

    def sh(self, script: str) -> str:
        """What a script prints there, as root."""
        done = self.engine("exec", self.name, "sh", "-c", script)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def shown(self, key: str) -> str:
        """A property of the service."""
        return self.sh(f"systemctl show --property {key} --value {UNIT}")

    def names(self) -> list[str]:
        """The names in the table of answers."""
        table = self.sh(f"cat {OUT}/results.csv 2>/dev/null || true")
        return [line.split(",")[0] for line in table.splitlines()[1:]]

    def wait_for(self, names: list[str]) -> None:
        """Until each of these, and nothing else, is answered once."""
        end = time.monotonic() + 120
        while sorted(self.names()) != sorted(names):
            assert time.monotonic() < end, f"{self.names()} {self.sh(f'journalctl --no-pager -u {UNIT}')}"
            time.sleep(0.5)

    def put(self, source: str, name: str) -> None:
        """A slice lands in the folder, readable for the service's group, under its name at once."""
        self.sh(f"cp {source} {INBOX}/.part && chgrp edgebrain {INBOX}/.part && mv {INBOX}/.part {INBOX}/{name}")


@pytest.fixture(scope="module")
def debian(engine: Engine, container_kit: Path) -> Iterator[Debian]:
    """systemd as the first process, without a network."""
    boot = ["--systemd=always", "--privileged", "--network", "none", *LIMITS, "-v", f"{container_kit}:/kit:ro"]
    started = engine("run", "--detach", "--name", "booted", *boot, BASE, "/sbin/init")
    assert started.returncode == 0, started.stderr
    try:
        end = time.monotonic() + 60
        while engine("exec", "booted", "systemctl", "is-system-running").stdout.strip() not in ("running", "degraded"):
            if time.monotonic() > end:
                pytest.skip(f"systemd does not boot in a container here: {engine('logs', 'booted').stdout[-200:]}")
            time.sleep(0.5)
        yield Debian(engine, "booted")
    finally:
        engine("rm", "--force", "booted")


def test_the_service_starts_answers_comes_back_after_a_kill_and_goes_away(debian: Debian, container_kit: Path) -> None:
    assert f"watching: {INBOX}" in debian.sh("sh /kit/install.sh --service")
    scans = sorted(path.name for path in (container_kit / "reference/slices").iterdir())
    for scan in scans[:3]:
        debian.put(f"/kit/reference/slices/{scan}", scan)
    debian.wait_for(scans[:3])
    pid = debian.shown("MainPID")
    # It runs as promised: its user, no capability, no new rights, system calls filtered, no network but loopback.
    status = debian.sh(f"cat /proc/{pid}/status")
    facts = {key: value.split() for key, _, value in (line.partition(":") for line in status.splitlines())}
    assert debian.sh("id -u edgebrain") in facts["Uid"] and facts["Uid"][0] != "0"
    assert (facts["CapEff"], facts["NoNewPrivs"], facts["Seccomp"]) == (["0000000000000000"], ["1"], ["2"])
    devices = debian.sh(f"cat /proc/{pid}/net/dev").splitlines()[2:]
    assert [line.split(":")[0].strip() for line in devices] == ["lo"]
    assert debian.sh(f"readlink /proc/{pid}/ns/net") != debian.sh("readlink /proc/1/ns/net")
    # Power fails, as far as a process can tell; systemd starts it again, and nothing is answered twice.
    debian.sh(f"kill -KILL {pid}")
    debian.sh(f"echo no picture > {INBOX}/.part && mv {INBOX}/.part {INBOX}/broken.png")
    debian.put(f"/kit/reference/slices/{scans[3]}", scans[3])
    debian.wait_for([*scans[:4], "broken.png"])
    assert debian.shown("NRestarts") == "1" and debian.shown("ActiveState") == "active"
    assert debian.sh(f"ls {OUT}/rejected").splitlines()[0].startswith("broken.png")
    debian.sh(f"systemctl stop {UNIT}")
    assert debian.shown("Result") == "success"
    assert "kept: /var/lib/edgebrain" in debian.sh("sh /kit/install.sh --uninstall --service")
    assert debian.sh("ls -A /opt") == ""
    assert sorted(debian.names()) == sorted([*scans[:4], "broken.png"])
    assert UNIT not in debian.sh("systemctl list-unit-files --no-pager")
