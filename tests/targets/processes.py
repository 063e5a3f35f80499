"""Is a process still there?"""

from __future__ import annotations

import time
from pathlib import Path


def alive(pid: int) -> bool:
    """True for a process that runs; one that has ended and is only not yet reaped does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def ends_soon(pid: int, patience_s: float = 20.0) -> bool:
    """True once the process has ended, False if it has not within the time."""
    end = time.monotonic() + patience_s
    while alive(pid) and time.monotonic() < end:
        time.sleep(0.01)
    return not alive(pid)
