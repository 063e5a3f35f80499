"""A model card as Hugging Face reads it, with a CLAIM 2024 and TRIPOD+AI skeleton. Every figure is the report's.

What nobody measured or said stays visibly empty, because a reader takes silence for no problem.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgebrain.reporting import table, verdict
from edgebrain.reporting.schema import GENERATOR
from edgebrain.reporting.templates import environment

EMPTY = "not stated"


def as_model_card(page: Mapping[str, Any]) -> str:
    """The card of the first report's headline bundle as Markdown with a YAML head. Raises MissingExtra: no Jinja2."""
    report = page["reports"][0]
    row = report["rows"][report["headline"]["row"]]
    made = next(one for one in report["lineage"] if one["manifest_sha256"] == row["manifest_sha256"])
    template = environment(escape=False).get_template("model_card.md")
    return template.render(
        generator=f"{GENERATOR} {page['version']}",
        report=report,
        row=row,
        parent=None if row["parent"] is None else report["rows"][row["parent"]],
        made=made,
        judged=verdict.judged(row),
        verdict=verdict,
        text=table,
        empty=EMPTY,
    )
