"""Keep what libraries print off the terminal, and show it where they fail."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

# TensorFlow reads it when it is loaded: 3 leaves fatal messages only.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@contextmanager
def capture_output() -> Iterator[None]:
    """Keep what a block writes to stdout and stderr off the terminal, below Python too: converters print from C++.

    When the block raises, everything that it wrote is printed to stderr before the error goes on.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    saved = [os.dup(1), os.dup(2)]
    with tempfile.TemporaryFile() as captured:
        try:
            os.dup2(captured.fileno(), 1)
            os.dup2(captured.fileno(), 2)
            yield
        except BaseException:
            _restore(saved)
            captured.seek(0)
            sys.stderr.write(captured.read().decode(errors="replace"))
            raise
        else:
            _restore(saved)


def _restore(saved: list[int]) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    for number, copy in enumerate(saved, start=1):
        os.dup2(copy, number)
        os.close(copy)
