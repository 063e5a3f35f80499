"""The table of formats: each takes the page of `report.gather` and gives a text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from edgebrain.files import canonical_json
from edgebrain.reporting.html import as_html
from edgebrain.reporting.junit import as_junit
from edgebrain.reporting.markdown import as_markdown
from edgebrain.reporting.mlperf import as_text
from edgebrain.reporting.model_card import as_model_card

WRITERS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "html": as_html,
    "json": canonical_json,
    "markdown": as_markdown,
    "junit": as_junit,
    "model card": as_model_card,
    "mlperf": as_text,
}
