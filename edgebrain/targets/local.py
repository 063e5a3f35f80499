"""A worker on this machine: a child process, spoken to through pipes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import edgebrain


def start() -> subprocess.Popen[bytes]:
    """Start `python -m edgebrain.runtime worker`, in a session of its own: Ctrl-C is for us, who then end it."""
    home = str(Path(edgebrain.__file__).parents[1])
    paths = os.pathsep.join([home, *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.Popen(
        [sys.executable, "-m", "edgebrain.runtime", "worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": paths},
        start_new_session=True,
    )
