"""Griffe extension: render the section `Example:` of a docstring as code.

Griffe knows the section as `Examples:` and takes `Example:` for a paragraph, in which `["key"]` would become a link.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

_HEADING = re.compile(r"^Example:$", re.MULTILINE)


class ExampleSections(griffe.Extension):
    """Renames the heading in every docstring that is loaded."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called with each module, class and function."""
        if obj.docstring is not None:
            obj.docstring.value = _HEADING.sub("Examples:", obj.docstring.value)
