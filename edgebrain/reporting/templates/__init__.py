"""The texts that figures are filled into, and the engine that fills them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgebrain.libraries import importing

if TYPE_CHECKING:
    from jinja2 import Environment


def environment(escape: bool) -> Environment:
    """Jinja2 over this folder; a name that is not known is an error. escape: for HTML.

    Raises MissingExtra: Jinja2 is not installed.
    """
    with importing("jinja2", "bench", "the report's page"):
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=escape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
