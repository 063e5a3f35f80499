"""Where what can be made or fetched again is kept: packs, built-in phantoms, wheels; in the user's cache folder."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """`$XDG_CACHE_HOME/edgebrain`, or `~/.cache/edgebrain`; not made here."""
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The XDG rule: a relative path in the variable is to be ignored.
    return (base if base.is_absolute() else Path.home() / ".cache") / "edgebrain"
