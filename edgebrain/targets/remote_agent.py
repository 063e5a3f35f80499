"""Runs on the device, under its bare Python 3.11 or newer: this text is sent along with each command.

    look FOLDER NAME ...         state of each artifact: one JSON object, name -> "whole", "damaged" or "absent"
    receive FOLDER NAME SHA256   a tar on stdin becomes FOLDER/NAME; its first file is of this hash, and a JSON object
                                 of the others' hashes, file -> SHA-256
    remove FOLDER NAME ...       delete artifacts

An artifact is filled under a temporary name, every file is compared with its hash, and it is renamed when whole: half
of one is never taken for a whole one, and what a power cut damaged is found by its hash. Wheels are unpacked.
`.files.json` in an artifact holds the hash of each file, for the next `look`. Nothing of edgebrain is there yet, so
this file imports the standard library only.
"""

import hashlib
import json
import os
import shutil
import sys
import tarfile
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

LISTING = ".files.json"


def main(command: str, folder: str, *rest: str) -> None:
    """Run a command; the answer is one JSON line on stdout."""
    home = Path(folder).expanduser()
    try:
        commands: dict[str, Any] = {"look": look, "receive": receive, "remove": remove}
        answer = commands[command](home, *rest)
    except (OSError, ValueError, tarfile.TarError, zipfile.BadZipFile) as problem:
        answer = {"error": getattr(problem, "strerror", None) or str(problem) or type(problem).__name__}
    print(json.dumps(answer))


def look(home: Path, *names: str) -> dict[str, str]:
    """State of each artifact."""
    return {name: state(home / name) for name in names}


def state(artifact: Path) -> str:
    """`whole` where every file has its hash, else `damaged` or `absent`."""
    if not artifact.is_dir():
        return "absent"
    try:
        listing = json.loads((artifact / LISTING).read_text())
        return "whole" if all(digest(artifact / name) == sha256 for name, sha256 in listing.items()) else "damaged"
    except (OSError, ValueError):
        return "damaged"


def receive(home: Path, name: str, sha256: str) -> dict[str, str]:
    """Fill an artifact from stdin; nothing is left of one that does not arrive whole."""
    home.mkdir(parents=True, exist_ok=True)
    clear_dead_parts(home)
    artifact, part = home / name, home / f".part-{os.getpid()}"
    try:
        part.mkdir()
        unpack(part, sha256)
        listing = {str(path.relative_to(part)): digest(path) for path in sorted(part.rglob("*")) if path.is_file()}
        (part / LISTING).write_text(json.dumps(listing))
        shutil.rmtree(artifact, ignore_errors=True)
        artifact.parent.mkdir(exist_ok=True)
        part.rename(artifact)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return {"path": str(artifact)}


def unpack(part: Path, sha256: str) -> None:
    """Files from the tar, each announced and of its hash; wheels become what is in them."""
    with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as sent:
        first = sent.next()
        announced = sent.extractfile(first).read() if first and first.isfile() else b""  # type: ignore[union-attr]
        if hashlib.sha256(announced).hexdigest() != sha256:
            raise ValueError("the list of hashes was damaged on its way")
        hashes = json.loads(announced)
        while member := sent.next():
            target = part / member.name
            if member.name not in hashes or not member.isfile() or part not in target.resolve().parents:
                raise ValueError(f"{member.name}: was not announced")
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as stream:
                shutil.copyfileobj(sent.extractfile(member), stream)  # type: ignore[arg-type]
            if digest(target) != hashes.pop(member.name):
                raise ValueError(f"{member.name}: was damaged on its way")
            if target.suffix == ".whl":
                zipfile.ZipFile(target).extractall(part)
                target.unlink()
    if hashes:
        raise ValueError(f"{min(hashes)}: did not arrive")


def clear_dead_parts(home: Path) -> None:
    """Delete what a process that is gone began."""
    for part in home.glob(".part-*"):
        if not Path("/proc", part.name.removeprefix(".part-")).exists():
            shutil.rmtree(part, ignore_errors=True)


def remove(home: Path, *names: str) -> dict[str, str]:
    """Delete artifacts."""
    for name in names:
        artifact = home / name
        if not name or home.resolve() not in artifact.resolve().parents:
            raise ValueError(f"{name}: is no artifact")
        shutil.rmtree(artifact, ignore_errors=True)
        with suppress(OSError):
            # The folder of bundles or slices, where this was its last; never `home`, which holds other things.
            if artifact.parent != home:
                artifact.parent.rmdir()
    return {}


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


if __name__ == "__main__":
    main(*sys.argv[1:])
