"""What a bench over ssh is tested with: a board that is this machine, and what to ask of it."""

from __future__ import annotations

import sys
from pathlib import Path

from edgebrain.bundle import Bundle
from edgebrain.targets.slices import Slice
from edgebrain.targets.ssh import SshTarget
from edgebrain.targets.worker import Worker
from tests.runtime.pictures import bright_disc, save
from tests.targets.processes import ends_soon
from tests.targets.sshd import Server


def path_with_python(folder: Path) -> str:
    programs = folder / "bin"
    programs.mkdir(exist_ok=True)
    script(programs / "python3", f'exec {sys.executable} "$@"')
    return f"{programs}:/usr/bin:/bin"


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def answer_of(target: SshTarget, bundle: Bundle) -> str:
    """Prepare, start a worker there, and have it mask a picture: the hash of its raw outputs."""
    picture = save(bundle.path.parent / "a.png", bright_disc())
    target.prepare([bundle], [Slice.of(picture)])
    with Worker(target.start(bundle), target.where) as worker:
        worker.open(target.path(bundle), target.engine(bundle))
        worker.hold(target.listing)
        return str(worker.score([0])[0]["outputs_sha256"])


def sent_there(board: Server) -> set[str]:
    return {path.name for path in (board.home / ".cache/edgebrain").rglob("*") if path.is_dir()}


def ends_all(board: Server) -> bool:
    return all(ends_soon(pid) for pid in board.children())
