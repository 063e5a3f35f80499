"""Libraries that write to the terminal by themselves, kept quiet for a while."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def silent_stderr() -> Iterator[None]:
    """Nothing on file descriptor 2 while this holds, whoever writes there; errors must come as exceptions."""
    kept = os.dup(2)
    devnull = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(devnull, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(devnull)
        os.close(kept)
