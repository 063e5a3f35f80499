"""How long work says how far it is: one callback, the same for packing, training, scoring and timing."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how many steps are done, and how many there are in all."""

Notify = Callable[[str], None]
"""Called with a line that a person should see while the work goes on."""


def no_progress(what: str, done: int, total: int) -> None:
    """The default callback: ignores every step."""


def no_notice(line: str) -> None:
    """The default for `Notify`: ignores the line."""
