"""Libraries that write to the terminal by themselves: kept quiet, or listened to."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_one_at_a_time = threading.Lock()


@contextmanager
def silent_stderr() -> Iterator[None]:
    """Nothing on file descriptor 2 while this holds, whoever writes there; errors must come as exceptions."""
    with open(os.devnull, "wb") as devnull, _instead_of_stderr(devnull.fileno()):  # noqa: PTH123
        yield


@contextmanager
def heard_on_stderr(marks: tuple[bytes, ...]) -> Iterator[list[str]]:
    """Yields a list that holds, once the block has ended, the lines with one of these marks that C code wrote to file
    descriptor 2. Other lines are passed on. One block at a time: the descriptor belongs to the whole process."""
    heard: list[str] = []
    with _one_at_a_time, tempfile.TemporaryFile() as written:
        with _instead_of_stderr(written.fileno()):
            yield heard
        if not written.seek(0, os.SEEK_END):
            return
        written.seek(0)
        for line in written.read().splitlines(keepends=True):
            if any(mark in line for mark in marks):
                heard.append(line.decode(errors="replace").strip())
            else:
                os.write(2, line)


@contextmanager
def _instead_of_stderr(descriptor: int) -> Iterator[None]:
    kept = os.dup(2)
    try:
        os.dup2(descriptor, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
