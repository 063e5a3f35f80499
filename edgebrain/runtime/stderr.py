"""What C code writes to the terminal by itself (file descriptor 2): kept off it, or captured."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# The descriptor belongs to the whole process: two blocks at once would restore each other's.
_one_at_a_time = threading.Lock()


@contextmanager
def suppressed_stderr() -> Iterator[None]:
    """Discard what is written to file descriptor 2 in this block; errors must come as exceptions."""
    with open(os.devnull, "wb") as devnull, _redirected_stderr(devnull.fileno()):  # noqa: PTH123
        yield


@contextmanager
def captured_stderr(marks: tuple[bytes, ...]) -> Iterator[list[str]]:
    """Capture lines that C code writes to file descriptor 2 in this block. One block runs at a time.

    Args:
        marks: Lines that contain one of these are captured; others are passed on when the block has ended.

    Yields:
        A list, which is filled when the block has ended.
    """
    captured: list[str] = []
    with _one_at_a_time, tempfile.TemporaryFile() as written:
        with _redirected_stderr(written.fileno()):
            yield captured
        if not written.seek(0, os.SEEK_END):
            return
        written.seek(0)
        for line in written.read().splitlines(keepends=True):
            if any(mark in line for mark in marks):
                captured.append(line.decode(errors="replace").strip())
            else:
                os.write(2, line)


@contextmanager
def _redirected_stderr(descriptor: int) -> Iterator[None]:
    saved = os.dup(2)
    try:
        os.dup2(descriptor, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
