"""The table of formats: each takes the page of `report.gather` and gives a text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from edgebrain.files import canonical_json
from edgebrain.report.html import as_html
from edgebrain.report.junit import as_junit
from edgebrain.report.markdown import as_markdown
from edgebrain.report.mlperf import as_text
from edgebrain.report.model_card import as_model_card

WRITERS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "html": as_html,
    "json": canonical_json,
    "markdown": as_markdown,
    "junit": as_junit,
    "model card": as_model_card,
    "mlperf": as_text,
}
