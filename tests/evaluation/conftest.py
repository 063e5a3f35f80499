"""A busy machine may take its time: hypothesis judges what is true here, not how fast it is found."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
