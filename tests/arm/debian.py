"""Debian packages of any release and processor, unpacked into a folder; this machine's own packages stay as they are.

No script of a package runs, so nothing is emulated: for Python, unpacking is enough.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
SOURCES = """
Types: deb
URIs: {mirror}
Suites: {release}
Components: main
Signed-By: {keys}
"""


class NotToBeHad(Exception):
    """This machine's apt does not reach a Debian mirror."""


def unpack(packages: Sequence[str], release: str, processor: str, folder: Path, only: str = ".") -> None:
    """Unpack packages, and all that they need, as apt of that machine would choose them.

    Args: packages: names, or patterns of apt such as `?essential`. release: such as bookworm. processor: such as arm64.
    only: a file or folder of the packages, such as ./usr/bin/env.
    Raises NotToBeHad.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # Packages of Debian 12 bring /bin as a folder, where a link to /usr/bin may be.
    command = 'dpkg-deb --fsys-tarfile "$0" | tar -C "$1" --keep-directory-symlink -xf - "$2"'
    with tempfile.TemporaryDirectory(prefix="edgebrain-apt-") as state:
        for package in _downloaded(packages, release, processor, Path(state)):
            subprocess.run(["bash", "-o", "pipefail", "-c", command, package, folder, only], check=True)


def _downloaded(packages: Sequence[str], release: str, processor: str, state: Path) -> list[Path]:
    """The .deb files, fetched by this machine's apt as if it were another machine with nothing installed."""
    for name in ("lists", "archives"):
        (state / name / "partial").mkdir(parents=True)
    (state / "status").touch()
    (state / "debian.sources").write_text(SOURCES.format(mirror=_mirror(), release=release, keys=KEYS))
    options = {
        "APT::Architecture": processor,
        "APT::Architectures": processor,
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
        "Dir::Etc::SourceList": state / "debian.sources",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State": state,
        "Dir::State::Status": state / "status",
        "Dir::Cache": state,
    }
    apt = ["apt-get", "-qq", *(f"-o{key}={value}" for key, value in options.items())]
    updated = subprocess.run([*apt, "--error-on=any", "update"], capture_output=True, text=True)
    if updated.returncode != 0:
        raise NotToBeHad(f"apt: {updated.stderr.strip()}")
    install = ["install", "--yes", "--download-only", "--no-install-recommends", *packages]
    subprocess.run([*apt, *install], check=True, stdout=subprocess.DEVNULL)
    return sorted((state / "archives").glob("*.deb"))


def _mirror() -> str:
    """From where this machine's apt gets Debian's own packages. Raises NotToBeHad."""
    asked = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]
    try:
        told = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split()
    except (OSError, subprocess.CalledProcessError) as problem:
        raise NotToBeHad(f"apt: {problem}") from problem
    found = [uri for uri in told if uri.rstrip("/").endswith("/debian")]
    if not found or not KEYS.is_file():
        raise NotToBeHad("apt does not know a Debian mirror and its keys")
    return found[0]
