"""MkDocs hook: fail the build where a page would load a script, a style sheet, a font or a picture from the network.

The site must be readable offline, and reading it must tell nobody.
"""

from __future__ import annotations

import re
from typing import Any

from mkdocs.exceptions import PluginError

# Elements that a browser loads by itself. Links that a reader follows (<a href>) may lead anywhere.
_LOADED = re.compile(r"<(?:script|img|iframe|source|link)\b[^>]*\b(?:src|href)=[\"']?((?:https?:)?//[^\"'\s>]+)")


def on_post_page(output: str, page: Any, **_: Any) -> str:
    """Called with the HTML of each page. Raises PluginError: the page loads something from the network."""
    remote = [url for url in _LOADED.findall(output) if not _is_canonical(url, page)]
    if remote:
        raise PluginError(f"{page.file.src_uri}: would load {', '.join(sorted(set(remote)))} from the network")
    return output


def _is_canonical(url: str, page: Any) -> bool:
    # <link rel=canonical> names the page itself and is not loaded.
    return bool(page.canonical_url) and url == page.canonical_url
