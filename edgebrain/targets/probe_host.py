"""What a host is, read before anything is sent: processor, word size, C library, Python, room; does it fit?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from shlex import quote

from edgebrain.errors import TargetFailed
from edgebrain.kit.wheels import Platform
from edgebrain.targets.file import TargetFile
from edgebrain.targets.ssh_connection import SshConnection

OLDEST = (3, 11)
MIB = 2**20
# Plain sh, because Python may be missing; key=value lines. The first Python that is new enough is taken.
SCRIPT = """
echo machine=$(uname -m)
for p in python3 python3.13 python3.12 python3.11; do
command -v $p >/dev/null 2>&1 || continue
echo seen=$($p -c 'import sys; print("%d.%d" % sys.version_info[:2])')
$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' || continue
echo command=$p
$p -I - FOLDER <<'END'
try:
    import base64, hashlib, json, os, platform, shutil, struct, sys, tarfile, zipfile, zlib
except ImportError as problem:
    raise SystemExit(print("lacks=" + problem.name))
from pathlib import Path
print("python=%d.%d" % sys.version_info[:2])
print("bits=%d" % (8 * struct.calcsize("P")))
name, version = platform.libc_ver()
print("libc=" + name)
print("glibc=" + version)
folder = Path(sys.argv[1]).expanduser()
print("folder=" + str(folder))
try:
    folder.mkdir(parents=True, exist_ok=True)
    probe = folder / (".probe-%d" % os.getpid())
    probe.touch()
    probe.unlink()
    room = os.statvfs(folder)
    print("free=%d" % (room.f_bavail * room.f_frsize))
except OSError as problem:
    print("closed=" + problem.strerror)
END
break
done
"""


@dataclass(frozen=True)
class HostFacts:
    """A host that fits.

    Attributes:
        platform: Processor, C library and Python, which decide the wheels.
        python: The command that starts Python there.
        folder: Absolute path there of what is sent.
        free: Free space there, in bytes.
    """

    platform: Platform
    python: str
    folder: str
    free: int


def probe_host(connection: SshConnection, file: TargetFile) -> HostFacts:
    """Ask the host what it is.

    Raises:
        TargetFailed: Python is missing or too old, the system is 32-bit or has no glibc, or the folder is read-only.
    """
    # A login shell other than sh may not understand the lines.
    output = connection.run(f"sh -c {quote(SCRIPT.replace('FOLDER', quote(file.folder)))}", "looking at the machine")
    facts: dict[str, str] = {}
    for line in output.splitlines():
        key, equals, value = line.partition("=")
        if equals:
            facts.setdefault(key, value)
    _refuse(facts, file)
    platform = Platform(facts["machine"], facts["glibc"], facts["python"])
    return HostFacts(platform, facts["command"], facts["folder"], int(facts["free"]))


def refuse_without_room(found: HostFacts, needed: int, file: TargetFile) -> None:
    """Check the free space.

    Raises:
        TargetFailed: Fewer bytes are free there than needed.
    """
    if found.free < needed:
        raise TargetFailed(
            f"{file.title}: looking at the machine: {found.folder} has {found.free // MIB} MiB free, "
            f"{-(-needed // MIB)} MiB are needed",
            "free some space there, or set `folder` in the target file to a place with more",
        )


def _refuse(facts: Mapping[str, str], file: TargetFile) -> None:
    def refuse(what: str, way_out: str) -> None:
        raise TargetFailed(f"{file.title}: looking at the machine: {what}", way_out)

    newer = f"Python {OLDEST[0]}.{OLDEST[1]} or newer: on Debian 12 or Raspberry Pi OS 12: sudo apt-get install python3"
    machine = facts.get("machine", "an unknown processor")
    if "seen" not in facts:
        refuse(f"there is no python3 ({machine})", f"install {newer}")
    if "lacks" in facts:
        refuse(f"its Python lacks {facts['lacks']}", "python3-minimal is not enough: sudo apt-get install python3")
    if "python" not in facts:
        refuse(f"Python {facts['seen']} is too old", f"install {newer}")
    if facts["bits"] != "64":
        kernel = f"the kernel is 64-bit ({machine}), the programs" if "64" in machine else f"{machine}: the programs"
        refuse(
            f"{kernel} are {facts['bits']}-bit, and there are no wheels for these", "install the 64-bit system there"
        )
    if facts["libc"] != "glibc":
        refuse(
            f"its C library is not glibc ({facts['libc'] or 'musl?'})", "use Debian, Raspberry Pi OS or Ubuntu there"
        )
    if "free" not in facts:
        refuse(
            f"{facts['folder']} cannot be written ({facts.get('closed', 'no reason given')})",
            "set `folder` in the target file to a place that you may write to",
        )
