"""`edgebrain doctor`."""

from __future__ import annotations

import json
from typing import Annotated

import typer


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """What is installed, what each missing extra would add, which targets can run here.

    Example: edgebrain doctor
    """
    from edgebrain.report.doctor import as_text
    from edgebrain.runtime.doctor import diagnose
    from edgebrain.targets.local import coral_lacks

    # A GPU shows itself only to an engine with a model, so that the bench is who says what is missing.
    lacking = {"gpu": "not looked for; edgebrain bench --target gpu says what is missing"}
    coral = coral_lacks()
    lacking |= {} if coral is None else {"coral": f"{coral.message}; {coral.hint}"}
    findings = diagnose(["cpu"] if coral else ["cpu", "coral"], lacking)
    print(json.dumps(findings, indent=1) if as_json else as_text(findings))
