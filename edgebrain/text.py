"""Names of files as they are shown: in tables, messages and JSON. A name may hold anything but NUL and a slash."""

from __future__ import annotations

import sys


def in_one_line(text: str) -> str:
    r"""A text as it stands in a table or a message: control characters and bytes that are no UTF-8 become escapes.

    Example:
        >>> in_one_line("two\nlines.png")
        'two\\nlines.png'
    """
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def print_anything() -> None:
    """From now on a terminal that cannot show a character gets its escape, instead of ending the program.

    Called once, where a program starts.
    """
    for stream in (sys.stdout, sys.stderr):
        # A test or a notebook puts another object here, which takes any text.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
