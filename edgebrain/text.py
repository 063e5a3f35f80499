"""Names of files as they are shown: in tables, messages and JSON. A name may hold anything but NUL and a slash."""

from __future__ import annotations

import re
import sys

# What looks like an escape of `in_one_line`.
_ESCAPE = re.compile(r"\\[\\nrtxuU]")


def in_one_line(text: str) -> str:
    r"""A message in one line: control characters and bytes that are no UTF-8 become escapes.

    Example:
        >>> in_one_line("two\nlines.png")
        'two\\nlines.png'
    """
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def shown_name(name: str) -> str:
    r"""A file's name as tables and messages show it: printable, and never the same for two names.

    Most names stay as they are. In one that needs an escape, or looks as if it had one, backslashes are doubled.

    Example:
        >>> shown_name("two\nlines.png"), shown_name(r"two\nlines.png")
        ('two\\nlines.png', 'two\\\\nlines.png')
    """
    if name.isprintable() and not _ESCAPE.search(name):
        return name
    return in_one_line(name.replace("\\", "\\\\"))


def escape_unprintable_output() -> None:
    """From now on a terminal that cannot show a character gets its escape, instead of ending the program.

    Called once, where a program starts.
    """
    for stream in (sys.stdout, sys.stderr):
        # Tests and notebooks replace these streams by objects that take any text and have no encoding.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
